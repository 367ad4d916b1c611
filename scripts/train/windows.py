"""Cuts long texts into windows and joins their logits, as src/inference/tokenize.rs and stitch.rs do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """Lengths in tokens: `max_length` with the two special tokens, `stride` is what neighbouring windows share."""

    max_length: int
    stride: int

    @property
    def capacity(self) -> int:
        """How many of a text's tokens fit into one window."""
        return self.max_length - 2

    def ranges(self, n_tokens: int) -> list[range]:
        """The tokens of each window, in order; a text without tokens has one empty window."""
        begins = range(0, max(n_tokens - self.stride, 1), self.capacity - self.stride)
        return [range(begin, min(begin + self.capacity, n_tokens)) for begin in begins]


def owners(n_tokens: int, windows: list[range]) -> np.ndarray:
    """For each token the index of the window in which it has the most context, the earlier one on a tie.

    The context is the distance to the nearer edge of the window. An edge that is also the text's does not count.
    """
    best, owner = np.zeros(n_tokens, int), np.zeros(n_tokens, int)
    for index, window in enumerate(windows):
        tokens = np.arange(window.start, window.stop)
        left = tokens - window.start + 1 if window.start else tokens + n_tokens
        right = window.stop - tokens if window.stop < n_tokens else tokens + n_tokens
        context = np.minimum(left, right)
        better = tokens[context > best[tokens]]
        best[better], owner[better] = context[better - window.start], index
    return owner


def stitch(n_tokens: int, windows: list[range], logits: Sequence[np.ndarray]) -> np.ndarray:
    """`[n_tokens, labels]` of a text from the `[tokens, labels]` of each of its windows."""
    stitched = np.zeros((n_tokens, logits[0].shape[1]), np.float32)
    owner = owners(n_tokens, windows)
    for index, (window, rows) in enumerate(zip(windows, logits, strict=True)):
        own = owner[window.start : window.stop] == index
        stitched[window.start : window.stop][own] = rows[own]
    return stitched
