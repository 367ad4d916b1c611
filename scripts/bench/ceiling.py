"""The ceiling: ONNX Runtime in a loop over windows that are ready, one a run, on single-threaded streams, no server."""

import concurrent.futures
import json
import pathlib
import queue
import time
import tomllib

import numpy as np
import onnxruntime
import tokenizers


def measure(model: pathlib.Path, texts: list[str], n_streams: int) -> dict:
    """Documents and tokens a second of the best that a caller without a server could do."""
    file, max_length, stride = _manifest(model)
    tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    windows = [window for text in texts for window in _windows(tokenizer, text, max_length, stride)]
    sessions = [_session(model / file) for _ in range(n_streams)]
    names = {given.name for given in sessions[0].get_inputs()}
    waiting = queue.SimpleQueue()
    for window in windows:
        waiting.put(window)
    for session in sessions:
        _run(session, names, windows[0])
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(n_streams) as pool:
        list(pool.map(lambda session: _drain(session, names, waiting), sessions))
    seconds = time.perf_counter() - started
    return {"documents_per_second": len(texts) / seconds, "tokens_per_second": sum(map(len, windows)) / seconds}


def _manifest(model: pathlib.Path) -> tuple[str, int, int]:
    config = json.loads((model / "config.json").read_text())
    positions = config["max_position_embeddings"]
    if config["model_type"] in ("roberta", "xlm-roberta"):
        positions -= config["pad_token_id"] + 1
    manifest = model / "ressort.toml"
    section = tomllib.loads(manifest.read_text()).get("model", {}) if manifest.exists() else {}
    max_length = section.get("max_length", positions)
    return section.get("file", "model.onnx"), max_length, section.get("stride", max_length // 4)


def _windows(tokenizer: tokenizers.Tokenizer, text: str, max_length: int, stride: int) -> list[list[int]]:
    ids = tokenizer.encode(text).ids
    first, body, last = ids[:1], ids[1:-1], ids[-1:]
    room = max_length - 2
    starts = [0, *range(room - stride, max(len(body) - stride, 0), room - stride)] if len(body) > room else [0]
    return [first + body[start : start + room] + last for start in starts]


def _session(path: pathlib.Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _drain(session: onnxruntime.InferenceSession, names: set[str], waiting: queue.SimpleQueue) -> None:
    while True:
        try:
            _run(session, names, waiting.get_nowait())
        except queue.Empty:
            return


def _run(session: onnxruntime.InferenceSession, names: set[str], window: list[int]) -> None:
    ids = np.array([window], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    session.run(None, {name: array for name, array in inputs.items() if name in names})
