"""Reads an `E5S1` file: a BERT encoder in 4-bit blocks with its Unigram tokenizer, little-endian, version 1."""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = b"E5S1"
FLOAT32, FOUR_BIT = 0, 1


@dataclass(frozen=True)
class Tensor:
    kind: int
    n_elements: int
    offset: int
    n_bytes: int


@dataclass(frozen=True)
class E5File:
    """The opened file: dimensions, tokenizer pieces with their scores, and the offset of each tensor."""

    raw: bytes
    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    type_vocabulary: int
    layer_norm_eps: float
    block_size: int
    special_ids: dict[str, int]
    pieces: list[tuple[str, float]]
    tensors: dict[str, Tensor]

    def tensor(self, name: str) -> np.ndarray:
        """The named tensor as flat float32 values."""
        tensor = self.tensors[name]
        stored = self.raw[tensor.offset : tensor.offset + tensor.n_bytes]
        if tensor.kind == FLOAT32:
            return np.frombuffer(stored, "<f4").copy()
        return dequantise(stored, self.block_size)[: tensor.n_elements]


def dequantise(stored: bytes, block_size: int) -> np.ndarray:
    """4-bit blocks to float32. A block is an f16 scale `d` and `block_size / 2` bytes, whose low nibbles are its first
    half and whose high nibbles its second; a weight is `(nibble - 8) * d`."""
    blocks = np.frombuffer(stored, np.uint8).reshape(-1, 2 + block_size // 2)
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 0xF, blocks[:, 2:] >> 4], axis=1)
    return ((nibbles.astype(np.float32) - 8.0) * scales).ravel()


def read_e5(file: Path) -> E5File:
    raw = file.read_bytes()
    reader = _Reader(raw)
    if reader.take(4) != MAGIC or reader.number("<I") != 1:
        raise ValueError(f"{file}: not an E5S1 file of version 1")
    hidden, layers, heads, intermediate, vocabulary, positions, type_vocabulary = reader.unpack("<7i")
    layer_norm_eps = reader.number("<f")
    block_size = reader.number("<i")
    special_ids, pieces = _read_tokenizer(reader)
    tensors = dict(_read_tensor(reader) for _ in range(reader.number("<i")))
    return E5File(
        raw, hidden, layers, heads, intermediate, vocabulary, positions, type_vocabulary,
        layer_norm_eps, block_size, special_ids, pieces, tensors,
    )  # fmt: skip


class _Reader:
    def __init__(self, raw: bytes):
        self.raw, self.position = raw, 0

    def take(self, n_bytes: int) -> bytes:
        self.position += n_bytes
        return self.raw[self.position - n_bytes : self.position]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def number(self, layout: str) -> Any:
        (value,) = self.unpack(layout)
        return value


def _read_tokenizer(reader: _Reader) -> tuple[dict[str, int], list[tuple[str, float]]]:
    n_pieces, bos, eos, pad, unk = reader.unpack("<5i")
    blob_length = reader.number("<Q")
    offsets = reader.unpack(f"<{n_pieces + 1}I")
    scores = reader.unpack(f"<{n_pieces}f")
    blob = reader.take(blob_length)
    # A per-code-point table of the normaliser follows; the real charsmap comes from sentencepiece (tokenizer.py).
    _n_entries, n_bytes = reader.unpack("<iI")
    reader.take(n_bytes)
    texts = [blob[start:end].decode() for start, end in pairwise(offsets)]
    return {"bos": bos, "eos": eos, "pad": pad, "unk": unk}, list(zip(texts, scores, strict=True))


def _read_tensor(reader: _Reader) -> tuple[str, Tensor]:
    name = reader.take(reader.number("<H")).decode()
    return name, Tensor(*reader.unpack("<BIQQ"))
