"""The choice of pieces for a smaller vocabulary, and the reader of 4-bit weights."""

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from scripts.train.e5s1 import dequantise, read_e5
from scripts.train.pieces import SPECIAL_PIECES, batched, choose_pieces

PIECES = [(piece, -1.0) for piece in ["<s>", "<pad>", "</s>", "<unk>", "▁der", "a", "▁Haus", "ß", "▁und", "<mask>"]]


def test_specials_and_single_characters_stay_even_without_counts() -> None:
    kept = choose_pieces(PIECES, Counter(), limit=0)
    assert {PIECES[index][0] for index in kept} == {*SPECIAL_PIECES, "a", "ß"}


def test_the_most_frequent_pieces_fill_the_limit_in_the_old_order() -> None:
    counts = Counter({8: 50, 4: 40, 6: 3, 5: 99})
    kept = choose_pieces(PIECES, counts, limit=9)
    assert kept == sorted(kept)
    assert [PIECES[index][0] for index in kept if index not in (5, 7)] == [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "▁der",
        "▁und",
        "<mask>",
    ]
    assert kept[-1] == len(PIECES) - 1


def test_batches_cover_all_items() -> None:
    assert list(batched(iter("abcde"), 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(batched(iter(""), 2)) == []


def test_a_block_holds_its_low_nibbles_before_its_high_ones() -> None:
    block = np.float16(0.5).tobytes() + bytes([0x98, 0x0F])  # low nibbles 8, 15; high nibbles 9, 0
    assert dequantise(block, 4).tolist() == [0.0, 3.5, 0.5, -4.0]


def e5_bytes() -> bytes:
    header = b"E5S1" + struct.pack("<I7ifi", 1, 4, 1, 1, 8, 2, 16, 1, 1e-12, 4)
    blob = "▁aß".encode()
    tokenizer = struct.pack("<5iQ3I2f", 2, 0, 1, 0, 1, len(blob), 0, 4, len(blob), -1.5, -2.0) + blob
    charsmap = struct.pack("<iI", 0, 3) + b"xyz"
    name = b"w"
    head = header + tokenizer + charsmap + struct.pack("<i", 1) + struct.pack("<H", 1) + name
    offset = len(head) + struct.calcsize("<BIQQ")
    return head + struct.pack("<BIQQ", 0, 2, offset, 8) + np.array([1.0, 2.5], "<f4").tobytes()


def test_a_file_is_read_with_its_dimensions_pieces_and_tensors(tmp_path: Path) -> None:
    file = tmp_path / "tiny.e5s1"
    file.write_bytes(e5_bytes())
    e5 = read_e5(file)
    assert (e5.hidden, e5.vocabulary, e5.positions, e5.block_size) == (4, 2, 16, 4)
    assert e5.pieces == [("▁a", -1.5), ("ß", -2.0)]
    assert e5.special_ids == {"bos": 0, "eos": 1, "pad": 0, "unk": 1}
    assert e5.tensor("w").tolist() == [1.0, 2.5]


def test_another_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other"
    file.write_bytes(b"GGUF" + bytes(8))
    with pytest.raises(ValueError, match="not an E5S1 file"):
        read_e5(file)
