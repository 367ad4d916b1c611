"""Names with their labels, for what the model does not know: a listed name adds a weight to the logits of its tags.

The service does the same to a text without characters that are not seen, such as soft hyphens, which it removes first.
`src/inference/decode/names.rs` and `name_weights.rs` describe the rule."""

import unicodedata
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

from .words import WORD, genitive_base, plain_spelling

# Written for this purpose by a language model, and read by a service through `names` in ressort.toml.
NAMES = Path(__file__).parent / "data" / "names.txt"

NO_NAME = "O"  # the label of words that are no name
BEFORE = "before "  # how the label of titles begins: the names after them have the label that follows
FACTOR_OF_NO_NAME = 1.5  # of the weight: models are surer of abbreviations than of unknown names
FACTOR_OF_TITLE = 2.0  # of the weight, where a name follows: models are sure that the two are one name
FACTOR_AFTER_TITLE = 1.5  # of the weight, for the name after a title: a surname may be a common noun
# Titles between another one and the name.
ACADEMIC = frozenset("Dr Prof Mag Dipl Ing Univ".split())
MAX_WORDS_BETWEEN = 12
MAX_INITIALS = 3
# What the name of a company ends in, and how many words after an abbreviation may end in one.
LEGAL_FORMS = frozenset("AG GmbH mbH KG KGaA OHG SE UG GbR eG e.V Ltd Inc Corp LLC".split())
WORDS_OF_COMPANY = 4
SHARE_OF_COMPOUND = 0.5  # of the weight: all of a compound may be a name
# Of the weight, from the logits of no name: a listed name is more surely a name than one of its label. An abbreviation
# may stand for something else.
SHARE_FROM_NO_NAME = 0.5


def is_no_name(label: str) -> bool:
    """Whether a label of a list is for words that are no name."""
    return label == NO_NAME or label.startswith(BEFORE)


@dataclass(frozen=True)
class Listed:
    """A listed name among the words of a text. `is_part`: it is the beginning of a compound, which is one word."""

    name: str  # as the list has it, in its plain spelling
    first: int
    n_words: int
    label: str
    is_part: bool

    @property
    def words(self) -> range:
        """The indices of its words."""
        return range(self.first, self.first + self.n_words)

    @property
    def is_no_name(self) -> bool:
        return is_no_name(self.label)

    @property
    def announced(self) -> str | None:
        """The label of the names that follow a title."""
        return self.label.removeprefix(BEFORE).lstrip() if self.label.startswith(BEFORE) and not self.is_part else None


class NameList:
    def __init__(self, labels: dict[str, str], weight: float):
        self.weight = weight
        self._labels = {_plain(name): label for name, label in labels.items()}
        self._longest: dict[str, int] = {}
        for name in self._labels:
            words = WORD.findall(name)
            self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))

    @classmethod
    def read(cls, file: Path, weight: float) -> "NameList":
        """One name a line, a tab, and its label; empty lines and lines that begin with `#` are ignored."""
        return cls(read_labels(file), weight)

    def __len__(self) -> int:
        return len(self._labels)

    def find(self, text: str, words: list[tuple[int, int]]) -> list[Listed]:
        """The listed names among the words of a text, in order. None overlaps another."""
        found, first = [], 0
        while first < len(words):
            listed = self._longest_at(text, words, first)
            if listed and listed.is_no_name and _begins_company(text, words[first:]):
                listed = None
            listed = listed or self._compound_at(text, words, first)
            if listed:
                found.append(listed)
            first += listed.n_words if listed else 1
        return found

    def find_in_usual_case(self, text: str, usual: str | None, words: list[tuple[int, int]]) -> list[Listed]:
        """The same for a text that has lost its letter case in some places, where `usual` has the usual one. A name
        counts in either, since words that the model folder does not list have no usual case (`HSV`)."""
        if usual is None or usual == text:
            return self.find(text, words)
        found = self.find(usual, words)
        taken = {word for listed in found for word in listed.words}
        found += [listed for listed in self.find(text, words) if taken.isdisjoint(listed.words)]
        return sorted(found, key=lambda listed: listed.first)

    def raised(self, listed: Listed) -> list[tuple[int, str, float]]:
        """The words of a name, the tags whose logits change there, and what is added to them."""
        if listed.is_no_name:
            words = range(listed.first, listed.first + (0 if listed.is_part else listed.n_words))
            return [(word, NO_NAME, self.weight * FACTOR_OF_NO_NAME) for word in words]
        if listed.is_part:
            raised = [(listed.first, f"B-{listed.label}part", self.weight * SHARE_OF_COMPOUND)]
        else:
            tags = [f"{'I' if index else 'B'}-{listed.label}" for index in range(listed.n_words)]
            raised = [(listed.first + index, tag, self.weight) for index, tag in enumerate(tags)]
        if not any(character.islower() for character in listed.name):
            return raised
        return raised + [(word, NO_NAME, -weight * SHARE_FROM_NO_NAME) for word, _, weight in raised]

    def raised_by_title(self, title: Listed, name: range) -> list[tuple[int, str, float]]:
        """The same for a title with a name after it, of which `name` are the surest words."""
        of_title = [(word, NO_NAME, self.weight * FACTOR_OF_TITLE) for word in title.words]
        weight = self.weight * FACTOR_AFTER_TITLE
        of_name = [(word, f"{'B' if word == name[0] else 'I'}-{title.announced}", weight) for word in name]
        return of_title + of_name

    def _longest_at(self, text: str, words: list[tuple[int, int]], first: int) -> Listed | None:
        word = _plain(text[slice(*words[first])])
        most = max(self._longest.get(nominative, 0) for nominative in _nominatives(word))
        for n_words in range(min(most, len(words) - first), 0, -1):
            name = _plain(text[words[first][0] : words[first + n_words - 1][1]])
            listed = next((nominative for nominative in _nominatives(name) if nominative in self._labels), None)
            if listed:
                return Listed(listed, first, n_words, self._labels[listed], False)
        return None

    def _compound_at(self, text: str, words: list[tuple[int, int]], first: int) -> Listed | None:
        word = _plain(text[slice(*words[first])])
        begins = [word[:index] for index, character in enumerate(word) if character == "-"]
        listed = next((begin for begin in reversed(begins) if begin in self._labels), None)
        return Listed(listed, first, 1, self._labels[listed], True) if listed else None


