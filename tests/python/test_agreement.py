"""The second labelling: what is drawn, and how two labellings are compared."""

import pytest

from scripts.train.agreement import AGREEMENT, disagreements, draw, entity_table, pairs, topic_table
from scripts.train.markup import NEWS, News, check, parse_file, read_news


def texts(genre: str, *bodies: str, topics: str = "sport") -> list[News]:
    heads = [f"## id: {genre}-{index} | topics: {topics} | part: train\n{body}\n" for index, body in enumerate(bodies)]
    return parse_file("".join(heads), genre)


def test_a_draw_takes_whole_texts_of_every_genre_and_is_repeatable() -> None:
    news = texts("a", *["Eins.\nZwei."] * 20) + texts("b", "Drei.")
    drawn = draw(news, 0.1, seed=1)
    assert [text.genre for text in drawn] == ["a", "a", "b"]
    assert drawn == draw(list(reversed(news)), 0.1, seed=1)
    assert drawn != draw(news, 0.1, seed=2)


def test_second_labels_need_the_same_text() -> None:
    first = texts("a", "[Ulm](LOC) siegt.")
    assert pairs(first, texts("a", "[Ulm](ORG) siegt.")) == [(first[0], texts("a", "[Ulm](ORG) siegt.")[0])]
    with pytest.raises(ValueError, match="text differs"):
        pairs(first, texts("a", "[Ulm](ORG) siegt"))
    with pytest.raises(ValueError, match="no first labels"):
        pairs(first, texts("b", "[Ulm](LOC) siegt."))


def test_an_entity_agrees_by_span_and_class() -> None:
    first = texts("a", "[Ulm](LOC), [Rot-Weiß](ORG) Essen, [Bonn](LOC)")
    second = texts("a", "[Ulm](ORG), [Rot-Weiß Essen](ORG), [Bonn](LOC)", topics="crime, sport")
    compared = pairs(first, second)
    assert entity_table(compared).splitlines()[2:] == [
        "| LOC | 2 | 1 | 1 | 0.667 |",
        "| ORG | 1 | 2 | 0 | 0.000 |",
        "| all | 3 | 3 | 1 | 0.333 |",
    ]
    lines = disagreements(*compared[0])
    assert lines[0] == "a-0: topics sport < > crime, sport"
    assert [line[:6] for line in lines[1:]] == ["a-0: <", "a-0: >", "a-0: <", "a-0: >"]


def test_topics_agree_as_sets_and_by_the_leading_one() -> None:
    first = texts("a", "x", "y", topics="sport, crime")
    second = texts("a", "x", "y", topics="crime, sport")
    table = topic_table(pairs(first, second))
    assert "| all | 4 | 4 | 4 | 1.000 |" in table
    assert table.endswith("equal sets of topics: 2 of 2; equal leading topic: 0 of 2")


def test_held_back_texts_keep_the_format_and_are_not_among_the_news() -> None:
    held_back = read_news(NEWS.parent / "held-back")
    assert len(held_back) == 132
    assert check(held_back).errors == []
    assert {text.part for text in held_back} == {"dev"}
    assert not {text.text for text in held_back} & {text.text for text in read_news()}
    assert held_back[0].gold()["topics"] == ["Politik", "Umwelt"]


def test_every_text_with_second_labels_is_still_among_the_news() -> None:
    assert len(pairs(read_news(), read_news(AGREEMENT))) == 99
