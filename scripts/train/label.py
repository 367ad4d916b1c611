"""Step 5: texts without entity labels get those of the teachers: for each word of a topic item or an encyclopaedia's
paragraph, the mean of the teachers' distributions over the tags. So the entity head sees whole news, not only
sentences.

With `labelling.topics` the teachers label topics too: the targets become the mean of theirs and the existing ones."""

import time

import numpy as np
import torch
from tokenizers import Tokenizer

from .batches import Examples
from .config import Config, parse_arguments
from .cutting import cut_in_windows, frame, in_batches, token_positions
from .labels import ENTITY_TAGS, TOPICS
from .model import trained_model
from .threads import ThreadGovernor

SENTENCE_ENDS = {".", "!", "?", ":", "…"}
BATCH_TOKENS = {"cpu": 4096, "cuda": 131_072}


def main() -> None:
    config, _ = parse_arguments(__doc__)
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    ends = [index for piece, index in tokenizer.get_vocab().items() if piece in SENTENCE_ENDS]
    examples = Examples(config.paths.examples / "topics.npz")
    windows = cut_in_windows(examples.flat["input_ids"], examples.lengths, ends, config.labelling.window_tokens - 2)
    soft = np.zeros((len(examples.flat["input_ids"]), len(ENTITY_TAGS)), np.float32)
    topics = np.zeros((len(examples.lengths), len(TOPICS)))
    for name in config.labelling.teachers:
        tags, scores = label(config, name, examples, windows)
        soft += tags
        topics += scores
    n_teachers = len(config.labelling.teachers)
    soft = (soft / n_teachers).astype(np.float16)
    np.save(config.paths.examples / "topics.soft.npy", soft)
    if config.labelling.topics:
        targets = (examples.whole["targets"] + topics / n_teachers) / 2
        np.save(config.paths.examples / "topics.targets.npy", targets.astype(np.float32))
    named = 1 - soft[examples.flat["asked"] > 0][:, 0].astype(np.float32)
    print(f"{len(named)} words labelled, {(named > 0.5).mean():.1%} of them in names")


@torch.inference_mode()
def label(config: Config, name: str, examples: Examples, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model's distribution over the tags for each word's first piece, `[tokens, tags]` with zeros elsewhere, and
    its topic scores, `[examples, topics]`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = trained_model(config, torch.load(config.paths.trained_by(name))).to(device, torch.bfloat16)
    governor = ThreadGovernor(config.training.threads)
    ids, asked = examples.flat["input_ids"], examples.flat["asked"] > 0
    tags = np.zeros((len(ids), len(ENTITY_TAGS)), np.float16)
    sums = np.zeros((len(examples.lengths), len(TOPICS)))
    lengths = windows[:, 2] - windows[:, 1]
    by_length = windows[np.argsort(lengths, kind="stable")]
    started, done, reported = time.monotonic(), 0, time.monotonic()
    for batch in in_batches(by_length, BATCH_TOKENS[device.type]):
        governor.adjust()
        positions, kept = token_positions(batch)
        framed = frame(ids[positions], kept)
        entity_logits, topic_logits = model(*(torch.from_numpy(part).to(device) for part in framed))
        within = torch.from_numpy(kept).to(device)
        scores = entity_logits[:, 1:-1].float().softmax(-1)[within].half().cpu().numpy()
        tokens = positions[kept]
        tags[tokens] = scores * asked[tokens, None]
        summed = (topic_logits[:, 1:-1].float() * within.unsqueeze(-1)).sum(1)
        np.add.at(sums, batch[:, 0], summed.cpu().numpy())
        done += len(tokens)
        if time.monotonic() > reported + 20:
            reported = time.monotonic()
            per_second = done / (reported - started)
            print(f"{name}: {done}/{len(ids)} tokens, {per_second:.0f} tokens/s", flush=True)
    means = sums / np.maximum(examples.lengths - 2, 1)[:, None]
    return tags, 1 / (1 + np.exp(-means))


if __name__ == "__main__":
    main()
