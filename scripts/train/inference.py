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
        self.truecaser = read_truecaser(folder / "truecase.txt")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        window = Window(self.manifest.max_length, self.manifest.stride)
        self.reader = GraphReader(file or folder / "model.onnx", ["entity_logits", "topic_logits"], tokenizer, window)

    def token_logits(self, text: str) -> TokenLogits:
        encoding, (entities, topics) = self.reader.read(self.truecaser.restore(text))
        return TokenLogits(encoding, entities, topics)

    def topic_scores(self, text: str) -> np.ndarray:
        return scores(self.token_logits(text).document_topics, self.manifest.temperature)

    def entities(self, text: str) -> list[tuple[str, str]]:
        """Text and label of each entity found."""
        words = [match.span() for match in WORD.finditer(text)]
        tags = word_tags(self.token_logits(text), TaggedText(text, words, []))
        return [(text[words[first][0] : words[last][1]], label) for first, last, label in spans(tags)]


@dataclass(frozen=True)
class Window:
    """Lengths in tokens: `max_length` with the two specials, `stride` is what neighbours share."""

    max_length: int
    stride: int


class GraphReader:
    """An ONNX graph with these outputs, each a row of logits for every token, ready to run over texts of any length."""

    def __init__(self, file: Path, outputs: list[str], tokenizer: Tokenizer, window: Window):
        self._outputs, self._tokenizer, self._window = outputs, tokenizer, window
        self._begin, self._end = tokenizer.encode("").ids
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # one text a run is too little to share
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def read(self, text: str) -> tuple[Encoding, list[np.ndarray]]:
        """The text's tokens without specials, and each output for them, `[tokens, labels]`. Windows are stitched by most
        context: a token is taken where it lies farthest from an edge."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        capacity, n_tokens = self._window.max_length - 2, len(encoding.ids)
        stitched, context = [], np.full(n_tokens, -1)
        for begin in window_begins(n_tokens, capacity, self._window.stride):
            ids = encoding.ids[begin : begin + capacity]
            logits = [output[0, 1:-1] for output in self._run(ids)]
            if not stitched:
                stitched = [np.zeros((n_tokens, part.shape[1]), np.float32) for part in logits]
            place = np.arange(len(ids))
            left = place if begin else place + n_tokens
            right = len(ids) - 1 - place if begin + len(ids) < n_tokens else place + n_tokens
            own = np.minimum(left, right)
            better = own > context[begin : begin + len(ids)]
            for whole, part in zip([*stitched, context], [*logits, own]):
                whole[begin : begin + len(ids)][better] = part[better]
        return encoding, stitched

    def _run(self, ids: list[int]) -> list[np.ndarray]:
        row = np.array([[self._begin, *ids, self._end]], np.int64)
        return self._session.run(self._outputs, {"input_ids": row, "attention_mask": np.ones_like(row)})


def window_begins(n_tokens: int, capacity: int, stride: int) -> list[int]:
    """First tokens of the windows; `stride` tokens are shared, and the last window ends with the text."""
    begins = [0]
    while begins[-1] + capacity < n_tokens:
        begins.append(min(begins[-1] + capacity - stride, n_tokens - capacity))
    return begins


def scores(logits: np.ndarray, temperature: float) -> np.ndarray:
    return 1 / (1 + np.exp(-logits / temperature))


def word_tags(logits: TokenLogits, words: TaggedText) -> list[str]:
    return GERMEVAL.word_tags(logits.encoding, logits.entities, words)


class TagDecoder:
    """From logits over these tags (`O`, and for each label its `B-` and `I-`) to the tags of words."""

    def __init__(self, tags: list[str]):
        self.tags = tags
        self._outside = np.where(np.array(tags) == "O", 0.0, -1e4)
        # 0 where a tag may come first, or (column) follow another (row); far below zero where it may not.
        self._first = np.array([0.0 if _may_follow("O", tag) else -1e9 for tag in tags])
        self._follows = np.array([[0.0 if _may_follow(before, tag) else -1e9 for tag in tags] for before in tags])

    def word_tags(self, encoding: Encoding, logits: np.ndarray, words: TaggedText) -> list[str]:
        """One tag a word, by its first piece: together the likeliest sequence that is sound IOB2. Words without a piece
        of their own are outside of everything."""
        pieces = first_pieces(encoding, words)
        rows = [self._outside if piece is None else _log_softmax(logits[piece]) for piece in pieces]
        return [self.tags[tag] for tag in self.best_sequence(np.array(rows))] if rows else []

    def best_sequence(self, rows: np.ndarray) -> list[int]:
        """Viterbi's: the sequence of tags with the largest sum over `[words, tags]` in which each `I-` goes on from its
        kind."""
        sums = rows[0] + self._first
        ways = []
        for row in rows[1:]:
            paths = sums[:, None] + self._follows
            ways.append(paths.argmax(0))
            sums = paths.max(0) + row
        sequence = [int(sums.argmax())]
        for way in reversed(ways):
            sequence.append(int(way[sequence[-1]]))
        return sequence[::-1]


def _may_follow(previous: str, tag: str) -> bool:
    return not tag.startswith("I-") or (previous != "O" and previous[2:] == tag[2:])


GERMEVAL = TagDecoder(ENTITY_TAGS)


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
