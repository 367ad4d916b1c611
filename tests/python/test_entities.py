"""The alignment of gold labels with the service's words and the tokenizer's pieces."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.train.entities import (
    MAX_TOKENS,
    WORD,
    Encoder,
    TaggedText,
    alter_tagged,
    encode_tagged,
    first_pieces,
    group_sentences,
    join,
    join_with,
    split_as_served,
    tag_pieces,
    tag_words,
)
from scripts.train.labels import ENTITY_INDEX, UNLABELLED
from scripts.train.truecase import Truecaser


def encoding(*offsets: tuple[int, int]) -> Any:
    return SimpleNamespace(ids=list(range(len(offsets))), offsets=list(offsets))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Berlin-Mitte, 5.", ["Berlin-Mitte", ",", "5", "."]),
        ("3,5 Mio., d.h. C&A", ["3,5", "Mio", ".", ",", "d.h", ".", "C&A"]),
        ("Bürger*innen „Ja“", ["Bürger*innen", "„", "Ja", "“"]),
        ("Vor- und Nachteile", ["Vor-", "und", "Nachteile"]),
        ("Vor\u2010 und Nach\u2011 teile", ["Vor\u2010", "und", "Nach\u2011", "teile"]),
        ("Ko\u0308ln-Su\u0308d, Cafe\u0301", ["Ko\u0308ln-Su\u0308d", ",", "Cafe\u0301"]),
        ("1 =\u0338 2", ["1", "=\u0338", "2"]),
    ],
)
def test_words_are_those_of_the_service(text: str, words: list[str]) -> None:
    assert WORD.findall(text) == words


def test_a_token_inside_an_entity_is_tagged_and_the_first_begins_it() -> None:
    record = {
        "text": "Angela Merkel in Ulm",
        "token_spans": [[0, 6], [7, 13], [14, 16], [17, 20]],
        "entities": [{"start": 0, "end": 13, "label": "PER"}, {"start": 17, "end": 20, "label": "LOC"}],
    }
    tagged = tag_words(record)
    assert tagged.tags == ["B-PER", "I-PER", "O", "B-LOC"]
    assert tagged.words[1] == (7, 13)


def test_a_gold_token_of_several_words_continues_its_tag() -> None:
    served = split_as_served(TaggedText("Apple Inc. ja", [(0, 5), (6, 10), (11, 13)], ["B-ORG", "I-ORG", "O"]))
    assert served.words == [(0, 5), (6, 9), (9, 10), (11, 13)]
    assert served.tags == ["B-ORG", "I-ORG", "I-ORG", "O"]


def test_the_first_piece_of_a_word_ignores_leading_white_space() -> None:
    words = TaggedText("Im Ulm", [(0, 2), (3, 6)], [])
    assert first_pieces(encoding((0, 2), (2, 5), (5, 6)), words) == [0, 1]


def test_a_word_in_the_middle_of_a_piece_shares_it_and_a_dropped_word_has_none() -> None:
    words = TaggedText("a)b c", [(0, 1), (1, 2), (2, 3), (4, 5)], [])
    assert first_pieces(encoding((0, 2), (2, 3)), words) == [0, 0, 1, None]


def test_a_piece_keeps_the_tag_of_its_first_word() -> None:
    tagged = TaggedText("(Ulm", [(0, 1), (1, 4)], ["O", "B-LOC"])
    assert tag_pieces(encoding((0, 0), (0, 4), (0, 0)), tagged) == [None, "O", None]


def test_a_long_text_is_cut_and_keeps_its_last_special_token() -> None:
    n_words = MAX_TOKENS + 5
    text = "a " * n_words
    words = [(2 * index, 2 * index + 1) for index in range(n_words)]
    offsets = [(0, 0), *words, (0, 0)]
    tokenizer: Any = SimpleNamespace(
        encode=lambda _text: SimpleNamespace(ids=list(range(len(offsets))), offsets=offsets)
    )
    example = encode_tagged(TaggedText(text, words, ["O"] * n_words), Encoder(tokenizer, Truecaser([])))
    assert len(example.input_ids) == len(example.tags) == MAX_TOKENS + 2
    assert example.input_ids[-1] == n_words + 1
    assert example.tags[0] == example.tags[-1] == UNLABELLED
    assert example.tags[1] == ENTITY_INDEX["O"]


def test_altered_spans_cover_the_same_words() -> None:
    text = "Größe in „München“."
    tagged = TaggedText(text, [(0, 5), (6, 8), (10, 17), (18, 19)], ["O", "O", "B-LOC", "O"])
    for name in ("transliterated", "nfd", "upper", "no_punctuation"):
        altered = alter_tagged(tagged, name, random.Random(1))
        start, end = altered.words[altered.tags.index("B-LOC")]
        assert altered.text[start:end].lower() in ("münchen", "muenchen", "mu\u0308nchen")
    assert len(alter_tagged(tagged, "no_punctuation").words) == 3


def test_joined_sentences_move_their_spans() -> None:
    group = [TaggedText("Ulm.", [(0, 3), (3, 4)], ["B-LOC", "O"]), TaggedText("Bonn", [(0, 4)], ["B-LOC"])]
    joined = join_with(group, lambda: "\n\n")
    assert joined.text == "Ulm.\n\nBonn"
    assert joined.words == [(0, 3), (3, 4), (6, 10)]
    assert join(group[:1], random.Random(1)) == group[0]


def test_groups_keep_the_order_and_lose_no_sentence() -> None:
    sentences = [TaggedText(str(number), [], []) for number in range(500)]
    groups = group_sentences(sentences, 0.4, [2, 6], random.Random(3))
    assert [sentence for group in groups for sentence in group] == sentences
    share = sum(len(group) == 1 for group in groups) / 500
    assert share == pytest.approx(0.4, abs=0.1)
