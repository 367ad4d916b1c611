"""Runs a model folder's ONNX file as the service does: one text at a time, long ones in windows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from .decode import TagDecoder, pooled_topics, sigmoid, spans
from .entities import WORD, TaggedText
from .labels import ENTITY_TAGS
from .manifest import Manifest, read_manifest
from .names import NameList
from .truecase import Truecaser, read_truecaser
from .windows import Sentences, Window, stitch

GERMEVAL_DECODER = TagDecoder(ENTITY_TAGS)
Run = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class TokenLogits:
    """The tokens of one text without specials, and their logits."""

    usual: str  # the text as it was read: with its letter case restored, if it had lost it
    encoding: Encoding
    entities: np.ndarray  # [tokens, tags]
    topics: np.ndarray  # [tokens, topics]


class Predictor:
    """Reads texts as the service does. `run` takes the ids of one window and returns its entity and topic logits."""

    def __init__(
        self,
        manifest: Manifest,
        truecaser: Truecaser,
        tokenizer: Tokenizer,
        run: Run,
        names: NameList | None = None,
    ):
        self.manifest, self.truecaser, self.names = manifest, truecaser, names
        self.reader = WindowReader(run, tokenizer, Window(manifest.max_length, manifest.stride))

    @classmethod
    def load(cls, folder: Path, file: Path | None = None) -> "Predictor":
        """A model folder; `file` may be another graph with the same outputs, such as the one in full precision."""
        run = GraphRun(file or folder / "model.onnx", ["entity_logits", "topic_logits"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        manifest = read_manifest(folder)
        names = NameList.read(folder / "names.txt", manifest.names_weight) if manifest.names_weight else None
        return cls(manifest, read_truecaser(folder / "truecase.txt"), tokenizer, run, names)

    def token_logits(self, text: str) -> TokenLogits:
        usual = self.truecaser.restore(text)
        encoding, (entities, topics) = self.reader.read(usual)
        return TokenLogits(usual, encoding, entities, topics)

    def document_topics(self, text: str) -> np.ndarray:
        manifest = self.manifest
        return pooled_topics(self.token_logits(text).topics, manifest.lead_tokens, manifest.part_tokens)

    def topic_scores(self, text: str) -> np.ndarray:
        return sigmoid(self.document_topics(text), self.manifest.temperature)

    def word_tags(self, words: TaggedText) -> list[str]:
        logits = self.token_logits(words.text)
        manifest = self.manifest
        return GERMEVAL_DECODER.word_tags(
            logits.encoding,
            logits.entities,
            words,
            manifest.entity_temperature,
            self.names,
            manifest.one_label_per_name,
            logits.usual,
            manifest.entity_threshold,
        )

    def entities(self, text: str) -> list[tuple[str, str]]:
        """Text and label of each entity."""
        words = [match.span() for match in WORD.finditer(text)]
        tags = self.word_tags(TaggedText(text, words, []))
        return [(text[words[first][0] : words[last][1]], label) for first, last, label in spans(tags)]


class GraphRun:
    """An ONNX graph with these outputs, each a row of logits for every token."""

    def __init__(self, file: Path, outputs: list[str]):
        self._outputs = outputs
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a run over one text is too short for several
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def __call__(self, ids: np.ndarray) -> list[np.ndarray]:
        return self._session.run(self._outputs, {"input_ids": ids, "attention_mask": np.ones_like(ids)})


class WindowReader:
    """Reads texts of any length, in windows; `run` takes the ids `[1, tokens]` of each."""

    def __init__(self, run: Run, tokenizer: Tokenizer, window: Window):
        self._run, self._tokenizer, self._window = run, tokenizer, window
        self._begin, self._end = tokenizer.encode("").ids

    def read(self, text: str) -> tuple[Encoding, list[np.ndarray]]:
        """The text's tokens without specials, and each output for them, `[tokens, labels]`."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        sentences = Sentences.find(text, encoding.offsets, self._window.capacity)
        windows = self._window.cut(sentences)
        by_window = [self._run(self._framed(encoding.ids[window.start : window.stop])) for window in windows]
        by_output = zip(*by_window, strict=True)
        return encoding, [stitch(sentences, windows, [rows[0, 1:-1] for rows in output]) for output in by_output]

    def _framed(self, ids: list[int]) -> np.ndarray:
        return np.array([[self._begin, *ids, self._end]], np.int64)
