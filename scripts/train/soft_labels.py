"""What a teacher says of examples, read in windows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .cutting import frame, in_batches, token_positions
from .decode import softmax
from .labels import ENTITY_TAGS, TOPICS

# Takes ids and mask, `[windows, longest]`; returns the logits of both heads, `[windows, longest, labels]`.
Read = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Tokens:
    """The tokens of all examples in a row; `asked` where a word begins; the number of tokens of each example."""

    ids: np.ndarray
    asked: np.ndarray
    lengths: np.ndarray


def label_windows(
    read: Read, tokens: Tokens, windows: np.ndarray, batch_tokens: int, report: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """The distribution over the tags for each word's first piece, `[tokens, tags]` with zeros elsewhere, and the topic
    scores, `[examples, topics]`. `report` is called with the number of tokens that have been read."""
    tags = np.zeros((len(tokens.ids), len(ENTITY_TAGS)), np.float16)
    sums = np.zeros((len(tokens.lengths), len(TOPICS)))
    lengths = windows[:, 2] - windows[:, 1]
    done = 0
    for batch in in_batches(windows[np.argsort(lengths, kind="stable")], batch_tokens):
        positions, kept = token_positions(batch)
        entity_logits, topic_logits = read(*frame(tokens.ids[positions], kept))
        chosen = positions[kept]
        tags[chosen] = softmax(entity_logits[:, 1:-1][kept], 1.0) * tokens.asked[chosen, None]
        np.add.at(sums, batch[:, 0], (topic_logits[:, 1:-1] * kept[..., None]).sum(1))
        done += len(chosen)
        report(done)
    means = sums / np.maximum(tokens.lengths - 2, 1)[:, None]
    return tags, 1 / (1 + np.exp(-means))
