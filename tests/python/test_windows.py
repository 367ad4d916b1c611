"""Sentences, windows and their owners: the same cases as for the service (tests/it/windows.rs)."""

import json
from pathlib import Path

import numpy as np

from scripts.train.sentences import Start, starts
from scripts.train.windows import Sentences, Window, owners, stitch

REFERENCE = Path(__file__).parents[1] / "reference"


def test_sentences_and_lines_begin_where_the_service_begins_them() -> None:
    for sentences in json.loads((REFERENCE / "sentences.json").read_text(encoding="utf-8")):
        expected, offset = [], 0
        for lines in sentences:
            for index, line in enumerate(lines):
                expected.append(Start(offset + len(line) - len(line.lstrip()), is_line=index > 0))
                offset += len(line)
        assert starts("".join(line for lines in sentences for line in lines)) == expected[1:]


def test_windows_and_owners_are_those_of_the_service() -> None:
    for case in json.loads((REFERENCE / "windows.json").read_text(encoding="utf-8")):
        limits = case["sentences"]
        n_tokens = limits[-1]
        text = "".join("A!\n" if token + 1 in limits else "A, " for token in range(n_tokens))
        offsets = [(max(3 * token - 1, 0), 3 * token + 1) for token in range(n_tokens)]
        sentences = Sentences.find(text, offsets, case["capacity"])
        windows = Window(case["capacity"] + 2, case["stride"]).cut(sentences)
        pairs = [[window.start, window.stop] for window in windows if window]
        assert pairs == case["windows"], limits
        assert owners(sentences, windows).tolist() == case["owners"], limits


def test_a_sentence_longer_than_a_window_is_divided_at_its_lines() -> None:
    offsets = [(0, 2), (2, 5), (5, 8), (8, 11), (12, 15)]
    assert Sentences.find("Aa Bb\nCc Dd! Ee", offsets, 4).limits == [0, 4, 5]
    assert Sentences.find("Aa Bb\nCc Dd! Ee", offsets, 3).limits == [0, 2, 4, 5]


def test_stitched_logits_are_those_of_the_owner() -> None:
    first, second = np.array([[0.0], [1], [2], [3]]), np.array([[12.0], [13], [14], [15]])
    stitched = stitch(Sentences([0, 6]), [range(4), range(2, 6)], [first, second])
    assert stitched.ravel().tolist() == [0, 1, 2, 13, 14, 15]


def test_a_text_without_tokens_has_no_rows_but_all_labels() -> None:
    assert stitch(Sentences([0]), [range(0)], [np.zeros((0, 3))]).shape == (0, 3)
