"""Reads labelled news in plain inline markup, checks it, and writes it for `ressort evaluate`.

A file below `scripts/train/data/news/` is one genre. Each text starts with a header line; the text follows it:

    ## id: results-003 | topics: sport | part: train
    Der [FC Augsburg](ORG) siegt.

A literal bracket or backslash, and a `##` at the start of a line, has a backslash in front.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .labels import ENTITY_CLASSES, TOPIC_INDEX, TOPICS
from .words import WORD

NEWS = Path(__file__).parent / "data" / "news"
PARTS = ("train", "dev")
HEADER = re.compile(r"## id: (?P<id>[a-z0-9-]+) \| topics: (?P<topics>[a-z_, ]+) \| part: (?P<part>[a-z]+)")
LABEL = re.compile(r"\]\(([A-Za-z]+)\)")
MIN_REPEATED = 3  # shorter names, such as initials, also occur as something else


class MarkupError(ValueError):
    """A text that cannot be read; the message says what and where."""


@dataclass(frozen=True)
class Entity:
    """Half-open, in code points of the text without markup."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class News:
    id: str
    genre: str
    part: str
    topics: tuple[str, ...]
    text: str
    entities: tuple[Entity, ...]

    def record(self) -> dict:
        """The form of the other data sets; `token_spans` are the service's words."""
        return {
            "id": self.id,
            "genre": self.genre,
            "part": self.part,
            "text": self.text,
            "token_spans": [list(match.span()) for match in WORD.finditer(self.text)],
            "entities": [{"start": e.start, "end": e.end, "label": e.label} for e in self.entities],
            "iptc": list(self.topics),
        }

    def gold(self) -> dict:
        """The form that `ressort evaluate` reads, with the labels of the models that ship."""
        return {
            "id": self.id,
            "text": self.text,
            "topics": [TOPICS[TOPIC_INDEX[slug]].german for slug in self.topics],
            "entities": [{"start": e.start, "end": e.end, "label": e.label} for e in self.entities],
        }


@dataclass
class Report:
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_news(folder: Path = NEWS, part: str | None = None) -> list[News]:
    """All texts below `folder` in the order of their files, or those of one part."""
    texts = [news for file in sorted(folder.glob("*.txt")) for news in read_file(file)]
    return [news for news in texts if part in (None, news.part)]


def read_file(file: Path) -> list[News]:
    """The texts of one genre; the genre is the file's name."""
    return parse_file(file.read_text(encoding="utf-8"), file.stem)


def parse_file(content: str, genre: str) -> list[News]:
    texts = []
    for number, header, body in split_texts(content):
        match = HEADER.fullmatch(header.rstrip())
        if match is None:
            raise MarkupError(f"{genre}:{number}: not a header: {header!r}")
        try:
            text, entities = parse_markup(body)
        except MarkupError as error:
            raise MarkupError(f"{genre}:{number}: {match['id']}: {error}") from error
        topics = tuple(slug.strip() for slug in match["topics"].split(","))
        texts.append(News(match["id"], genre, match["part"], topics, text, entities))
    return texts


def split_texts(content: str) -> Iterator[tuple[int, str, str]]:
    """Line number, header and body of each text."""
    lines = content.split("\n")
    starts = [index for index, line in enumerate(lines) if line.startswith("##")]
    head = "\n".join(lines[: starts[0] if starts else len(lines)]).strip()
    if head:
        raise MarkupError(f"text before the first header: {head[:40]!r}")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start + 1, lines[start], "\n".join(lines[start + 1 : end]).strip("\n")


def parse_markup(marked: str, labels: Sequence[str] = ENTITY_CLASSES) -> tuple[str, tuple[Entity, ...]]:
    """The text without markup, and its entities, which have one of `labels`."""
    text: list[str] = []
    entities: list[Entity] = []
    opened: int | None = None
    position = 0
    while position < len(marked):
        character = marked[position]
        if character == "\\" and marked[position + 1 : position + 2] in ("[", "]", "\\", "#"):
            text.append(marked[position + 1])
            position += 2
        elif character == "[":
            if opened is not None:
                raise MarkupError(f"'[' inside an entity: {excerpt(marked, position)}")
            opened = len(text)
            position += 1
        elif character == "]":
            match = LABEL.match(marked, position)
            if opened is None or match is None:
                raise MarkupError(f"']' without entity or label: {excerpt(marked, position)}")
            if match[1] not in labels:
                raise MarkupError(f"unknown label {match[1]}: {excerpt(marked, position)}")
            entities.append(Entity(opened, len(text), match[1]))
            opened = None
            position = match.end()
        else:
            text.append(character)
            position += 1
    if opened is not None:
        raise MarkupError(f"'[' is never closed: {''.join(text[opened : opened + 40])!r}")
    return "".join(text), tuple(entities)


def excerpt(marked: str, position: int) -> str:
    return repr(marked[max(0, position - 20) : position + 20])


