"""Step 3: the letter case of words, for texts that have lost it. Counts how words are written inside sentences and
writes the list `truecase.txt`, which goes into the model folder.

To a case-sensitive model, a text in capitals is like another language. Before such a text is cut into pieces, each word
gets its most frequent case: as in the list, else with a capital first letter. German writes names and compound nouns
that way, which no list contains. Lengths in bytes stay the same, so offsets do too."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from .config import Config, parse_arguments
from .records import read_texts, read_training_records
from .speeches import undo_latin1

# Letters, each with the combining characters that follow it.
WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*")
# What precedes the start of a sentence: the capital of its first word carries no information.
SENTENCE_END = re.compile(r"[.!?:…\n\"„“»«(\[–-]\s*$")
ROMAN_NUMERAL = re.compile(r"[IVXLCDM]+")
MIN_COUNT = 3
LONG_WORD = 5  # letters; a run of capitals without such a word counts as abbreviations
MIN_WORDS = 3  # of a text in lower case whose case is restored
LONG_RUN = 20  # words in a row without a capital, in a text that has capitals, that have lost their case


class Truecaser:
    """Restores the letter case of words in capitals, and of texts without any capitals."""

    def __init__(self, words: Iterable[str]):
        self._words = {word.lower(): word for word in words}

    def restore(self, text: str) -> str:
        matches = list(WORD.finditer(text))
        if len(matches) >= MIN_WORDS and not any(c.isupper() for c in text):
            chosen = matches
        else:
            chosen = [match for run in runs_without_case(matches) for match in run]
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
        return "".join(new if same_length(new, old) else old for new, old in zip(target, word, strict=True))


def runs_without_case(matches: list[re.Match]) -> Iterator[list[re.Match]]:
    """Maximal runs of words without a lower-case letter (`ß` may occur) that contain a long word, and long runs of
    words in small letters."""
    for (has_small, has_capital), group in groupby(matches, key=lambda match: letters(match.group())):
        run = list(group)
        if not has_small:
            has_lost_case = any(len(word.group()) >= LONG_WORD for word in run)
        else:
            has_lost_case = not has_capital and len(run) >= LONG_RUN
        if has_lost_case:
            yield run


def letters(word: str) -> tuple[bool, bool]:
    """Whether a word has a small letter, and whether it also has a capital."""
    has_small = has_small_letter(word)
    return has_small, has_small and any(map(str.isupper, word))


def has_small_letter(word: str) -> bool:
    return any(c.islower() and c != "ß" for c in word)


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
    """For each word in lower case, the count of each of its written forms inside sentences."""
    written: Counter = Counter()
    for text in texts:
        if text.isupper():
            continue
        for match in WORD.finditer(text):
            before = text[max(0, match.start() - 3) : match.start()]
            if match.start() and not SENTENCE_END.search(before):
                written[match.group()] += 1
    cases: dict[str, Counter] = defaultdict(Counter)
    for word, count in written.items():
        cases[word.lower()][word] += count
    return cases


def choose_words(cases: dict[str, Counter]) -> list[str]:
    """The words, sorted, whose most frequent form is not a capital followed by small letters. A word with `ß` is also
    listed with `ss`, as capitals spell it."""
    best = {word: count.most_common(1)[0][0] for word, count in cases.items() if count.total() >= MIN_COUNT}
    capitals = {word.replace("ß", "ss"): case.replace("ß", "ss") for word, case in best.items() if "ß" in word}
    return sorted(case for case in (capitals | best).values() if case != case.lower().capitalize())


def report(config: Config, truecaser: Truecaser) -> None:
    """Prints how many words get their original case, in texts that were not counted."""
    for name in ("entities/germeval2014.dev", "topics/denews.de.dev"):
        words = [m.group() for text in read_texts(config.paths.data, name) for m in list(WORD.finditer(text))[1:]]
        words = [word for word in words if len(word.upper()) == len(word)]
        n_right = sum(truecaser.restore_word(word.upper()) == word for word in words)
        print(f"{name}: {n_right / len(words):.2%} of {len(words)} words get their original case")


if __name__ == "__main__":
    main()
