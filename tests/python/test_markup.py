"""The reader of labelled news: offsets, escapes, what is refused, what is warned of."""

import pytest

from scripts.train.markup import Entity, MarkupError, check, count_sentences, parse_file, parse_markup, to_markup

HEADER = "## id: results-001 | topics: sport, crime | part: train\n"


@pytest.mark.parametrize(
    ("marked", "text", "entities"),
    [
        ("", "", []),
        ("ohne Namen", "ohne Namen", []),
        ("Der [FC Augsburg](ORG) siegt.", "Der FC Augsburg siegt.", [(4, 15, "ORG")]),
        ("[Zoë](PER)/[Łódź](LOC)", "Zoë/Łódź", [(0, 3, "PER"), (4, 8, "LOC")]),
        ("😀 [Ulm](LOC)", "😀 Ulm", [(2, 5, "LOC")]),
        (r"\[sic\] [a\]b](OTH) \\", "[sic] a]b \\", [(6, 9, "OTH")]),
        ("[US-Beamte](LOCpart) (USA)", "US-Beamte (USA)", [(0, 9, "LOCpart")]),
    ],
)
def test_offsets_are_code_points_of_the_text_without_markup(marked: str, text: str, entities: list) -> None:
    parsed = parse_markup(marked)
    assert parsed == (text, tuple(Entity(*entity) for entity in entities))
    assert to_markup(*parsed) == marked


@pytest.mark.parametrize("marked", ["[Ulm", "Ulm](LOC)", "[Ulm] (LOC)", "[Ulm](Loc)", "[a [b](LOC)](ORG)", "[Ulm](LOC"])
def test_broken_markup_is_refused(marked: str) -> None:
    with pytest.raises(MarkupError):
        parse_markup(marked)


def test_a_file_gives_each_text_its_header() -> None:
    content = HEADER + "\nErster\n\n\\## kein Kopf\n\n## id: b | topics: weather | part: dev\n[Ulm](LOC)\n"
    first, second = parse_file(content, "results")
    assert (first.id, first.genre, first.part, first.topics) == ("results-001", "results", "train", ("sport", "crime"))
    assert first.text == "Erster\n\n## kein Kopf"
    assert second.record() == {
        "id": "b",
        "genre": "results",
        "part": "dev",
        "text": "Ulm",
        "token_spans": [[0, 3]],
        "entities": [{"start": 0, "end": 3, "label": "LOC"}],
        "iptc": ["weather"],
    }


@pytest.mark.parametrize("content", ["Text ohne Kopf\n", "## id: A | topics: sport | part: train\n", "## sport\nx"])
def test_a_file_without_proper_header_is_refused(content: str) -> None:
    with pytest.raises(MarkupError):
        parse_file(content, "results")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER + "a\n" + HEADER + "b", "used 2 times"),
        (HEADER, "empty"),
        (HEADER.replace("train", "test") + "a", "unknown part test"),
        (HEADER.replace("crime", "krimi") + "a", "unknown topic krimi"),
        (HEADER.replace("crime", "sport") + "a", "named twice"),
        (HEADER + "[Augs](LOC)burg", "cuts a word"),
        (HEADER + "[](LOC) a", "cuts a word or is empty"),
        (HEADER + "[FC\nAugsburg](ORG)", "end of a line"),
    ],
)
def test_a_text_that_breaks_a_rule_is_an_error(content: str, message: str) -> None:
    (error,) = check(parse_file(content, "results")).errors
    assert message in error


def test_a_name_with_two_labels_or_missed_elsewhere_is_warned_of() -> None:
    texts = parse_file(HEADER + "[Ulm](LOC) und [Ulm](ORG), [Bonn](LOC) und Bonn, Bonner, Bonn-Pass", "results")
    report = check(texts)
    assert report.errors == []
    assert report.warnings == [
        "results-001: 'Ulm' is LOC and ORG",
        "results-001: 'Bonn' is also unlabelled, 1 times",
    ]


@pytest.mark.parametrize(("text", "n_sentences"), [("", 0), ("Eins. Zwei!\nDrei", 3), ("Am 3. Mai um 8.30 Uhr.", 1)])
def test_sentences_are_counted_by_lines_and_stops(text: str, n_sentences: int) -> None:
    assert count_sentences(text) == n_sentences
