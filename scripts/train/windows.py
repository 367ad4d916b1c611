"""Cuts long texts into windows and joins their logits, as src/inference/windows.rs and stitch.rs do;
tests/reference/windows.json holds both to the same rule."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .sentences import starts

Span = tuple[int, int]


@dataclass(frozen=True)
class Sentences:
    """`limits` between tokens, in rising order: 0, the first token of every later sentence, the number of tokens."""

    limits: list[int]

    @classmethod
    def find(cls, text: str, offsets: Sequence[Span], capacity: int) -> "Sentences":
        """The sentences of a text in its tokens. One that is longer than `capacity` is divided at its line ends."""
        n_tokens = len(offsets)
        if n_tokens <= capacity:
            return cls(unique([0, n_tokens]))
        sentences, lines, token = [0], [], 0
        for start in starts(text):
            while token < n_tokens and _begin(text, offsets[token]) < start.offset:
                token += 1
            (lines if start.is_line else sentences).append(token)
        limits = []
        for begin, end in pairwise(unique([*sentences, n_tokens])):
            limits.append(begin)
            if end - begin > capacity:
                limits += [line for line in lines if begin < line < end]
        return cls(unique([*limits, n_tokens]))

    @property
    def n_tokens(self) -> int:
        return self.limits[-1]

    def ranges(self) -> list[range]:
        """The tokens of each sentence."""
        return [range(begin, end) for begin, end in pairwise(self.limits)]

    def last(self, token: int) -> int:
        """The last limit at or before `token`."""
        return self.limits[bisect_right(self.limits, token) - 1]

    def first(self, token: int) -> int:
        """The first limit at or after `token`."""
        return self.limits[bisect_left(self.limits, token)]

    def following(self, token: int) -> int:
        """The first limit after `token`, or the end of the text."""
        index = bisect_right(self.limits, token)
        return self.limits[index] if index < len(self.limits) else self.n_tokens


@dataclass(frozen=True)
class Window:
    """Lengths in tokens: `max_length` with the two special tokens, `stride` the most that neighbours share."""

    max_length: int
    stride: int

    @property
    def capacity(self) -> int:
        """How many of a text's tokens fit into one window."""
        return self.max_length - 2

    def cut(self, sentences: Sentences) -> list[range]:
        """The tokens of each window, in order; a text without tokens has one empty window.

        A window ends with the last sentence that fits. The next one begins with the sentence after it, preceded by
        context: at least half of `stride`, and up to `stride` where that takes no further window. The context begins
        with a sentence if one begins in it. A sentence longer than a window is cut anywhere.
        """
        if not sentences.n_tokens:
            return [range(0)]
        windows, start, end = [], 0, 0
        while end < sentences.n_tokens:
            end = self._end(start, end, sentences)
            windows.append(range(start, end))
            start = self._next_start(end, sentences)
        return windows

    def _end(self, start: int, previous: int, sentences: Sentences) -> int:
        full = start + self.capacity
        if full >= sentences.n_tokens:
            return sentences.n_tokens
        whole = sentences.last(full)
        is_cut_anyway = sentences.following(whole) - whole > self.capacity
        return whole if whole > previous and not is_cut_anyway else full

    def _next_start(self, end: int, sentences: Sentences) -> int:
        most, following = max(end - self.stride, 0), sentences.following(end)
        if sentences.last(end) < end or following - end > self.capacity:
            return most
        least = max(end - min(self.stride, end) // 2, following - self.capacity)
        start = min(max(self._end(least, end, sentences) - self.capacity, most), least)
        sentence = sentences.first(start)
        return sentence if sentence < end else start


def unique(limits: list[int]) -> list[int]:
    return list(dict.fromkeys(limits))


def _begin(text: str, offsets: Span) -> int:
    """Where the token begins without white space, as the spans of the service do."""
    begin, end = offsets
    while begin < end and text[begin].isspace():
        begin += 1
    return begin


def owners(sentences: Sentences, windows: list[range]) -> np.ndarray:
    """For each token the index of the window with the most context, the earlier one on a tie.

    A sentence is taken whole from one of the windows that hold it. Where none does, each of its tokens is taken on its
    own. The context is the distance to the nearer edge of the window. An edge that is also the text's does not count.
    """
    owner = np.zeros(sentences.n_tokens, int)
    for sentence in sentences.ranges():
        whole = _owner(sentence, sentences.n_tokens, windows)
        for token in sentence:
            alone = whole is None and _owner(range(token, token + 1), sentences.n_tokens, windows)
            owner[token] = alone if whole is None else whole
    return owner


def _owner(span: range, n_tokens: int, windows: list[range]) -> int | None:
    def context(index: int) -> int:
        window = windows[index]
        left = span.start - window.start if window.start else n_tokens
        right = window.stop - span.stop if window.stop < n_tokens else n_tokens
        return min(left, right)

    first = bisect_left(windows, span.stop, key=lambda window: window.stop)
    last = bisect_right(windows, span.start, key=lambda window: window.start)
    return max(range(first, last), key=context, default=None)


def stitch(sentences: Sentences, windows: list[range], logits: Sequence[np.ndarray]) -> np.ndarray:
    """`[n_tokens, labels]` of a text from the `[tokens, labels]` of each of its windows."""
    stitched = np.zeros((sentences.n_tokens, logits[0].shape[1]), np.float32)
    owner = owners(sentences, windows)
    for index, (window, rows) in enumerate(zip(windows, logits, strict=True)):
        own = owner[window.start : window.stop] == index
        stitched[window.start : window.stop][own] = rows[own]
    return stitched