def to_markup(text: str, entities: tuple[Entity, ...]) -> str:
    """The inverse of `parse_markup`."""
    parts, position = [], 0
    for entity in entities:
        parts.append(escape(text[position : entity.start]))
        parts.append(f"[{escape(text[entity.start : entity.end])}]({entity.label})")
        position = entity.end
    parts.append(escape(text[position:]))
    return re.sub(r"^##", r"\\##", "".join(parts), flags=re.MULTILINE)


def escape(text: str) -> str:
    return re.sub(r"([\[\]\\])", r"\\\1", text)


def check(texts: list[News]) -> Report:
    report = Report()
    for name, count in Counter(news.id for news in texts).items():
        if count > 1:
            report.errors.append(f"{name}: the id is used {count} times")
    for news in texts:
        report.errors += [f"{news.id}: {message}" for message in text_errors(news)]
        report.warnings += [f"{news.id}: {message}" for message in repeated_names(news)]
    return report


def text_errors(news: News) -> Iterator[str]:
    if not news.text.strip():
        yield "the text is empty"
    if news.part not in PARTS:
        yield f"unknown part {news.part}"
    for slug in news.topics:
        if slug not in TOPIC_INDEX:
            yield f"unknown topic {slug}"
    if len(set(news.topics)) < len(news.topics):
        yield "a topic is named twice"
    spans = [match.span() for match in WORD.finditer(news.text)]
    starts, ends = {start for start, _ in spans}, {end for _, end in spans}
    for entity in news.entities:
        name = news.text[entity.start : entity.end]
        if entity.start not in starts or entity.end not in ends:
            yield f"entity {name!r} cuts a word or is empty"
        elif "\n" in name:
            yield f"entity {name!r} goes over the end of a line"


def repeated_names(news: News) -> Iterator[str]:
    """Names with two labels in one text, and names that are unlabelled elsewhere in it."""
    labels: dict[str, set[str]] = {}
    for entity in news.entities:
        labels.setdefault(news.text[entity.start : entity.end], set()).add(entity.label)
    for name, found in labels.items():
        if len(found) > 1:
            yield f"{name!r} is {' and '.join(sorted(found))}"
        if len(name) >= MIN_REPEATED:
            n_unlabelled = sum(
                not any(e.start < match.end() and match.start() < e.end for e in news.entities)
                for match in re.finditer(rf"(?<![\w-]){re.escape(name)}(?![\w-])", news.text)
            )
            if n_unlabelled:
                yield f"{name!r} is also unlabelled, {n_unlabelled} times"


def count_sentences(text: str) -> int:
    """Lines, cut after a final stop that a capital or a quotation mark follows; abbreviations make it an estimate."""
    stop = re.compile(r"(?<=\w\w[.!?])[“\"»]?\s+(?=[A-ZÄÖÜ„»\"])")
    return sum(bool(piece.strip()) for line in text.split("\n") for piece in stop.split(line))


def summary(texts: list[News]) -> str:
    """Texts, sentences and entities by genre and part; entities by label; texts by topic."""
    lines = [f"{'genre':24} {'part':6} {'texts':>6} {'sentences':>10} {'words':>7} {'entities':>9}"]
    groups = [(genre, part) for genre in sorted({news.genre for news in texts}) for part in PARTS]
    for genre, part in [*groups, *(("all", part) for part in PARTS)]:
        group = [news for news in texts if genre in ("all", news.genre) and news.part == part]
        lines.append(
            f"{genre:24} {part:6} {len(group):6} {sum(count_sentences(news.text) for news in group):10} "
            f"{sum(len(WORD.findall(news.text)) for news in group):7} {sum(len(news.entities) for news in group):9}"
        )
    labels = Counter((e.label, news.part) for news in texts for e in news.entities)
    lines.append("entities (train + dev): ")
    lines.append("  " + ", ".join(f"{name} {labels[name, 'train']} + {labels[name, 'dev']}" for name in ENTITY_CLASSES))
    topics = Counter((slug, news.part) for news in texts for slug in news.topics)
    lines.append("topics (train + dev): ")
    lines.append("  " + ", ".join(f"{slug} {topics[slug, 'train']} + {topics[slug, 'dev']}" for slug in TOPIC_INDEX))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if a text breaks a rule of the format")
    parser.add_argument("--news", type=Path, default=NEWS, help="folder of the texts")
    parser.add_argument("--part", choices=PARTS, help="read the texts of this part alone")
    parser.add_argument("--gold", type=Path, help="write the texts to this file, one JSON object a line")
    arguments = parser.parse_args()
    try:
        texts = read_news(arguments.news, arguments.part)
    except MarkupError as error:
        print(f"error: {error}")
        return 1
    report = check(texts)
    print(*(f"warning: {message}" for message in report.warnings), sep="\n")
    print(*(f"error: {message}" for message in report.errors), sep="\n")
    print(summary(texts))
    if arguments.gold:
        lines = (json.dumps(news.gold(), ensure_ascii=False) + "\n" for news in texts)
        arguments.gold.write_text("".join(lines), encoding="utf-8")
    return 1 if report.errors and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
