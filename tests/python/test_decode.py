"""Valid tag sequences and entities."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scripts.train.decode import TagDecoder, found_tags, pooled_topics, spans, without_doubtful
from scripts.train.entities import TaggedText, first_pieces
from scripts.train.names import Listed, NameList

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TAGS_OF_RUST = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]
PREFERENCE = {"O": 0, "B-PER": 1, "I-PER": 2, "B-LOC": 3, "I-LOC": 4}


def rows(*tags: str) -> np.ndarray:
    """Logits that prefer these tags."""
    return np.eye(len(TAGS))[[PREFERENCE[tag] for tag in tags]] * 8.0


@pytest.mark.parametrize("sequence", [["O"], ["B-PER", "I-PER", "O"], ["B-PER", "B-PER"], ["B-LOC", "I-LOC", "B-PER"]])
def test_a_valid_sequence_stays(sequence: list[str]) -> None:
    assert [TAGS[tag] for tag in TagDecoder(TAGS).best_sequence(rows(*sequence))] == sequence


@pytest.mark.parametrize("sequence", [["I-PER"], ["O", "I-LOC"], ["B-PER", "I-LOC"], ["I-LOC", "I-PER", "I-LOC"]])
def test_an_inside_tag_never_follows_another_kind(sequence: list[str]) -> None:
    found = [TAGS[tag] for tag in TagDecoder(TAGS).best_sequence(rows(*sequence))]
    for previous, tag in zip(["O", *found], found, strict=False):
        assert not tag.startswith("I-") or previous in ("B" + tag[1:], tag)


def test_the_sum_over_the_sequence_decides_and_not_each_word() -> None:
    logits = np.array([[2.0, 1.9, 0, 0, 0], [0, 0, 5.0, 0, 0]])
    assert [TAGS[tag] for tag in TagDecoder(TAGS).best_sequence(logits)] == ["B-PER", "I-PER"]


def test_a_name_does_not_end_in_a_word_that_links_its_parts() -> None:
    # The same values as in src/inference/decode/viterbi.rs.
    first, link, surname, town = (
        [0.02, 0.9, 0.02, 0.04, 0.02],
        [0.3, 0.01, 0.65, 0.01, 0.03],
        [0.02, 0.5, 0.45, 0.02, 0.01],
        [0.02, 0.02, 0.02, 0.93, 0.01],
    )

    def found(*words: list[float]) -> list[str]:
        is_link = [word == 1 for word in range(len(words))]
        return [TAGS[tag] for tag in TagDecoder(TAGS).best_sequence(np.log(np.array(words)), is_link)]

    assert found(first, link, surname) == ["B-PER", "I-PER", "I-PER"]
    assert found(first, link, town) == ["B-PER", "O", "B-LOC"]
    assert found(first, link) == ["B-PER", "O"]
    assert found([0.9, 0.02, 0.02, 0.04, 0.02], [0.1, 0.02, 0.02, 0.8, 0.06]) == ["O", "O"]


def test_topic_logits_are_pooled_as_in_the_service() -> None:
    # The same values as in src/inference/token_mean.rs.
    assert pooled_topics(np.array([[1.0, -3.0], [2.0, 5.0]])).tolist() == [1.5, 1.0]
    assert pooled_topics(np.array([[1.0], [0.0]]), 1)[0] == pytest.approx(1 / (1 + np.exp(-1)))
    weights = pooled_topics(np.eye(500), 100)
    assert weights[[100, 139, 499]] / weights[0] == pytest.approx([np.exp(-1), 0.25, 0.25])
    rows = np.array([[4.0, -4], [4, -4], [-4, 4], [-4, 4], [-4, 0]])
    assert pooled_topics(rows, part_tokens=2).tolist() == [3.0, 1.0]
    assert pooled_topics(rows, part_tokens=4).tolist() == pytest.approx([-0.8, 0.0])
    assert pooled_topics(np.array([[1.0], [1.0], [1.5], [1.5]]), part_tokens=2).tolist() == [1.25]
    assert pooled_topics(np.zeros((0, 3)), 200, 200).tolist() == [0, 0, 0]


def test_spans_give_first_and_last_word() -> None:
    assert spans(["B-PER", "I-PER", "O", "B-LOC", "B-LOC"]) == [(0, 1, "PER"), (3, 3, "LOC"), (4, 4, "LOC")]
    assert spans([]) == []


PERSON, DOUBTFUL = [0.05, 0.8, 0.05, 0.05, 0.05], [0.1, 0.3, 0.0, 0.6, 0.0]
CLEAR, MISSED = [0.02, 0.04, 0.02, 0.9, 0.02], [0.6, 0.3, 0.02, 0.06, 0.02]
NOTHING, MORE = [0.96, 0.01, 0.01, 0.01, 0.01], [0.05, 0.05, 0.8, 0.05, 0.05]


@pytest.mark.parametrize(
    ("text", "tags", "scores", "expected"),
    [
        # The same names and scores as in decode/mentions.rs.
        ("Grass Grass Grass Grass", [1, 1, 3, 0], [PERSON, PERSON, DOUBTFUL, MISSED], [1, 1, 1, 1]),
        ("Grass Grass Grass", [1, 1, 3], [PERSON, PERSON, CLEAR], [1, 1, 3]),
        ("Golf Golf Golf", [0, 0, 3], [NOTHING, NOTHING, DOUBTFUL], [0, 0, 0]),
        (
            "Günter Grass | Günter Grass | Grass",
            [1, 2, 0, 3, 4, 0, 0],
            [PERSON, MORE, NOTHING, DOUBTFUL, [0.02, 0.02, 0.3, 0.02, 0.6], NOTHING, NOTHING],
            [1, 2, 0, 1, 2, 0, 0],
        ),
        ("Putin Putins", [1, 0], [PERSON, MISSED], [1, 1]),
        ("Grass Grass’", [1, 0], [PERSON, MISSED], [1, 1]),
        ("Putins Putin", [1, 0], [PERSON, MISSED], [1, 0]),
        ("Bosch Robert Bosch", [1, 3, 4], [PERSON, CLEAR, [0.2, 0.3, 0.1, 0.1, 0.3]], [1, 3, 4]),
    ],
)
def test_the_mentions_of_a_name_agree(
    text: str, tags: list[int], scores: list[list[float]], expected: list[int]
) -> None:
    words = TaggedText(text, [match.span() for match in re.finditer(r"\S+", text)], [])
    with np.errstate(divide="ignore"):
        assert TagDecoder(TAGS_OF_RUST).agreed(words, tags, np.log(np.array(scores))) == expected


def test_listed_names_raise_the_logits_of_their_words() -> None:
    encoding: Any = SimpleNamespace(ids=[1, 2, 3], offsets=[(0, 3), (4, 6), (6, 7)])
    words = TaggedText("Neu Ulm", [(0, 3), (4, 7)], [])
    pieces = first_pieces(encoding, words)
    names, logits = NameList({"Neu Ulm": "LOC"}, 3.0), np.zeros((3, 5))
    raised, listed = TagDecoder(TAGS).with_names(pieces, logits, words, names)
    assert raised.tolist() == [[-1.5, 0, 0, 3, 0], [-1.5, 0, 0, 0, 3], [0] * 5]
    assert (listed, logits.any()) == ([Listed("Neu Ulm", 0, 2, "LOC", False)], False)
    assert TagDecoder(TAGS).with_names(pieces, logits, words, None) == (logits, [])


def test_a_listed_name_that_the_model_reads_inside_a_longer_one_does_not_count() -> None:
    words = TaggedText("Neu Ulm", [(0, 3), (4, 7)], [])
    names = NameList({"Ulm": "LOC"}, 3.0)
    listed = [TagDecoder(TAGS).with_names([0, 1], rows("B-PER", tag), words, names)[1] for tag in ("I-PER", "B-PER")]
    assert listed == [[], [Listed("Ulm", 1, 1, "LOC", False)]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # The same cases as in decode/name_weights.rs.
        (["B-LOC", "O", "B-LOC", "O"], ["B-LOC", "I-LOC", "I-LOC", "O"]),
        (["B-LOC", "O", "B-PER", "O"], ["B-LOC", "I-LOC", "I-LOC", "O"]),
        (["B-LOC", "O", "O", "O"], ["B-LOC", "I-LOC", "I-LOC", "O"]),
        (["B-PER", "O", "B-LOC", "O"], ["B-PER", "O", "B-LOC", "O"]),
        (["O", "O", "B-LOC", "O"], ["O", "O", "B-LOC", "O"]),
    ],
)
def test_a_listed_name_stays_whole_where_its_first_word_has_its_label(given: list[str], expected: list[str]) -> None:
    decoder = TagDecoder(TAGS)
    tags = [TAGS.index(tag) for tag in given]
    found, _ = decoder.with_whole_names(tags, rows(*given), [Listed("", 0, 3, "LOC", False)])
    assert [TAGS[tag] for tag in found] == expected


def test_a_word_without_a_piece_is_outside_and_a_text_without_words_has_no_tags() -> None:
    encoding: Any = SimpleNamespace(ids=[1], offsets=[(0, 3)])
    words = TaggedText("Ulm x", [(0, 3), (4, 5)], [])
    assert TagDecoder(TAGS).word_tags(encoding, rows("B-LOC"), words) == ["B-LOC", "O"]
    assert TagDecoder(TAGS).word_tags(encoding, rows("O"), TaggedText("", [], [])) == []


def test_tags_of_served_words_reach_the_gold_words_that_are_parts_of_them() -> None:
    # The service has the word `Ulm-Süd`, the gold data `Ulm` and `-Süd`.
    gold = TaggedText("in Ulm-Süd", [(0, 2), (3, 6), (6, 10)], ["O", "B-LOC", "I-LOC"])
    encoding: Any = SimpleNamespace(ids=[1, 2], offsets=[(0, 2), (3, 10)])
    assert found_tags(TagDecoder(TAGS), encoding, rows("O", "B-LOC"), gold) == ["O", "B-LOC", "I-LOC"]


def test_a_name_is_left_out_where_its_best_mention_is_doubtful() -> None:
    text = "WERDER Werders Werder Ulm Neu-Ulm Süd"
    words = TaggedText(text, [match.span() for match in re.finditer(r"\S+", text)], [])
    tags = ["B-ORG", "B-ORG", "B-PER", "B-LOC", "B-LOC", "I-LOC"]
    scores = np.array([0.3, 0.5, 0.3, 0.2, 0.9, 0.1])
    for threshold, left in ((0.0, tags), (0.4, [*tags[:2], "O", "O", *tags[4:]]), (0.51, ["O"] * 6)):
        assert without_doubtful(tags, words, scores, threshold) == left
    # `Werders` is the genitive of `Werder`, if both have one label.
    assert without_doubtful(["B-ORG", "O", "B-ORG", "O", "O", "O"], words, scores, 0.4) == ["O"] * 6
    same = ["B-ORG", "B-ORG", "B-ORG", "O", "O", "O"]
    assert without_doubtful(same, words, scores, 0.4) == same
