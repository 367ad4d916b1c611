"""Alterations map single characters, so that spans can move with them."""

import random

import pytest

from scripts.train.alter import ALTERATIONS, TRAINING_WEIGHTS, alter, draw_alteration

TEXTS = ["", "ß", "Die Straße „Größe“ kostet 3,5 Mio. Euro (ca.)!", "U.S.A. …", 'Er sagte: "Ja."', "A\u0308 😀 İ"]


@pytest.mark.parametrize("name", ALTERATIONS)
@pytest.mark.parametrize("text", TEXTS)
def test_every_offset_has_a_new_offset_in_order(name: str, text: str) -> None:
    altered = alter(text, name, random.Random(5))
    assert len(altered.starts) == len(text) + 1
    assert altered.starts[0] == 0
    assert altered.starts[-1] == len(altered.text)
    assert altered.starts == sorted(altered.starts)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("transliterated", "Größe Ärger", "Groesse Aerger"),
        ("swiss", "Größe", "Grösse"),
        ("no_umlauts", "Größe München", "Grosse Munchen"),
        ("upper", "straße", "STRASSE"),
        ("no_final_punctuation", "Nr. 5 siegt?! ", "Nr. 5 siegt"),
        ("no_punctuation", "Am 3.5 um 12:30, in U.S.A.", "Am 3.5 um 12:30 in U.S.A"),
        ("nfd", "ä", "a\u0308"),
    ],
)
def test_an_alteration_does_what_its_name_says(name: str, text: str, expected: str) -> None:
    assert alter(text, name).text == expected


def test_swapped_quotes_open_and_close_in_one_style() -> None:
    for seed in range(20):
        text = alter("„Ja“ und „Nein“", "quotes", random.Random(seed)).text
        opening, closing = text[0], text[3]
        assert text == f"{opening}Ja{closing} und {opening}Nein{closing}"


def test_every_drawn_alteration_exists() -> None:
    assert set(TRAINING_WEIGHTS) == set(ALTERATIONS)
    assert draw_alteration(random.Random(1)) in ALTERATIONS
