"""Names that a document repeats: how many have two labels or a missed mention, as a running service reads them.

    python -m scripts.train.repeated_names --url http://127.0.0.1:8080 --texts ../shared/data/text/wiki.jsonl.gz

`--texts` is a gzipped file of JSON lines with a `text` each. A mention is a whole-word match of a name that the service
found in the document, also with a genitive -s, and no part of a longer entity. There are no gold labels: a name with
two meanings in one document counts as inconsistent, and a name that is never found does not count.
"""

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from .hard_names import BATCH, service_reader
from .markup import Entity
from .words import WORD

MISSED = "nothing"
MAX_CHARACTERS = 3_000  # of a text, cut at a line end: the length of a long news article


@dataclass(frozen=True)
class RepeatedName:
    """A name with two or more mentions in one document, and the label of each; `MISSED` where it has none."""

    name: str
    labels: tuple[str, ...]

    @property
    def is_consistent(self) -> bool:
        return len(set(self.labels)) == 1

    def __str__(self) -> str:
        return f"{self.name}: " + ", ".join(f"{n} {label}" for label, n in Counter(self.labels).most_common())


def repeated_names(text: str, entities: Iterable[Entity]) -> Iterator[RepeatedName]:
    """The names among `entities` that `text` mentions more than once."""
    labels = {(entity.start, entity.end): entity.label for entity in entities}
    covered = {position for span in labels for position in range(*span)}
    found = {text[start:end] for start, end in labels}
    words = [match.span() for match in WORD.finditer(text)]
    for name in sorted(found):
        if name.removesuffix("s") != name and name.removesuffix("s") in found:
            continue  # a genitive counts as its base
        length = len(WORD.findall(name))
        spans = [(words[first][0], words[first + length - 1][1]) for first in range(len(words) - length + 1)]
        mentions = [span for span in spans if text[slice(*span)] in (name, f"{name}s")]
        of_mentions = [
            labels.get(span, MISSED) for span in mentions if span in labels or covered.isdisjoint(range(*span))
        ]
        if len(of_mentions) > 1:
            yield RepeatedName(name, tuple(of_mentions))


def read_articles(file: Path, limit: int) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in islice(lines, limit)]
    return [text if len(text) <= MAX_CHARACTERS else _whole_lines(text[:MAX_CHARACTERS]) for text in texts]


def _whole_lines(text: str) -> str:
    return text.rpartition("\n")[0] or text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="address of a running service, such as http://127.0.0.1:8080")
    parser.add_argument("--texts", type=Path, required=True, help="gzipped JSON lines with a text each")
    parser.add_argument("--limit", type=int, default=120, help="number of texts, from the first")
    parser.add_argument("--verbose", action="store_true", help="list the names that are not consistent")
    arguments = parser.parse_args()
    texts, read = read_articles(arguments.texts, arguments.limit), service_reader(arguments.url)
    n_names = n_inconsistent = n_texts = 0
    for begin in range(0, len(texts), BATCH):
        batch = texts[begin : begin + BATCH]
        for text, entities in zip(batch, read(batch), strict=True):
            names = list(repeated_names(text, entities))
            wrong = [name for name in names if not name.is_consistent]
            n_names, n_inconsistent, n_texts = n_names + len(names), n_inconsistent + len(wrong), n_texts + bool(wrong)
            if arguments.verbose and wrong:
                print(f"{text[:50]!r}: " + "; ".join(map(str, wrong)))
    share = n_inconsistent / max(n_names, 1)
    where = f"in {n_texts} of {len(texts)} texts"
    print(f"{n_inconsistent} of {n_names} repeated names ({share:.1%}) are inconsistent, {where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
