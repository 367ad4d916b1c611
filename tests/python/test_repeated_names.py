"""What counts as a repeated name, and as a consistent one."""

import gzip
import json
from pathlib import Path

import pytest

from scripts.train.markup import parse_markup
from scripts.train.repeated_names import MAX_CHARACTERS, read_articles, repeated_names

LABELS = ("PER", "LOC", "ORG")


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("[Ulm](LOC) und [Ulm](LOC)", {"Ulm": ("LOC", "LOC")}),
        ("[Ulm](LOC) und [Bonn](LOC)", {}),
        ("[Putin](PER): [Putins](PER) Rede, Putin", {"Putin": ("PER", "PER", "nothing")}),
        ("[Putins](PER) Rede und [Putins](PER) Reise", {"Putins": ("PER", "PER")}),
        ("[Bosch](PER) und [Robert Bosch](PER)", {}),
        ("[Robert Bosch](PER), Robert Bosch", {"Robert Bosch": ("PER", "nothing")}),
        ("[Bayern](LOC), [Bayern](ORG), Bayernliga", {"Bayern": ("LOC", "ORG")}),
        ("", {}),
    ],
)
def test_mentions_are_whole_words_outside_of_longer_names(marked: str, expected: dict[str, tuple[str, ...]]) -> None:
    text, entities = parse_markup(marked, LABELS)
    names = list(repeated_names(text, entities))
    assert {name.name: name.labels for name in names} == expected
    assert all(name.is_consistent == (len(set(name.labels)) == 1) for name in names)


def test_long_articles_end_with_a_line(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl.gz"
    long = "Zeile\n" * MAX_CHARACTERS
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"text": text}) + "\n" for text in ("kurz", long, "a" * 4000, "zu viel"))
    short, cut, without_end = read_articles(file, 3)
    assert short == "kurz"
    assert cut.endswith("Zeile")
    assert without_end == "a" * MAX_CHARACTERS
    assert MAX_CHARACTERS - 6 <= len(cut) <= MAX_CHARACTERS
