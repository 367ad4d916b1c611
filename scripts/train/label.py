"""Step 5: texts without entity labels get those of the teachers: for each word of a topic item or an encyclopaedia's
paragraph, the mean of the teachers' distributions over the tags. So the entity head sees whole news, not only
sentences.

With `labelling.topics` the teachers label topics too: the targets become the mean of theirs and the existing ones. An
unlabelled example gets theirs alone, with the weight `labelling.unlabelled_topic_weight`.

A teacher is a training, or a model folder such as `models/ressort`. On a CPU, a folder's int8 graph reads several times
as many tokens a second as the training's weights."""

import time
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer

from .config import REPOSITORY, Config, parse_arguments
from .cutting import cut_in_windows
from .labels import ENTITY_TAGS, TOPICS
from .model import mean_weights, trained_model
from .precision import has_bf16_units
from .soft_labels import Read, Tokens, label_windows, taught_topics
from .threads import ThreadGovernor

SENTENCE_ENDS = {".", "!", "?", ":", "…"}
BATCH_TOKENS = {"cpu": 4096, "cuda": 131_072}


@dataclass(frozen=True)
class Teacher:
    """`batch_tokens` suits the processor that `read` runs on."""

    read: Read
    batch_tokens: int


def main() -> None:
    config, _ = parse_arguments(__doc__)
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    ends = [index for piece, index in tokenizer.get_vocab().items() if piece in SENTENCE_ENDS]
    # Not by `batches.Examples`, which would take the labels of an earlier run for the examples' own.
    prepared = np.load(config.paths.examples / "topics.npz")
    tokens = Tokens(prepared["input_ids"], prepared["asked"] > 0, prepared["lengths"])
    windows = cut_in_windows(tokens.ids, tokens.lengths, ends, config.labelling.window_tokens - 2)
    soft = np.zeros((len(tokens.ids), len(ENTITY_TAGS)), np.float32)
    topics = np.zeros((len(tokens.lengths), len(TOPICS)))
    for name in config.labelling.teachers:
        tags, scores = label(config, name, tokens, windows)
        soft += tags
        topics += scores
    n_teachers = len(config.labelling.teachers)
    soft = (soft / n_teachers).astype(np.float16)
    np.save(config.paths.examples / "topics.soft.npy", soft)
    if config.labelling.topics:
        targets, weights = taught_topics(
            prepared["targets"], prepared["weights"], topics / n_teachers, config.labelling.unlabelled_topic_weight
        )
        np.save(config.paths.examples / "topics.targets.npy", targets)
        np.save(config.paths.examples / "topics.weights.npy", weights)
    named = 1 - soft[tokens.is_first_piece][:, 0].astype(np.float32)
    print(f"{len(named)} words labelled, {(named > 0.5).mean():.1%} of them in names")


def teacher(config: Config, name: str, device: torch.device) -> Teacher:
    """The training of this name in the work folder, or else the model folder at this path."""
    if config.paths.trained_by(name).exists():
        return Teacher(training_reader(config, name, device), BATCH_TOKENS[device.type])
    if (REPOSITORY / name / "model.onnx").exists():
        return Teacher(folder_reader(config, name), BATCH_TOKENS["cpu"])
    trained = config.paths.trained_by(name)
    raise SystemExit(f"labelling.teachers: {name} is no training ({trained} is missing) and no model folder")


def training_reader(config: Config, name: str, device: torch.device) -> Read:
    precision = torch.bfloat16 if has_bf16_units(device) else torch.float32
    model = trained_model(config, mean_weights([config.paths.trained_by(name)])).to(device, precision)

    @torch.inference_mode()
    def read(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tags, topics = model(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
        return tags.float().cpu().numpy(), topics.float().cpu().numpy()

    return read


def folder_reader(config: Config, name: str) -> Read:
    theirs, ours = (folder / "tokenizer.json" for folder in (REPOSITORY / name, config.paths.pruned))
    if theirs.read_bytes() != ours.read_bytes():
        raise SystemExit(f"labelling.teachers: {theirs} differs from {ours}; a teacher must read the same pieces")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.training.threads
    session = onnxruntime.InferenceSession(
        str(REPOSITORY / name / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def read(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tags, topics = session.run(["entity_logits", "topic_logits"], {"input_ids": ids, "attention_mask": mask})
        return np.asarray(tags), np.asarray(topics)

    return read


def label(config: Config, name: str, tokens: Tokens, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the teacher of this name says of the examples, see `soft_labels`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    governor = ThreadGovernor(config.training.threads)
    n_all = int((windows[:, 2] - windows[:, 1]).sum())
    started, reported = time.monotonic(), time.monotonic()

    def report(n_tokens: int) -> None:
        nonlocal reported
        governor.adjust()
        if time.monotonic() > reported + 20:
            reported = time.monotonic()
            per_second = n_tokens / (reported - started)
            print(f"{name}: {n_tokens}/{n_all} tokens, {per_second:.0f} tokens/s", flush=True)

    chosen = teacher(config, name, device)
    return label_windows(chosen.read, tokens, windows, chosen.batch_tokens, report)


if __name__ == "__main__":
    main()