def names_after_titles(text: str, words: list[tuple[int, int]], listed: list[Listed]) -> dict[int, int]:
    """By the first word of each title, the first word of the name after it. The service does the same
    (decode/titles.rs)."""
    no_names = {name.first for name in listed if name.is_no_name}
    titles = [name for name in listed if name.announced]
    after = {title.first: _word_after(text, words, title.words[-1]) for title in titles}
    return {title: word for title, word in after.items() if word is not None and word not in no_names}


def after_initials(text: str, words: list[tuple[int, int]], first: int) -> int:
    """Where the name ends that begins with the word `first`, if that is an initial: after the next word that is none.
    Else the index after `first`."""

    def word(index: int) -> str:
        return text[slice(*words[index])] if index < len(words) else ""

    end = first + 1
    for _ in range(MAX_INITIALS):
        if not (len(word(end - 1)) <= 2 and word(end) == "." and word(end + 1)[:1].isupper()):
            break
        end += 2
    return end


def _word_after(text: str, words: list[tuple[int, int]], last: int) -> int | None:
    """The word that may begin a name after a title, whose last word is `last`."""
    end = words[last][1]
    for following in range(last + 1, min(len(words), last + 1 + MAX_WORDS_BETWEEN)):
        word, between = text[slice(*words[following])], text[end : words[following][0]]
        is_near = between.isspace() and between.count("\n") <= 1
        if not (not between and word == ".") and not (is_near and word in ACADEMIC):
            return following if is_near and word[0].isupper() else None
        end = words[following][1]
    return None


def _begins_company(text: str, words: list[tuple[int, int]]) -> bool:
    """Whether the first word begins a name that ends in a legal form."""
    others = (text[slice(*word)] for word in words[1 : 1 + WORDS_OF_COMPANY])
    of_name = dropwhile(
        lambda word: word not in LEGAL_FORMS and (word[0].isupper() or word in {"&", "+", "und"}), others
    )
    return next(of_name, "") in LEGAL_FORMS


def read_labels(file: Path) -> dict[str, str]:
    """The label of each name in a list."""
    pairs = [line.split("\t") for line in read_lines(file) if line.strip() and line[0] != "#"]
    return {name.strip(): label.strip() for name, label in pairs}


def read_lines(file: Path) -> list[str]:
    """The lines of a list, without a byte order mark. A line ends at a line feed alone, as the service reads it."""
    return file.read_bytes().decode("utf-8-sig").removesuffix("\n").split("\n")


def _plain(word: str) -> str:
    return plain_spelling(unicodedata.normalize("NFC", word))


def _nominatives(name: str) -> list[str]:
    """`name`, and what it is the genitive of if it is one."""
    short = genitive_base(name)
    long = name[:-2] if len(name) > 6 and name.endswith("es") else None
    return [name, *filter(None, (short, long))]
