"""The rules that restore letter case; tests/reference/truecase.json holds their results for the service."""

from collections import Counter

import pytest

from scripts.train.truecase import Truecaser, choose_words, count_cases

WORDS = ["in", "und", "die", "NATO", "groß", "gross", "über"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("ANGELA MERKEL IN BERLIN", "Angela Merkel in Berlin"),
        ("Die NATO und die EU", "Die NATO und die EU"),  # abbreviations without a long word stay
        ("HEINRICH XIV. IN BONN", "Heinrich XIV. in Bonn"),
        ("angela merkel und die nato", "Angela Merkel und die NATO"),
        ("angela merkel", "angela merkel"),  # two words say too little
        ("angela merkel Spricht", "angela merkel Spricht"),
        ("ÜBER DIE GROSSE ALM", "über die Grosse Alm"),
        ("GROSS IN BERLIN", "gross in Berlin"),
    ],
)
def test_case_is_restored_where_it_is_lost(text: str, expected: str) -> None:
    assert Truecaser(WORDS).restore(text) == expected


@pytest.mark.parametrize(
    "text", ["İSTANBUL IST GROSS", "ﬁNANZEN UND ﬂOH", "MU\u0308NCHEN UND KÖLN", "😀 KÖLN IST WEIT"]
)
def test_lengths_in_bytes_never_change(text: str) -> None:
    restored = Truecaser(WORDS).restore(text)
    assert [len(c.encode()) for c in restored] == [len(c.encode()) for c in text]


def test_the_first_word_of_a_sentence_is_not_counted() -> None:
    cases = count_cases(["Der Hund und der Ball. Die Katze: Das Tier", "NUR GROSSE WORTE"])
    assert cases["der"] == Counter({"der": 1})
    assert "die" not in cases
    assert "das" not in cases
    assert "grosse" not in cases


def test_the_most_frequent_form_is_listed_unless_it_is_a_plain_capital() -> None:
    cases = {
        "hund": Counter({"Hund": 9}),
        "groß": Counter({"groß": 5, "Groß": 1}),
        "nato": Counter({"NATO": 3}),
        "selten": Counter({"selten": 2}),
    }
    assert choose_words(cases) == ["NATO", "gross", "groß"]
