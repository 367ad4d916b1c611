"""Runs a model folder's ONNX file as the service does: one text at a time, long ones in windows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from .entities import WORD, TaggedText, first_pieces
from .labels import ENTITY_TAGS
from .manifest import read_manifest
from .truecase import read_truecaser



@dataclass(frozen=True)
class TokenLogits:
    """Of one text, without specials: where each token lies, and its logits."""

    encoding: Encoding
    entities: np.ndarray  # [tokens, tags]
    topics: np.ndarray  # [tokens, topics]

    @property
    def document_topics(self) -> np.ndarray:
        """`[topics]`: the mean over the tokens."""
        return self.topics.mean(0) if len(self.topics) else np.zeros(self.topics.shape[1])


class Predictor:
    """A model folder ready to run; `file` may be another graph with the same outputs, say the one in full precision."""

    def __init__(self, folder: Path, file: Path | None = None):
        self.manifest = read_manifest(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.truecaser = read_truecaser(folder / "truecase.txt")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # one text a run is too little to share
        self.session = onnxruntime.InferenceSession(
            str(file or folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def token_logits(self, text: str) -> TokenLogits:
        """Windows are stitched by most context: a token is taken where it lies farthest from an edge."""
        encoding = self.tokenizer.encode(self.truecaser.restore(text), add_special_tokens=False)
        capacity, n_tokens = self.manifest.max_length - 2, len(encoding.ids)
        entities, topics, context = None, None, np.full(n_tokens, -1)
        for begin in window_begins(n_tokens, capacity, self.manifest.stride):
            ids = encoding.ids[begin : begin + capacity]
            logits = [output[0, 1:-1] for output in self._run(ids)]
            if entities is None:
                entities, topics = (np.zeros((n_tokens, part.shape[1]), np.float32) for part in logits)
            place = np.arange(len(ids))
            left = place if begin else place + n_tokens
            right = len(ids) - 1 - place if begin + len(ids) < n_tokens else place + n_tokens
            own = np.minimum(left, right)
            better = own > context[begin : begin + len(ids)]
            for stitched, part in ((entities, logits[0]), (topics, logits[1]), (context, own)):
                stitched[begin : begin + len(ids)][better] = part[better]
        return TokenLogits(encoding, entities, topics)

    def _run(self, ids: list[int]) -> list[np.ndarray]:
        row = np.array([[0, *ids, 2]], np.int64)
        return self.session.run(
            ["entity_logits", "topic_logits"], {"input_ids": row, "attention_mask": np.ones_like(row)}
        )

    def topic_scores(self, text: str) -> np.ndarray:
        return scores(self.token_logits(text).document_topics, self.manifest.temperature)

    def entities(self, text: str) -> list[tuple[str, str]]:
        """Text and label of each entity found."""
        words = [match.span() for match in WORD.finditer(text)]
        tags = word_tags(self.token_logits(text), TaggedText(text, words, []))
        return [(text[words[first][0] : words[last][1]], label) for first, last, label in spans(tags)]


def window_begins(n_tokens: int, capacity: int, stride: int) -> list[int]:
    """First tokens of the windows; `stride` tokens are shared, and the last window ends with the text."""
    begins = [0]
    while begins[-1] + capacity < n_tokens:
        begins.append(min(begins[-1] + capacity - stride, n_tokens - capacity))
    return begins


def scores(logits: np.ndarray, temperature: float) -> np.ndarray:
    return 1 / (1 + np.exp(-logits / temperature))


def word_tags(logits: TokenLogits, words: TaggedText) -> list[str]:
    """One tag a word, by its first piece: together the likeliest sequence that is sound IOB2. Words without a piece of
    their own are outside of everything."""
    pieces = first_pieces(logits.encoding, words)
    outside = np.where(np.array(ENTITY_TAGS) == "O", 0.0, -1e4)
    rows = [outside if piece is None else _log_softmax(logits.entities[piece]) for piece in pieces]
    return [ENTITY_TAGS[tag] for tag in best_sequence(np.array(rows))] if rows else []


def best_sequence(rows: np.ndarray) -> list[int]:
    """Viterbi's: the sequence of tags with the largest sum over `[words, tags]` in which each `I-` goes on from its kind."""
    sums = rows[0] + FIRST
    ways = []
    for row in rows[1:]:
        paths = sums[:, None] + FOLLOWS
        ways.append(paths.argmax(0))
        sums = paths.max(0) + row
    sequence = [int(sums.argmax())]
    for way in reversed(ways):
        sequence.append(int(way[sequence[-1]]))
    return sequence[::-1]


def _may_follow(previous: str, tag: str) -> bool:
    return not tag.startswith("I-") or (previous != "O" and previous[2:] == tag[2:])


# 0 where a tag may come first, or (column) follow another (row); far below zero where it may not.
FIRST = np.array([0.0 if _may_follow("O", tag) else -1e9 for tag in ENTITY_TAGS])
FOLLOWS = np.array([[0.0 if _may_follow(before, tag) else -1e9 for tag in ENTITY_TAGS] for before in ENTITY_TAGS])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def spans(tags: list[str]) -> list[tuple[int, int, str]]:
    """First word, last word and label of each entity in sound IOB2 tags."""
    found = []
    for index, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((index, index, tag[2:]))
        elif tag.startswith("I-"):
            found[-1] = (found[-1][0], index, found[-1][2])
    return found
