"""The ceiling: ONNX Runtime in a loop over prepared windows, without a server, in the fastest of several settings."""

import concurrent.futures
import dataclasses
import json
import pathlib
import queue
import time
import tomllib

import numpy as np
import onnxruntime
import tokenizers

from scripts.train.windows import Sentences, Window


@dataclasses.dataclass(frozen=True)
class Setting:
    """A way to keep the cores busy: `n_callers` callers take windows from one queue. Several may share a session."""

    name: str
    n_sessions: int
    n_callers: int
    n_threads: int  # that compute one run
    longest_first: bool


class Ceiling:
    """The fastest setting for a model, found on some texts."""

    def __init__(self, model: pathlib.Path, n_streams: int, trial: list[str]):
        self.model = model
        file, self.window = _manifest(model)
        self.file = model / file
        self.tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.tried = {}
        for setting in _settings(n_streams):
            self._open(setting)
            self.tried[setting.name] = self.measure(trial)["documents_per_second"]
        self._open(max(_settings(n_streams), key=lambda setting: self.tried[setting.name]))

    def measure(self, texts: list[str]) -> dict:
        """Documents and tokens a second; cutting the texts into windows is not timed."""
        windows = [window for text in texts for window in _windows(self.tokenizer, text, self.window)]
        if self.setting.longest_first:
            windows.sort(key=len, reverse=True)
        waiting = queue.SimpleQueue()
        for window in windows:
            waiting.put(window)
        started, worked = time.perf_counter(), time.process_time()
        with concurrent.futures.ThreadPoolExecutor(self.setting.n_callers) as pool:
            list(pool.map(lambda number: self._work(number, waiting), range(self.setting.n_callers)))
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - worked
        return {
            "documents_per_second": len(texts) / seconds,
            "tokens_per_second": sum(map(len, windows)) / seconds,
            "cpu_ms_per_document": cpu_seconds / len(texts) * 1000,
        }

    def _open(self, setting: Setting) -> None:
        self.setting = setting
        self.sessions = [open_session(self.file, setting.n_threads) for _ in range(setting.n_sessions)]
        for session in self.sessions:
            run(session, [[0] * self.window.max_length])

    def _work(self, caller: int, waiting: queue.SimpleQueue) -> None:
        session = self.sessions[caller % len(self.sessions)]
        while True:
            try:
                run(session, [waiting.get_nowait()])
            except queue.Empty:
                return


def _settings(n_streams: int) -> list[Setting]:
    settings = [
        Setting("a session each, in order", n_streams, n_streams, 1, False),
        Setting("a session each, longest first", n_streams, n_streams, 1, True),
        Setting("one session, longest first", 1, n_streams, 1, True),
        Setting("one run on all cores", 1, 1, n_streams, True),
    ]
    return settings if n_streams > 1 else settings[:1]


def open_session(path: pathlib.Path, n_threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, windows: list[list[int]]) -> None:
    """One run over windows of equal length."""
    ids = np.array(windows, dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    names = {given.name for given in session.get_inputs()}
    session.run(None, {name: array for name, array in inputs.items() if name in names})


def _manifest(model: pathlib.Path) -> tuple[str, Window]:
    """Name of the ONNX file, and how texts are cut."""
    config = json.loads((model / "config.json").read_text())
    positions = config["max_position_embeddings"]
    if config["model_type"] in ("roberta", "xlm-roberta"):
        positions -= config["pad_token_id"] + 1
    manifest = model / "ressort.toml"
    section = tomllib.loads(manifest.read_text()).get("model", {}) if manifest.exists() else {}
    max_length = section.get("max_length", positions)
    return section.get("file", "model.onnx"), Window(max_length, section.get("stride", max_length // 4))


def _windows(tokenizer: tokenizers.Tokenizer, text: str, window: Window) -> list[list[int]]:
    encoding = tokenizer.encode(text)
    first, *body, last = encoding.ids
    sentences = Sentences.find(text, encoding.offsets[1:-1], window.capacity)
    return [[first, *body[tokens.start : tokens.stop], last] for tokens in window.cut(sentences)]
