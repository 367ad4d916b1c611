"""Examples without a label of each word: open classes, teachers' windows, text to pretrain on."""

import random

import numpy as np
import pytest

from scripts.train.cutting import cut_in_windows, frame, in_batches, token_positions
from scripts.train.labels import ENTITY_TAGS
from scripts.train.open_entities import ALLOWED_ANY, ALLOWED_UNNAMED, allow, allowed_tags, tag_openly

END = 9


def open_tags(text: str, *entities: tuple[str, str]) -> dict[str, int]:
    spans = [
        {"start": text.index(name), "end": text.index(name) + len(name), "label": label} for name, label in entities
    ]
    tokens = [[text.index(token), text.index(token) + len(token)] for token in text.split()]
    tagged = tag_openly({"text": text, "token_spans": tokens, "entities": spans})
    return {text[start:end]: int(bits) for (start, end), bits in zip(tagged.words, tagged.tags, strict=True)}


def test_a_class_that_is_ours_allows_one_tag_and_its_continuation() -> None:
    tags = open_tags("Richter Meier Schulz aus Kiel", ("Meier Schulz", "RR"), ("Kiel", "ST"))
    assert tags["Meier"] == allow(["B-PER"])
    assert tags["Schulz"] == allow(["I-PER"])
    assert tags["Kiel"] == allow(["B-LOC"])
    assert tags["Richter"] == ALLOWED_UNNAMED


def test_an_unlabelled_word_may_be_what_these_sets_do_not_label() -> None:
    allowed = {tag for index, tag in enumerate(ENTITY_TAGS) if ALLOWED_UNNAMED >> index & 1}
    assert {"O", "B-LOCderiv", "B-OTH", "I-ORGpart"} <= allowed
    assert allowed.isdisjoint({"B-PER", "I-LOC", "B-ORG"})


@pytest.mark.parametrize(
    ("label", "name", "expected"),
    [
        ("GRT", "Landgericht", ALLOWED_ANY),
        ("GRT", "Bundesarbeitsgericht", allow(["B-ORG"])),
        ("INN", "EU-Kommission", allow(["B-ORG", "B-ORGpart"])),
        ("GS", "Grundgesetz", ALLOWED_ANY),
        ("trigger", "Teilausfall", ALLOWED_UNNAMED),
    ],
)
def test_a_class_that_is_not_ours_stays_open(label: str, name: str, expected: int) -> None:
    assert allowed_tags(label, name, is_first=True) == expected


def test_the_sign_of_a_hashtag_is_no_part_of_its_name() -> None:
    tags = open_tags("Bei #Bahn steht alles", ("#Bahn", "organization-company"))
    assert tags["Bahn"] == allow(["B-ORG"])
    assert tags["#"] == ALLOWED_UNNAMED


def flat(*lengths: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples of these lengths: special tokens 0 and 2 around tokens from 100 on."""
    ids = [[0, *range(100, 100 + length - 2), 2] for length in lengths]
    return np.concatenate(ids), np.array(lengths)


def test_windows_hold_every_token_once_and_no_special_one() -> None:
    ids, lengths = flat(12, 2, 3, 40)
    windows = cut_in_windows(ids, lengths, [END], 7)
    tokens = [token for _, begin, end in windows for token in range(begin, end)]
    assert tokens == [index for index, token in enumerate(ids) if token not in (0, 2)]
    assert (windows[:, 2] - windows[:, 1]).max() == 7


def test_a_window_ends_with_a_sentence_where_one_ends_in_it() -> None:
    ids, lengths = flat(14)
    ids[5] = END
    assert [list(window) for window in cut_in_windows(ids, lengths, [END], 8)] == [[0, 1, 6], [0, 6, 13]]


def test_batches_hold_all_windows_within_the_budget() -> None:
    rng = random.Random(3)
    ids, lengths = flat(*(rng.randint(2, 60) for _ in range(200)))
    windows = cut_in_windows(ids, lengths, [END], 30)
    windows = windows[np.argsort(windows[:, 2] - windows[:, 1], kind="stable")]
    batches = in_batches(windows, 128)
    assert (np.concatenate(batches) == windows).all()
    assert all(len(batch) * ((batch[:, 2] - batch[:, 1]).max() + 2) <= 128 for batch in batches)


def test_a_frame_puts_special_tokens_around_each_row() -> None:
    ids, lengths = flat(5, 3)
    positions, kept = token_positions(cut_in_windows(ids, lengths, [END], 9))
    framed, mask = frame(ids[positions], kept)
    assert framed.tolist() == [[0, 100, 101, 102, 2], [0, 100, 2, 1, 1]]
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
