"""Measures how many hard names and hard negatives a running service reads right, by kind. No training uses them.

    python -m scripts.train.hard_names --url http://127.0.0.1:8080 [--kind clubs] [--verbose] [--file …]

`data/hard-names.txt` has one header for each kind. Passages follow, with an empty line between them. `hard-names-2.txt`
was written later, when there was a list of names:

    ## kind: clubs
    Am Samstag kommt [Wacker](ORG) ins Waldstadion.

Only the marked names are judged. A name is right if the service returns its exact span and class. A negative,
`[Kiosk](O)`, is right if no entity overlaps it. The texts are read through the API, exactly as the service reads them.
"""

import argparse
import json
import re
import sys
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .labels import ENTITY_CLASSES
from .markup import NEWS, Entity, MarkupError, News, parse_markup, split_texts
from .words import WORD

HARD_NAMES = NEWS.parent / "hard-names.txt"
LATER_HARD_NAMES = NEWS.parent / "hard-names-2.txt"
HEADER = re.compile(r"## kind: (?P<kind>[a-z]+(?:-[a-z]+)*)")
NEGATIVE = "O"
BATCH = 32  # documents of one request

Read = Callable[[list[str]], list[set[Entity]]]


@dataclass(frozen=True)
class Passage:
    """A short text of one kind; `targets` are the names and negatives that are judged."""

    kind: str
    text: str
    targets: tuple[Entity, ...]

    def name(self, target: Entity) -> str:
        return self.text[target.start : target.end]


@dataclass(frozen=True)
class Verdict:
    passage: Passage
    target: Entity
    found: tuple[Entity, ...]  # what the service returned at the target

    @property
    def is_right(self) -> bool:
        return not self.found if self.target.label == NEGATIVE else self.found == (self.target,)

    def __str__(self) -> str:
        found = ", ".join(f"{self.passage.name(entity)} {entity.label}" for entity in self.found) or "nothing"
        return f"{self.passage.kind}: {self.passage.name(self.target)} {self.target.label}: found {found}"


def read_hard_names(file: Path = HARD_NAMES) -> list[Passage]:
    """All passages in the order of the file."""
    passages = []
    for number, header, body in split_texts(file.read_text(encoding="utf-8")):
        match = HEADER.fullmatch(header.rstrip())
        if match is None:
            raise MarkupError(f"{file.name}:{number}: not a header of a kind: {header!r}")
        for marked in re.split(r"\n(?:[ \t]*\n)+", body):
            try:
                text, targets = parse_markup(marked, (*ENTITY_CLASSES, NEGATIVE))
            except MarkupError as error:
                raise MarkupError(f"{file.name}:{number}: {error}") from error
            passages.append(Passage(match["kind"], text, targets))
    return passages


def passage_errors(passage: Passage) -> Iterable[str]:
    spans = [match.span() for match in WORD.finditer(passage.text)]
    starts, ends = {start for start, _ in spans}, {end for _, end in spans}
    if not passage.targets:
        yield f"{passage.kind}: no name is marked in {passage.text[:40]!r}"
    for target in passage.targets:
        if target.start not in starts or target.end not in ends:
            yield f"{passage.kind}: {passage.name(target)!r} cuts a word or is empty"


def trained_names(passages: Iterable[Passage], texts: Iterable[News]) -> set[str]:
    """The hard names that are entities of training texts; letter case and a genitive -s make no difference."""
    trained = {
        without_case_and_genitive(news.text[entity.start : entity.end])
        for news in texts
        if news.part == "train"
        for entity in news.entities
    }
    names = {p.name(target) for p in passages for target in p.targets if target.label != NEGATIVE}
    return {name for name in names if without_case_and_genitive(name) in trained}


def without_case_and_genitive(name: str) -> str:
    return name.casefold().removesuffix("s")


def judge(passages: list[Passage], read: Read) -> list[Verdict]:
    """Compares each target with the entities that overlap it."""
    verdicts = []
    for begin in range(0, len(passages), BATCH):
        batch = passages[begin : begin + BATCH]
        for passage, entities in zip(batch, read([passage.text for passage in batch]), strict=True):
            for target in passage.targets:
                found = [entity for entity in entities if entity.start < target.end and target.start < entity.end]
                verdicts.append(Verdict(passage, target, tuple(sorted(found, key=lambda entity: entity.start))))
    return verdicts


def service_reader(url: str) -> Read:
    """Reads documents through `POST /v1/classify`, with the options that a client gets by default."""

    def read(texts: list[str]) -> list[set[Entity]]:
        documents = [{"id": index, "text": text} for index, text in enumerate(texts)]
        body = json.dumps({"tasks": ["entities"], "documents": documents}).encode()
        request = urllib.request.Request(f"{url.rstrip('/')}/v1/classify", body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                results = json.load(response)["results"]
        except OSError as error:
            raise SystemExit(f"error: {url}: {error}; start the service, or wait until it is less busy") from error
        return [{Entity(e["start"], e["end"], e["label"]) for e in entities_of(result)} for result in results]

    return read


def entities_of(result: dict) -> list[dict]:
    if "error" in result:
        raise SystemExit(f"document {result.get('id')}: {result['error']['detail']}")
    return result["entities"]


def table(verdicts: list[Verdict]) -> str:
    rows = ["| kind | right | all | right of 100 |", "|---|---|---|---|"]
    for kind in (*dict.fromkeys(verdict.passage.kind for verdict in verdicts), "all"):
        group = [verdict for verdict in verdicts if kind in ("all", verdict.passage.kind)]
        n_right = sum(verdict.is_right for verdict in group)
        rows.append(f"| {kind} | {n_right} | {len(group)} | {100 * n_right / len(group):.0f} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="address of a running service, such as http://127.0.0.1:8080")
    parser.add_argument("--file", type=Path, default=HARD_NAMES, help="the passages (default: %(default)s)")
    parser.add_argument("--kind", help="only this kind")
    parser.add_argument("--verbose", action="store_true", help="list the misses")
    arguments = parser.parse_args()
    all_passages = read_hard_names(arguments.file)
    passages = [passage for passage in all_passages if arguments.kind in (None, passage.kind)]
    if not passages:
        print(f"error: no kind {arguments.kind}; the kinds are {', '.join(kinds(all_passages))}")
        return 1
    verdicts = judge(passages, service_reader(arguments.url))
    if arguments.verbose:
        print(*(verdict for verdict in verdicts if not verdict.is_right), sep="\n")
    print(table(verdicts))
    return 0


def kinds(passages: list[Passage]) -> list[str]:
    return list(dict.fromkeys(passage.kind for passage in passages))


if __name__ == "__main__":
    sys.exit(main())
