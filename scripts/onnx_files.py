"""Reads and checks the files that the scripts for graphs are given. An error names the file and what to give."""

import json
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto
from tokenizers import Tokenizer


def read_model(path: Path) -> ModelProto:
    _check_is_file(path, "a model in ONNX")
    try:
        model = onnx.load(path)
    except DecodeError:
        raise SystemExit(f"{path}: cannot be read as ONNX; give a model in ONNX") from None
    except (OSError, onnx.checker.ValidationError) as error:
        raise SystemExit(f"{path}: {error}; keep the graph and its weights in one folder") from None
    if not model.graph.node:
        raise SystemExit(f"{path}: has no nodes; give a model in ONNX")
    return model


def read_tokenizer(path: Path) -> Tokenizer:
    _check_is_file(path, "a tokenizer.json")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # all that tokenizers raises
        raise SystemExit(f"{path}: cannot be read as a tokenizer: {error}; give a tokenizer.json") from None


def read_texts(path: Path, n_texts: int) -> list[str]:
    """The first `n_texts` texts of JSON lines, 1 or more."""
    if n_texts < 1:
        raise SystemExit(f"--documents {n_texts}: give 1 or more")
    _check_is_file(path, "JSON lines with a field `text`")
    texts: list[str] = []
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if len(texts) == n_texts:
                    break
                if line.strip():
                    texts.append(_text_of(line, f"{path}: line {number}"))
    except UnicodeDecodeError:
        raise SystemExit(f"{path}: is not UTF-8; give JSON lines in UTF-8") from None
    if not texts:
        raise SystemExit(f"{path}: has no texts; give JSON lines with a field `text`")
    return texts


def check_can_be_written(path: Path) -> None:
    """Before the work is done, and not after it."""
    if path.is_dir():
        raise SystemExit(f"{path}: is a folder; give the file to write")
    if not path.parent.is_dir():
        raise SystemExit(f"{path.parent}: no such folder; make it first")


def _check_is_file(path: Path, wanted: str) -> None:
    if path.is_dir():
        raise SystemExit(f"{path}: is a folder; give {wanted}")
    if not path.is_file():
        raise SystemExit(f"{path}: no such file; give {wanted}")


def _text_of(line: str, place: str) -> str:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise SystemExit(f"{place}: is not JSON: {error}; give JSON lines with a field `text`") from None
    text = document.get("text") if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise SystemExit(f'{place}: has no field `text` with a string; give lines such as {{"text": "…"}}')
    return text
