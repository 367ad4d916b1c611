"""Step 3: the letter case of words, for texts that have lost theirs. Counts how words are written inside of sentences and
writes the list `truecase.txt`, which goes into the model folder.

A text in capitals reads to a case-sensitive model like another language. Before such a text is cut into pieces, each
word gets the case that it has most often: as the list says, or with a capital, which is how German writes what no list
has, names and compound nouns. Lengths in bytes stay as they are, so offsets do."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from .config import Config, parse_arguments
from .records import read_texts, read_training_records
from .speeches import undo_latin1

# Letters, each with the combining marks behind it.
WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*")
# What a sentence begins behind: its first word's capital says nothing.
SENTENCE_END = re.compile(r"[.!?:…\n\"„“»«(\[–-]\s*$")
ROMAN_NUMERAL = re.compile(r"[IVXLCDM]+")
MIN_COUNT = 3
LONG_WORD = 5  # letters; a run of capitals without such a word is taken for abbreviations
MIN_WORDS = 3  # of a text in lower case


class Truecaser:
    """Restores the letter case of what is in capitals, and of texts without any."""

    def __init__(self, words: Iterable[str]):
        self._words = {word.lower(): word for word in words}

    def restore(self, text: str) -> str:
        matches = list(WORD.finditer(text))
        if len(matches) >= MIN_WORDS and not any(c.isupper() for c in text):
            chosen = matches
        else:
            chosen = [match for run in runs_of_capitals(matches) for match in run]
        characters = list(text)
        for match in chosen:
            characters[match.start() : match.end()] = self.restore_word(match.group())
        return "".join(characters)

    def restore_word(self, word: str) -> str:
        if len(word) > 1 and ROMAN_NUMERAL.fullmatch(word):
            return word
        composed = unicodedata.normalize("NFC", word)
        target = self._words.get(composed.lower(), word.capitalize())
        if len(target) != len(word):  # the list is composed
            target = unicodedata.normalize("NFD", target)
        if len(target) != len(word):
            return word
        return "".join(new if same_length(new, old) else old for new, old in zip(target, word))


def runs_of_capitals(matches: list[re.Match]) -> Iterator[list[re.Match]]:
    """Maximal runs of words without a lower-case letter (`ß` apart) that have a long word among them."""
    run = []
    for match in [*matches, None]:
        if match and not any(c.islower() and c != "ß" for c in match.group()):
            run.append(match)
            continue
        if any(len(word.group()) >= LONG_WORD for word in run):
            yield run
        run = []


def same_length(one: str, other: str) -> bool:
    return len(one.encode()) == len(other.encode())


def read_truecaser(file: Path) -> Truecaser:
    return Truecaser(file.read_text(encoding="utf-8").split("\n")[:-1])


def main() -> None:
    config, _ = parse_arguments(__doc__)
    words = choose_words(count_cases(counted_texts(config)))
    config.paths.truecase.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    print(f"{len(words)} words that are not written with a capital first letter")
    report(config, read_truecaser(config.paths.truecase))


def counted_texts(config: Config) -> Iterator[str]:
    data = config.paths.data
    yield from read_texts(data, "text/wiki")
    yield from map(undo_latin1, read_texts(data, "text/bundestag", config.vocabulary.bundestag_speeches))
    for name in ("entities/germeval2014.train", "topics/denews.de.train", "topics/dip.train"):
        yield from (record["text"] for record in read_training_records(data, name))


def count_cases(texts: Iterable[str]) -> dict[str, Counter]:
    """For each word in lower case, how often it is written how, inside of sentences."""
    written: Counter = Counter()
    for text in texts:
        if text.isupper():
            continue
        for match in WORD.finditer(text):
            before = text[max(0, match.start() - 3) : match.start()]
            if match.start() and not SENTENCE_END.search(before):
                written[match.group()] += 1
    cases = defaultdict(Counter)
    for word, count in written.items():
        cases[word.lower()][word] += count
    return cases


def choose_words(cases: dict[str, Counter]) -> list[str]:
    """The words, sorted, whose most frequent case is not a capital with small letters behind it. Words with `ß` are listed
    with `ss` too, which is how capitals spell it."""
    best = {word: count.most_common(1)[0][0] for word, count in cases.items() if count.total() >= MIN_COUNT}
    capitals = {word.replace("ß", "ss"): case.replace("ß", "ss") for word, case in best.items() if "ß" in word}
    return sorted(case for case in (capitals | best).values() if case != case.lower().capitalize())


def report(config: Config, truecaser: Truecaser) -> None:
    """Prints how many words of texts that were not counted get their own case back."""
    for name in ("entities/germeval2014.dev", "topics/denews.de.dev"):
        words = [m.group() for text in read_texts(config.paths.data, name) for m in list(WORD.finditer(text))[1:]]
        words = [word for word in words if len(word.upper()) == len(word)]
        n_right = sum(truecaser.restore_word(word.upper()) == word for word in words)
        print(f"{name}: {n_right / len(words):.2%} of {len(words)} words get their case back")


if __name__ == "__main__":
    main()
