"""Runs a model folder's ONNX file as the service does: one text at a time, long ones in windows."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from .entities import TaggedText, first_pieces
from .labels import ENTITY_TAGS
from .manifest import read_manifest

WORD = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")


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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # one text a run is too little to share
        self.session = onnxruntime.InferenceSession(
            str(file or folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def token_logits(self, text: str) -> TokenLogits:
        """Windows are stitched by most context: a token is taken where it lies farthest from an edge."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
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
    """One tag a word, by its first piece; an `I-` with nothing to go on from begins an entity."""
    best = logits.entities.argmax(1) if len(logits.entities) else []
    pieces = first_pieces(logits.encoding, words)
    return repair(["O" if piece is None else ENTITY_TAGS[best[piece]] for piece in pieces])


def repair(tags: list[str]) -> list[str]:
    repaired, previous = [], "O"
    for tag in tags:
        if tag.startswith("I-") and previous[2:] != tag[2:]:
            tag = "B-" + tag[2:]
        repaired.append(tag)
        previous = tag
    return repaired


def spans(tags: list[str]) -> list[tuple[int, int, str]]:
    """First word, last word and label of each entity in sound IOB2 tags."""
    found = []
    for index, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((index, index, tag[2:]))
        elif tag.startswith("I-"):
            found[-1] = (found[-1][0], index, found[-1][2])
    return found
