"""Listed names are found as the service finds them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from scripts.train.decode import TagDecoder
from scripts.train.entities import TaggedText
from scripts.train.names import NAMES, NameList, after_initials, names_after_titles, read_labels
from scripts.train.prune_names import count_uses, find_misleading
from scripts.train.words import LINK_WORDS, WORD

if TYPE_CHECKING:
    from tokenizers import Encoding

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "names.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["text"][:30])
def test_names_are_found_as_in_the_service(case: dict) -> None:
    text = case["text"]
    words = [match.span() for match in WORD.finditer(text)]
    found = [
        [text[words[name.first][0] : words[name.first + name.n_words - 1][1]], name.label + " part" * name.is_part]
        for name in NameList(REFERENCE["names"], 1.0).find_in_usual_case(text, case.get("usual"), words)
    ]
    assert found == case["found"]


def test_the_words_that_link_a_name_are_those_of_the_service() -> None:
    assert set(REFERENCE["link_words"].split()) == LINK_WORDS


def test_a_decomposed_text_has_the_names_of_a_composed_list_and_the_other_way_round() -> None:
    composed, decomposed = "1. FC Köln", "1. FC Ko\u0308ln"
    for name, text in ((composed, decomposed), (decomposed, composed), (decomposed, decomposed)):
        words = [match.span() for match in WORD.finditer(f"Der {text}s Fans")]
        assert [listed.n_words for listed in NameList({name: "ORG"}, 1.0).find(f"Der {text}s Fans", words)] == [4]


class OnePieceAWord:
    """The encoding of a tokenizer that leaves words whole."""

    def __init__(self, words: list[tuple[int, int]]) -> None:
        self.offsets, self.ids = words, list(range(len(words)))


def test_a_listed_name_adds_its_weight_to_the_logits_of_its_tags() -> None:
    text = "Werder Bremen siegt"
    words = [match.span() for match in WORD.finditer(text)]
    tags = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]
    logits = np.array([[0.0, 2, 0, 1, 0], [0, 0, 2, 0, 1], [3, 0, 0, 0, 0]])

    encoding = cast("Encoding", OnePieceAWord(words))

    def read(names: NameList | None) -> list[str]:
        return TagDecoder(tags).word_tags(encoding, logits, TaggedText(text, words, []), names=names)

    listed = {"Werder Bremen": "ORG"}
    assert read(None) == ["B-PER", "I-PER", "O"]
    assert read(NameList(listed, 0.5)) == ["B-PER", "I-PER", "O"]
    assert read(NameList(listed, 1.5)) == ["B-ORG", "I-ORG", "O"]
    assert read(NameList({"Werder Bremen": "O"}, 5.0)) == ["O", "O", "O"]
    assert read(NameList({"Bremen": "O"}, 5.0)) == ["B-PER", "I-PER", "O"]  # inside a longer name


def test_a_listed_name_counts_nowhere_in_a_text_with_a_longer_name_of_another_label() -> None:
    text = "Carl Henkel und Henkel"
    words = [match.span() for match in WORD.finditer(text)]
    tags = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]
    logits = np.array([[0.0, 4, 0, 0, 0], [0, 0, 4, 0, 0], [4, 0, 0, 0, 0], [0, 2, 0, 1, 0]])
    encoding = cast("Encoding", OnePieceAWord(words))

    def last_tag(label: str) -> str:
        tagged = TaggedText(text, words, [])
        return TagDecoder(tags).word_tags(encoding, logits, tagged, names=NameList({"Henkel": label}, 3.0))[-1]

    assert last_tag("ORG") == "B-PER"
    logits[1] = [4, 0, 0, 0, 0]
    assert last_tag("ORG") == "B-ORG"


def test_a_name_after_what_is_no_name_has_another_label() -> None:
    text = "KHK Lorenz Maria"
    words = [match.span() for match in WORD.finditer(text)]
    tags = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]
    logits = np.array([[0.0, 0, 0, 4, 0], [0, 1, 3, 0, 8], [0, 0, 3, 0, 8]])
    encoding = cast("Encoding", OnePieceAWord(words))

    def read(listed: str) -> list[str]:
        tagged = TaggedText(text, words, [])
        return TagDecoder(tags).word_tags(encoding, logits, tagged, names=NameList({listed: "O"}, 6.0))

    assert read("StVO") == ["B-ORG", "I-ORG", "I-ORG"]
    assert read("KHK") == ["O", "B-PER", "I-PER"]


def test_a_name_follows_a_title() -> None:
    # The same cases as in decode/name_weights.rs.
    tags = ["O", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    one_name, one_person = [[0.0, 4, 0, 0, 0], [0, 0, 4, -1, 0]], [[0.0, 0, 0, 4, 0], [0, 0, 0, 0, 4]]
    unknown = [[0.0, 4, 0, 0, 0], [4, 0, 0, 0, 0]]

    def read(text: str, listed: dict[str, str], logits: list[list[float]], weight: float = 3.0) -> list[str]:
        words = [match.span() for match in WORD.finditer(text)]
        encoding, names = cast("Encoding", OnePieceAWord(words)), NameList(listed, weight)
        return TagDecoder(tags).word_tags(encoding, np.array(logits), TaggedText(text, words, []), names=names)

    title = {"KHK": "before PER"}
    for logits in (one_name, one_person):
        assert read("KHK Lorenz", {"KHK": "O"}, logits) == ["O", "O"]
        assert read("KHK Lorenz", title, logits) == ["O", "B-PER"]
    assert read("KHK Lorenz", title, unknown) == ["O", "B-PER"]
    assert read("KHK lorenz", title, unknown) == ["O", "O"]
    assert read("KHK Lorenz", title | {"Lorenz": "ORG"}, unknown) == ["O", "B-PER"]
    assert read("KHK Dr", title | {"Dr": "O"}, unknown) == ["O", "O"]
    assert read("KHK Heinz Pfaff", title, [*one_name, [0.0, 0, 4, 0, -1]]) == ["O", "B-PER", "I-PER"]
    two = title | {"POM": "before PER"}
    assert read("KHK POM Braun", two, [unknown[0], *unknown]) == ["O", "O", "B-PER"]
    of_company = [*unknown, [0.0, 1, 0, 0, 0]]
    assert read("KHK Bayern München", title | {"Bayern München": "ORG"}, of_company, 4.0) == ["O", "B-ORG", "I-ORG"]


@pytest.mark.parametrize("case", REFERENCE["after_titles"], ids=lambda case: case["text"])
def test_a_name_follows_a_title_at_once_as_in_the_service(case: dict) -> None:
    text = case["text"]
    words = [match.span() for match in WORD.finditer(text)]
    listed = NameList({"KHK": "before PER", "Bgm": "before PER"}, 1.0).find(text, words)
    ends = [(first, after_initials(text, words, first)) for first in names_after_titles(text, words, listed).values()]
    found = [text[words[first][0] : words[end - 1][1]] for first, end in ends]
    assert found == ([case["name"]] if case["name"] else [])


def test_a_name_that_training_texts_use_otherwise_is_misleading() -> None:
    labels = {"Zeit": "ORG", "Werder": "ORG", "Werder Bremen": "ORG", "Otto": "ORG", "Gorch Fock": "OTH"}
    labels |= {"Zug um Zug": "OTH", "Stadt und Land": "ORG"}

    def record(text: str, *entities: tuple[str, str]) -> dict:
        spans = [(text.index(name), name, label) for name, label in entities]
        return {"text": text, "entities": [{"start": a, "end": a + len(n), "label": label} for a, n, label in spans]}

    records = [
        record("Die Zeit heilt.", ("heilt", "OTH")),
        record("Laut Zeit siegt Werder Bremen.", ("Zeit", "ORG"), ("Werder Bremen", "ORG")),
        record("Werder siegt.", ("Werder", "ORG")),
        record("Zeit und Zeit, Zeitgeist"),
        record("Otto Brenner", ("Otto Brenner", "PER")),
        record("Zug um Zug zieht es Stadt und Land, ja Stadt und Land, weiter."),
        record("Die Gorch-Fock-Stiftung ehrt Gorch Fock", ("Gorch Fock", "OTH")),
    ]
    uses = count_uses(labels, records)
    assert uses["Zeit"] == {"O": 3, "ORG": 1}
    assert set(find_misleading(labels, uses)) == {"Zeit", "Otto", "Stadt und Land"}


def test_a_list_is_read_as_the_service_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeffWerder\tORG\r\n\n# clubs\nNeu\u2028Ulm \t LOC\nA\u0085B\tOTH".encode())
    assert read_labels(file) == {"Werder": "ORG", "Neu\u2028Ulm": "LOC", "A\u0085B": "OTH"}


def test_the_list_that_ships_has_each_name_once() -> None:
    lines = NAMES.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("#") and "\t" in line] == []  # a comment, and no name
    names = [line.split("\t")[0] for line in lines]
    assert len(NameList.read(NAMES, 1.0)) == len(set(names)) == len(names) > 10_000
