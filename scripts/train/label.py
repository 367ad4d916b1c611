"""Step 5: texts without entity labels get those of the teachers: for each word of a topic item or an encyclopaedia's
paragraph, the mean of the teachers' distributions over the tags. So the entity head sees whole news, not only
sentences.

With `labelling.topics` the teachers label topics too: the targets become the mean of theirs and the existing ones."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from .batches import Examples
from .config import Config, parse_arguments
from .labels import ENTITY_TAGS, TOPICS
from .model import trained_model
from .threads import ThreadGovernor

SENTENCE_ENDS = {".", "!", "?", ":", "…"}
BATCH_TOKENS = 4096
PAD, BEGIN, END = 1, 0, 2


@dataclass(frozen=True)
class Window:
    """A half-open range of the flat tokens, inside one example and without its specials."""

    example: int
    begin: int
    end: int


def main() -> None:
    config, _ = parse_arguments(__doc__)
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    ends = {index for piece, index in tokenizer.get_vocab().items() if piece in SENTENCE_ENDS}
    examples = Examples(config.paths.examples / "topics.npz")
    windows = cut_in_windows(examples, ends, config.labelling.window_tokens - 2)
    governor = ThreadGovernor(config.training.threads)
    labels = [label(config, name, examples, windows, governor) for name in config.labelling.teachers]
    soft = np.stack([tags for tags, _ in labels]).mean(axis=0, dtype=np.float32).astype(np.float16)
    np.save(config.paths.examples / "topics.soft.npy", soft)
    if config.labelling.topics:
        targets = (examples.whole["targets"] + np.mean([topics for _, topics in labels], axis=0)) / 2
        np.save(config.paths.examples / "topics.targets.npy", targets.astype(np.float32))
    named = 1 - soft[examples.flat["asked"] > 0][:, 0].astype(np.float32)
    print(f"{len(named)} words labelled, {(named > 0.5).mean():.1%} of them in names")


def cut_in_windows(examples: Examples, ends: set[int], capacity: int) -> list[Window]:
    """Windows of at most `capacity` tokens, of whole sentences where possible; the shortest first."""
    ids = examples.flat["input_ids"]
    windows, begin = [], 0
    for example, length in enumerate(examples.lengths):
        position, stop = begin + 1, begin + int(length) - 1
        while position < stop:
            cut = min(position + capacity, stop)
            sentence_ends = [index + 1 for index in range(position, cut) if ids[index] in ends]
            if cut < stop and sentence_ends:
                cut = sentence_ends[-1]
            windows.append(Window(example, position, cut))
            position = cut
        begin += int(length)
    return sorted(windows, key=lambda window: window.end - window.begin)


@torch.inference_mode()
def label(
    config: Config, name: str, examples: Examples, windows: list[Window], governor: ThreadGovernor
) -> tuple[np.ndarray, np.ndarray]:
    """The model's distribution over the tags for each word's first piece, `[tokens, tags]` with zeros elsewhere, and
    its topic scores, `[examples, topics]`."""
    model = trained_model(config, torch.load(config.paths.trained_by(name))).to(torch.bfloat16)
    ids, asked = examples.flat["input_ids"], examples.flat["asked"] > 0
    tags = np.zeros((len(ids), len(ENTITY_TAGS)), np.float16)
    sums = np.zeros((len(examples.lengths), len(TOPICS)))
    started, done = time.monotonic(), 0
    for number, batch in enumerate(batches(windows)):
        governor.adjust()
        rows = [[BEGIN, *ids[window.begin : window.end], END] for window in batch]
        width = max(map(len, rows))
        padded = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
        entity_logits, topic_logits = (part.float() for part in model(padded, (padded != PAD).long()))
        for window, scores, logits in zip(batch, entity_logits.softmax(-1).numpy(), topic_logits.numpy(), strict=True):
            n_tokens = window.end - window.begin
            tags[window.begin : window.end] = scores[1 : 1 + n_tokens] * asked[window.begin : window.end, None]
            sums[window.example] += logits[1 : 1 + n_tokens].sum(0)
            done += n_tokens
        if number % 100 == 99:
            per_second = done / (time.monotonic() - started)
            left_min = (len(ids) - done) / per_second / 60
            print(f"{name}: {done}/{len(ids)} tokens, {per_second:.0f} tokens/s, ETA {left_min:.0f} min", flush=True)
    means = sums / np.maximum(examples.lengths - 2, 1)[:, None]
    return tags, 1 / (1 + np.exp(-means))


def batches(windows: list[Window]) -> Iterator[list[Window]]:
    """Of nearly equal length, since the windows are sorted by it."""
    batch = []
    for window in windows:
        if batch and (len(batch) + 1) * (window.end - window.begin + 2) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(window)
    yield batch


if __name__ == "__main__":
    main()
