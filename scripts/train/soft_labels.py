"""Labels examples with a teacher: distributions over the tags, and topic scores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .cutting import frame, in_batches, token_positions
from .decode import sigmoid, softmax
from .labels import ENTITY_TAGS, TOPICS

# Takes ids and mask, `[windows, longest]`; returns the logits of both heads, `[windows, longest, labels]`.
Read = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Tokens:
    """All examples in a row. `ids` `[tokens]`; `is_first_piece` `[tokens]`, true where a word begins; `lengths`
    `[examples]`, special tokens included."""

    ids: np.ndarray
    is_first_piece: np.ndarray
    lengths: np.ndarray


def label_windows(
    read: Read, tokens: Tokens, windows: np.ndarray, batch_tokens: int, report: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """The distribution over the tags for each word's first piece, `[tokens, tags]` with zeros elsewhere, and the topic
    scores, `[examples, topics]`. `windows` is `[windows, (example, begin, end)]`, see `cutting.cut_in_windows`.
    `report` is called with the number of tokens that have been read."""
    tags = np.zeros((len(tokens.ids), len(ENTITY_TAGS)), np.float16)
    sums = np.zeros((len(tokens.lengths), len(TOPICS)))
    lengths = windows[:, 2] - windows[:, 1]
    done = 0
    for batch in in_batches(windows[np.argsort(lengths, kind="stable")], batch_tokens):
        positions, kept = token_positions(batch)
        entity_logits, topic_logits = read(*frame(tokens.ids[positions], kept))
        chosen = positions[kept]
        tags[chosen] = softmax(entity_logits[:, 1:-1][kept], 1.0) * tokens.is_first_piece[chosen, None]
        np.add.at(sums, batch[:, 0], (topic_logits[:, 1:-1] * kept[..., None]).sum(1))
        done += len(chosen)
        report(done)
    means = sums / np.maximum(tokens.lengths - 2, 1)[:, None]
    return tags, sigmoid(means, 1.0)


def taught_topics(
    targets: np.ndarray, weights: np.ndarray, taught: np.ndarray, unlabelled_weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights of the topics once the teachers have scored them as `taught`; all are `[examples, topics]`.

    The target is the mean of an example's own topics and the teachers' scores. An example whose `weights` are all 0 has
    no labels: it gets the teachers' scores alone, with `unlabelled_weight`."""
    is_unlabelled = ~weights.any(1, keepdims=True)
    targets = np.where(is_unlabelled, taught, (targets + taught) / 2)
    weights = np.where(is_unlabelled, unlabelled_weight, weights)
    return targets.astype(np.float32), weights.astype(np.float32)
