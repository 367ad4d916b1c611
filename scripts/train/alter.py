"""Alterations of a text as senders produce them: transliterated, upper or lower case, without final punctuation, NFD,
other quotation marks. Each maps single characters, so spans can be moved."""

import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

TRANSLITERATION = {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"}
OPENING, CLOSING = '„“"»«', '“”"«»'
DROPPED = ',.;:!?"„“”»«'
QUOTE_STYLES = ["„“", "“”", "»«", "«»", '""', "''", "‚‘", "``"]


@dataclass(frozen=True)
class Altered:
    """The altered `text`; `starts[i]` is the new offset of character `i` of the original, the last entry the end."""

    text: str
    starts: list[int]

    def move(self, start: int, end: int) -> tuple[int, int]:
        """A half-open span of the original in the altered text. Empty if nothing of it remains."""
        return self.starts[start], self.starts[end]


def alter(text: str, name: str, rng: random.Random | None = None) -> Altered:
    """Applies the alteration `name` of `ALTERATIONS`."""
    replacements = ALTERATIONS[name](text, rng or random.Random(0))
    starts, position = [], 0
    for replacement in replacements:
        starts.append(position)
        position += len(replacement)
    return Altered("".join(replacements), [*starts, position])


def transliterate(text: str, _rng: random.Random) -> list[str]:
    return [TRANSLITERATION.get(character, character) for character in text]


def swiss(text: str, _rng: random.Random) -> list[str]:
    return ["ss" if character == "ß" else character for character in text]


def strip_umlauts(text: str, _rng: random.Random) -> list[str]:
    """As machine translation and old systems write: `Munchen`, `Strasse`."""
    return [TRANSLITERATION[c][0] if c in "äöüÄÖÜ" else "ss" if c == "ß" else c for c in text]


def upper(text: str, _rng: random.Random) -> list[str]:
    return [character.upper() for character in text]


def lower(text: str, _rng: random.Random) -> list[str]:
    return [character.lower() for character in text]


def drop_final_punctuation(text: str, _rng: random.Random) -> list[str]:
    """Like a headline: without the last full stop."""
    n_kept = len(text.rstrip(".!?… "))
    return list(text[:n_kept]) + [""] * (len(text) - n_kept)


def drop_punctuation(text: str, _rng: random.Random) -> list[str]:
    """Without commas, stops and quotation marks, except inside numbers and abbreviations."""
    return [
        "" if character in DROPPED and (index + 1 == len(text) or not text[index + 1].isalnum()) else character
        for index, character in enumerate(text)
    ]


def decompose(text: str, _rng: random.Random) -> list[str]:
    return [unicodedata.normalize("NFD", character) for character in text]


def swap_quotes(text: str, rng: random.Random) -> list[str]:
    opening, closing = rng.choice(QUOTE_STYLES)
    characters = list(text)
    for index, character in enumerate(text):
        if character in OPENING + CLOSING:
            opens = index == 0 or text[index - 1] in " ([\n-"
            characters[index] = opening if opens else closing
    return characters


ALTERATIONS: dict[str, Callable[[str, random.Random], list[str]]] = {
    "transliterated": transliterate,
    "swiss": swiss,
    "no_umlauts": strip_umlauts,
    "upper": upper,
    "lower": lower,
    "no_final_punctuation": drop_final_punctuation,
    "no_punctuation": drop_punctuation,
    "nfd": decompose,
    "quotes": swap_quotes,
}

# The relative frequency of each in training.
TRAINING_WEIGHTS = {
    "transliterated": 6,
    "swiss": 2,
    "no_umlauts": 2,
    "upper": 6,
    "lower": 6,
    "no_final_punctuation": 4,
    "no_punctuation": 4,
    "nfd": 1,
    "quotes": 3,
}


def draw_alteration(rng: random.Random) -> str:
    return rng.choices(list(TRAINING_WEIGHTS), list(TRAINING_WEIGHTS.values()))[0]
