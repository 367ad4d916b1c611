"""Reads the data sets: gzipped JSON lines under the data folder."""

import gzip
import json
from itertools import islice
from pathlib import Path


def read_records(data: Path, name: str, limit: int | None = None) -> list[dict]:
    """The records of `NAME.jsonl.gz`, at most `limit`."""
    file = data / f"{name}.jsonl.gz"
    if not file.exists():
        raise SystemExit(f"{file} is missing; name the folder of the data sets with --data, see docs/training.md")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, limit)]


def read_training_records(data: Path, name: str) -> list[dict]:
    """`read_records`, but never of what is kept for choosing or for a final figure."""
    if name.endswith((".dev", ".test")):
        raise ValueError(f"{name} must not be trained on")
    return read_records(data, name)


def read_texts(data: Path, name: str, limit: int | None = None) -> list[str]:
    return [record["text"] for record in read_records(data, name, limit)]
