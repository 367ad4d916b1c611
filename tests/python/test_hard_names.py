"""The hard names: their format, that none of them trains, and what counts as right."""

from collections import Counter
from pathlib import Path

import pytest

from scripts.train.hard_names import (
    HARD_NAMES,
    LATER_HARD_NAMES,
    NEGATIVE,
    Passage,
    judge,
    kinds,
    passage_errors,
    read_hard_names,
    table,
    trained_names,
    without_case_and_genitive,
)
from scripts.train.markup import Entity, MarkupError, parse_file, read_news

NAME_KINDS = [
    "authorities",
    "courts-and-police",
    "clubs",
    "events-and-prizes",
    "products-and-ships",
    "peoples",
    "streets-and-buildings",
    "parties",
    "media",
    "companies",
    "persons",
]


def write(folder: Path, content: str) -> Path:
    file = folder / "names.txt"
    file.write_text(content, encoding="utf-8")
    return file


def test_no_hard_name_is_an_entity_of_a_training_text() -> None:
    passages = [*read_hard_names(), *read_hard_names(LATER_HARD_NAMES)]
    assert trained_names(passages, read_news()) == set()


def test_the_later_file_has_no_name_of_the_first() -> None:
    first, later = (
        {without_case_and_genitive(p.name(target)) for p in read_hard_names(file) for target in p.targets}
        for file in (HARD_NAMES, LATER_HARD_NAMES)
    )
    assert first & later == set()


def test_a_name_trains_also_with_genitive_and_in_capitals_but_not_in_the_dev_part() -> None:
    passage = Passage("clubs", "Jahn und Verl", (Entity(0, 4, "ORG"), Entity(9, 13, "ORG")))
    (train, dev) = parse_file(
        "## id: a | topics: sport | part: train\n[JAHNS](PER)\n## id: b | topics: sport | part: dev\n[Verl](ORG)\n", "x"
    )
    assert trained_names([passage], [train, dev]) == {"Jahn"}


def test_every_kind_has_twenty_names_and_all_kinds_eighty_negatives() -> None:
    passages = read_hard_names()
    targets = Counter((p.kind, target.label == NEGATIVE) for p in passages for target in p.targets)
    assert [kind for kind in NAME_KINDS if targets[kind, False] < 20] == []
    assert sum(count for (_, is_negative), count in targets.items() if is_negative) >= 80
    passages = [*passages, *read_hard_names(LATER_HARD_NAMES)]
    assert all(kind in NAME_KINDS or kind.startswith("negative-") for kind in kinds(passages))
    assert [error for passage in passages for error in passage_errors(passage)] == []


def test_a_kind_holds_passages_between_empty_lines(tmp_path: Path) -> None:
    passages = read_hard_names(write(tmp_path, "## kind: clubs\n[Verl](ORG) siegt.\nToll.\n\nEin [Kiosk](O)\n"))
    assert passages == [
        Passage("clubs", "Verl siegt.\nToll.", (Entity(0, 4, "ORG"),)),
        Passage("clubs", "Ein Kiosk", (Entity(4, 9, NEGATIVE),)),
    ]


@pytest.mark.parametrize("content", ["## clubs\na", "Verl\n## kind: clubs\na", "## kind: clubs\n[Verl](Org)"])
def test_a_file_without_kinds_or_with_unknown_labels_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(MarkupError):
        read_hard_names(write(tmp_path, content))


@pytest.mark.parametrize("passage", [Passage("clubs", "Verl", ()), Passage("clubs", "Verls", (Entity(0, 4, "ORG"),))])
def test_a_passage_without_target_or_with_part_of_a_word_is_an_error(passage: Passage) -> None:
    assert list(passage_errors(passage)) != []


@pytest.mark.parametrize(
    ("found", "is_right"),
    [
        ([(0, 11, "ORG"), (13, 18, "PER")], [True, False]),
        ([(0, 11, "ORG")], [True, True]),
        ([(4, 11, "ORG"), (16, 20, "PER")], [False, False]),
        ([(0, 11, "LOC")], [False, True]),
        ([(0, 3, "ORG"), (4, 11, "ORG")], [False, True]),
        ([], [False, True]),
    ],
)
def test_a_name_needs_its_exact_span_and_class_and_a_negative_no_entity(found: list, is_right: list[bool]) -> None:
    passage = Passage("clubs", "SV Lüneburg, Kiosk da", (Entity(0, 11, "ORG"), Entity(13, 18, NEGATIVE)))
    verdicts = judge([passage], lambda texts: [{Entity(*entity) for entity in found} for _ in texts])
    assert [verdict.is_right for verdict in verdicts] == is_right


def test_the_table_counts_right_and_all_by_kind() -> None:
    passages = [Passage(kind, "Verl", (Entity(0, 4, "ORG"),)) for kind in ("clubs", "clubs", "parties")]
    verdicts = judge(passages, lambda texts: [{Entity(0, 4, "ORG")}, set(), {Entity(0, 4, "ORG")}])
    assert table(verdicts).splitlines()[2:] == [
        "| clubs | 1 | 2 | 50 |",
        "| parties | 1 | 1 | 100 |",
        "| all | 2 | 3 | 67 |",
    ]
