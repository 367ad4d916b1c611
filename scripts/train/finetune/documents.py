"""Reads and checks the labelled documents and their labels. An error names the file, the line and the remedy."""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .settings import Settings, Topics


@dataclass(frozen=True)
class Document:
    """`entities` (`start`, `end`, `label`; in text order, without overlaps) and `topics` are `None` where the document
    is not labelled for that task, or the model does not do it."""

    position: str  # file and line
    text: str
    entities: list[dict] | None
    topics: list[str] | None


@dataclass(frozen=True)
class Labels:
    """Both in the order of the logits; empty where the model does not do that task."""

    entities: list[str]
    topics: list[str]

    @property
    def tags(self) -> list[str]:
        return ["O"] + [f"{prefix}-{name}" for name in self.entities for prefix in "BI"] if self.entities else []


@dataclass(frozen=True)
class Dataset:
    train: list[Document]
    dev: list[Document]
    labels: Labels


def read_dataset(settings: Settings) -> Dataset:
    train = read_documents(settings.paths.train, settings)
    dev = read_documents(settings.paths.dev, settings)
    labels = Labels(entities=[], topics=[])
    if settings.entities:
        labels = Labels(choose_labels("entities", settings.entities.labels, train, dev), [])
    if settings.topics:
        labels = Labels(labels.entities, choose_labels("topics", settings.topics.labels, train, dev))
        if settings.topics.is_single and len(labels.topics) < 2:
            raise SystemExit(f"[topics] has one label, {labels.topics}; a single_label model needs two to choose from")
    print(f"{describe(train)} to train on\n{describe(dev)} for dev")
    return Dataset(train, dev, labels)


def read_documents(files: list[Path], settings: Settings) -> list[Document]:
    documents, n_nested = [], 0
    for file in files:
        n_before = len(documents)
        for position, record in read_records(file):
            document = check_document(position, record, settings)
            documents.append(document)
            if document.entities is not None:
                n_nested += len(record["entities"]) - len(document.entities)
        if len(documents) == n_before:
            raise SystemExit(f"{file}: no documents; the file must hold one JSON object a line")
    if n_nested:
        print(f"note: {n_nested} entities overlap with a longer one and are left out: tags are flat")
    labelled = [document for document in documents if document.entities is not None or document.topics is not None]
    if len(labelled) < len(documents):
        print(f"note: {len(documents) - len(labelled)} documents have no labels for the model's tasks: left out")
    return labelled


def read_records(file: Path) -> Iterator[tuple[str, dict]]:
    """Position and object of each line that is not blank."""
    if not file.is_file():
        raise SystemExit(f"{file}: no such file; change [paths] of the configuration")
    number = 0
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                record = json.loads(line.decode("utf-8-sig"))
                if not isinstance(record, dict):
                    raise SystemExit(f"{file}:{number}: a {type(record).__name__}, not a JSON object")
                yield f"{file}:{number}", record
    except json.JSONDecodeError as error:
        raise SystemExit(
            f"{file}:{number}: not JSON ({error.msg}, column {error.colno}); write one object a line"
        ) from error
    except UnicodeDecodeError as error:
        raise SystemExit(f"{file}:{number}: not UTF-8 ({error.reason}); convert the file") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SystemExit(f"{file}: after line {number}: not gzip, or cut off ({error})") from error


def check_document(position: str, record: dict, settings: Settings) -> Document:
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        raise SystemExit(f"{position}: `text` is {text!r:.40}; it must be a string that is not blank")
    field = settings.topics.field if settings.topics else "topics"
    if record.get("entities") is None and record.get(field) is None:
        raise SystemExit(
            f"{position}: has no `entities` and no `{field}`, so nothing can be learnt from it; an empty list "
            "says that there is none"
        )
    entities = topics = None
    if settings.entities and record.get("entities") is not None:
        entities = check_entities(position, text, record["entities"])
    if settings.topics and record.get(field) is not None:
        topics = check_topics(position, record[field], settings.topics)
    return Document(position, text, entities, topics)


def check_entities(position: str, text: str, entities: list) -> list[dict]:
    """The entities in order, without white space at their ends; of those that overlap the longer one."""
    if not isinstance(entities, list):
        raise SystemExit(f"{position}: `entities` is {entities!r:.40}; it must be a list")
    checked = [_check_entity(position, text, entity) for entity in entities]
    kept = []
    for entity in sorted(checked, key=lambda entity: (entity["start"] - entity["end"], entity["start"])):
        if all(entity["end"] <= other["start"] or other["end"] <= entity["start"] for other in kept):
            kept.append(entity)
    return sorted(kept, key=lambda entity: entity["start"])


def _check_entity(position: str, text: str, entity: dict) -> dict:
    if not isinstance(entity, dict) or {"start", "end", "label"} - entity.keys():
        raise SystemExit(f"{position}: the entity {entity!r:.80} must have `start`, `end` and `label`")
    start, end, label = entity["start"], entity["end"], entity["label"]
    if not isinstance(label, str) or not label.strip():
        raise SystemExit(f"{position}: the entity's label {label!r:.40} must be a string that is not blank")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise SystemExit(
            f"{position}: the entity {label} from {start!r} to {end!r} is empty or lies outside its text of "
            f"{len(text)} code points; spans are half-open, start at 0, and count code points (not bytes, not UTF-16)"
        )
    covered = text[start:end]
    start, end = start + len(covered) - len(covered.lstrip()), end - len(covered) + len(covered.rstrip())
    if start >= end:
        raise SystemExit(
            f"{position}: the entity {label} from {entity['start']} to {entity['end']} is only white space"
        )
    return {"start": start, "end": end, "label": label}


def check_topics(position: str, given: Any, topics: Topics) -> list[str]:
    labels = [given] if isinstance(given, str) else given
    if not isinstance(labels, list) or not all(isinstance(label, str) and label.strip() for label in labels):
        raise SystemExit(f"{position}: `{topics.field}` is {given!r:.60}; it must be a label or a list of labels")
    if topics.is_single and len(labels) != 1:
        raise SystemExit(
            f"{position}: {len(labels)} topics, {labels}; with problem_type single_label there must be one"
        )
    return labels


def choose_labels(task: str, listed: list[str], train: list[Document], dev: list[Document]) -> list[str]:
    """The labels of the configuration (any other in the data is an error), or else those of the data, sorted."""
    counts = Counter(label for document in train for label in labels_of(document, task))
    if not counts:
        raise SystemExit(
            f"no document of [paths] train has a label in `{task}`; add some, or remove the section [{task}]"
        )
    if not any(getattr(document, task) is not None for document in dev):
        raise SystemExit(f"no document of [paths] dev has `{task}`; add some: metrics and thresholds come from there")
    chosen = listed or sorted({label for document in train + dev for label in labels_of(document, task)})
    for document in train + dev:
        for label in labels_of(document, task):
            if label not in chosen:
                raise SystemExit(
                    f"{document.position}: {label!r} is none of [{task}] labels ({', '.join(chosen)}); list it "
                    "there, or rename it or remove it from the data"
                )
    if unseen := [label for label in chosen if label not in counts]:
        print(f"note: the training data has no example of {', '.join(unseen)}, which cannot be learnt")
    return chosen


def labels_of(document: Document, task: str) -> list[str]:
    if task == "topics":
        return document.topics or []
    return [entity["label"] for entity in document.entities or []]


def describe(documents: list[Document]) -> str:
    n_tagged = sum(document.entities is not None for document in documents)
    n_topics = sum(document.topics is not None for document in documents)
    return f"{len(documents)} documents ({n_tagged} with entities, {n_topics} with topics)"
