"""From logits to answers, without a model: scores, valid tag sequences, entities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .entities import WORD, TaggedText, first_pieces

if TYPE_CHECKING:
    from tokenizers import Encoding


def scores(logits: np.ndarray, temperature: float) -> np.ndarray:
    return 1 / (1 + np.exp(-logits / temperature))


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return powers / powers.sum(1, keepdims=True)


class TagDecoder:
    """From logits over these tags (`O`, and for each label its `B-` and `I-`) to the tags of words."""

    def __init__(self, tags: Sequence[str]):
        self.tags = tags
        self._outside = np.array([0.0 if tag == "O" else -1e4 for tag in tags])
        # 0 where a tag may come first, or (column) follow another (row); far below zero elsewhere.
        self._first = np.array([0.0 if _may_follow("O", tag) else -1e9 for tag in tags])
        self._follows = np.array([[0.0 if _may_follow(before, tag) else -1e9 for tag in tags] for before in tags])

    def word_tags(self, encoding: "Encoding", logits: np.ndarray, words: TaggedText) -> list[str]:
        """One tag for each word, by its first piece: the likeliest valid IOB2 sequence. A word without a first piece is
        outside of every entity."""
        pieces = first_pieces(encoding, words)
        rows = [self._outside if piece is None else _log_softmax(logits[piece]) for piece in pieces]
        return [self.tags[tag] for tag in self.best_sequence(np.array(rows))] if rows else []

    def best_sequence(self, rows: np.ndarray) -> list[int]:
        """Constrained Viterbi: the valid tag sequence with the largest sum over `[words, tags]`."""
        sums = rows[0] + self._first
        origins = []
        for row in rows[1:]:
            paths = sums[:, None] + self._follows
            origins.append(paths.argmax(0))
            sums = paths.max(0) + row
        sequence = [int(sums.argmax())]
        for origin in reversed(origins):
            sequence.append(int(origin[sequence[-1]]))
        return sequence[::-1]


def found_tags(decoder: TagDecoder, encoding: "Encoding", logits: np.ndarray, gold: TaggedText) -> list[str]:
    """The entities among the service's words, as tags of the gold words, which may be parts of them."""
    words = [match.span() for match in WORD.finditer(gold.text)]
    served = decoder.word_tags(encoding, logits, TaggedText(gold.text, words, []))
    tags, index = ["O"] * len(gold.words), 0
    for first, last, label in spans(served):
        prefix = "B"
        while gold.words[index][0] < words[first][0]:
            index += 1
        while index < len(gold.words) and gold.words[index][1] <= words[last][1]:
            tags[index], prefix, index = f"{prefix}-{label}", "I", index + 1
    return tags


def _may_follow(previous: str, tag: str) -> bool:
    return not tag.startswith("I-") or (previous != "O" and previous[2:] == tag[2:])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def spans(tags: list[str]) -> list[tuple[int, int, str]]:
    """First word, last word and label of each entity in a valid IOB2 sequence."""
    found = []
    for index, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((index, index, tag[2:]))
        elif tag.startswith("I-"):
            found[-1] = (found[-1][0], index, found[-1][2])
    return found
