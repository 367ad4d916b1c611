"""The fine-tune's configuration, labelled documents and training examples."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scripts.train.finetune.documents import Document, Labels, check_entities, read_dataset
from scripts.train.finetune.examples import (
    cut_windows,
    gold_words,
    n_inside_of_words,
    tag_document,
    topic_target,
    write_examples,
)
from scripts.train.finetune.settings import Settings, read_settings
from scripts.train.labels import UNLABELLED

PATHS = '[paths]\ncheckpoint = "base"\ntrain = ["train.jsonl"]\ndev = "dev.jsonl"\noutput = "out"\nwork = "work"\n'
GOOD = {"text": "Ulm siegt.", "entities": [{"start": 0, "end": 3, "label": "LOC"}], "topics": ["Sport"]}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Settings]:
    def read(text: str) -> Settings:
        (tmp_path / "config.toml").write_text(text)
        return read_settings(tmp_path / "config.toml")

    return read


def test_defaults_and_paths_come_from_the_configuration(settings: Callable, tmp_path: Path) -> None:
    read = settings(PATHS + '[topics]\nproblem_type = "single_label"\n[training]\nepochs = 2\n')
    assert read.paths.train == [tmp_path / "train.jsonl"]
    assert read.paths.dev == [tmp_path / "dev.jsonl"]
    assert read.training.epochs == 2.0
    assert read.entities is None
    assert read.is_single_label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[paths", "not TOML"),
        ("colour = 1\n", "unknown colour"),
        ('[paths]\ncheckpoint = "a"\n', "[paths] lacks train, dev, output, work"),
        (PATHS, "neither [entities] nor [topics]"),
        (PATHS + "[topics]\nlabel = []\n", "unknown label in [topics]"),
        (PATHS + "[topics]\n[training]\nthreads = 1.5\n", "threads 1.5 must be a whole number"),
        (PATHS + "[topics]\n[training]\nfrozen_embeddings = 1\n", "must be true or false"),
        (PATHS + '[topics]\nproblem_type = "both"\n', "must be one of multi_label, single_label"),
        (PATHS + '[topics]\nlabels = ["a", "a"]\n', "must be different strings"),
        (PATHS + "[topics]\n[training]\nhead_lr = 0\n", "head_lr 0.0 must be above 0"),
        (PATHS + "[topics]\n[training]\nwarmup = 1\n", "warmup 1.0"),
        (PATHS + "[topics]\n[training]\nmax_length = 4\n", "max_length 4 must be at least 8"),
        (PATHS + "[topics]\n[training]\nbatch_tokens = 9\n", "batch_tokens 9 must be at least max_length"),
        (PATHS + "[topics]\n[export]\nstride = 254\n", "stride 254 must be below"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_key(settings: Callable, text: str, message: str) -> None:
    seed_first = text if not text.startswith("colour") else text + PATHS
    with pytest.raises(SystemExit) as refusal:
        settings(seed_first)
    assert message in str(refusal.value)


def test_a_missing_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such configuration"):
        read_settings(tmp_path / "none.toml")


def write_lines(file: Path, *records: Any) -> None:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_labels_are_those_of_the_data_sorted(settings: Callable, tmp_path: Path) -> None:
    person = {"text": "Ada kam", "entities": [{"start": 0, "end": 3, "label": "PER"}], "topics": "Kultur"}
    write_lines(tmp_path / "train.jsonl", GOOD, person)
    write_lines(tmp_path / "dev.jsonl", GOOD)
    dataset = read_dataset(settings(PATHS + "[entities]\n[topics]\n"))
    assert dataset.labels == Labels(["LOC", "PER"], ["Kultur", "Sport"])
    assert dataset.labels.tags == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert dataset.train[1].topics == ["Kultur"]


def test_a_gzipped_file_with_blank_lines_and_a_byte_order_mark_is_read(settings: Callable, tmp_path: Path) -> None:
    line = "\ufeff" + json.dumps(GOOD) + "\n\n"
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    write_lines(tmp_path / "dev.jsonl", GOOD)
    dataset = read_dataset(settings(PATHS.replace("train.jsonl", "train.jsonl.gz") + "[topics]\n"))
    assert [document.position for document in dataset.train] == [f"{tmp_path}/train.jsonl.gz:1"]
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(line.encode())[:-9])
    with pytest.raises(SystemExit, match="not gzip, or cut off"):
        read_dataset(settings(PATHS.replace("train.jsonl", "train.jsonl.gz") + "[topics]\n"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "a list, not a JSON object"),
        ('{"text": " "}', "`text` is ' '"),
        ('{"text": "Ulm"}', "no `entities` and no `topics`"),
        ('{"text": "Ulm", "entities": 1}', "it must be a list"),
        ('{"text": "Ulm", "entities": [{"start": 0, "end": 4, "label": "LOC"}]}', "3 code points"),
        ('{"text": "Ulm", "entities": [{"start": true, "end": 2, "label": "LOC"}]}', "half-open"),
        ('{"text": "Ulm ", "entities": [{"start": 3, "end": 4, "label": "LOC"}]}', "only white space"),
        ('{"text": "Ulm", "entities": [{"start": 0, "end": 3, "label": " "}]}', "not blank"),
        ('{"text": "Ulm", "entities": [{"start": 0, "end": 3, "label": "GPE"}]}', "'GPE' is none of"),
        ('{"text": "Ulm", "topics": ["Spott"]}', "'Spott' is none of"),
        ('{"text": "Ulm", "topics": [3]}', "a label or a list of labels"),
    ],
)
def test_a_wrong_document_is_refused_with_file_and_line(
    settings: Callable, tmp_path: Path, line: str, message: str
) -> None:
    write_lines(tmp_path / "dev.jsonl", GOOD)
    (tmp_path / "train.jsonl").write_text(json.dumps(GOOD) + "\n\n" + line + "\n")
    with pytest.raises(SystemExit) as refusal:
        read_dataset(settings(PATHS + '[entities]\nlabels = ["LOC"]\n[topics]\nlabels = ["Sport"]\n'))
    assert str(refusal.value).startswith(f"{tmp_path}/train.jsonl:3: ")
    assert message in str(refusal.value)


def test_the_longer_of_overlapping_entities_stays_and_white_space_goes() -> None:
    def entity(start: int, end: int) -> dict:
        return {"start": start, "end": end, "label": "LOC"}

    found = check_entities("here", "Ulm am Rhein ", [entity(7, 13), entity(0, 13), entity(0, 3)])
    assert [(one["start"], one["end"]) for one in found] == [(0, 12)]
    found = check_entities("here", "Ulm am Rhein ", [entity(7, 13), entity(0, 3), entity(2, 5)])
    assert [(one["start"], one["end"]) for one in found] == [(0, 3), (7, 12)]


def document(text: str, *spans: tuple[int, int]) -> Document:
    return Document("here", text, [{"start": start, "end": end, "label": "LOC"} for start, end in spans], ["Sport"])


def test_an_entity_inside_a_word_cuts_it() -> None:
    part = document("Die Ulm-Reise", (4, 7))
    words = gold_words(part)
    assert words.words == [(0, 3), (4, 7), (7, 13)]
    assert words.tags == ["O", "B-LOC", "O"]
    assert n_inside_of_words(part) == 1
    assert n_inside_of_words(document("Die Ulm Reise", (4, 7))) == 0


def test_a_window_begins_with_a_word_outside_entities() -> None:
    encoding: Any = SimpleNamespace(ids=[5, 6, 7, 8], offsets=[(0, 3), (4, 7), (8, 10), (10, 13)])
    index = {"O": 0, "B-LOC": 1, "I-LOC": 2}
    tags, starts = tag_document(document("Die Bad Homburg", (4, 15)), encoding, index)
    assert tags == [0, 1, 2, UNLABELLED]
    assert starts == [True, True, False, False]
    untagged = Document("here", "Die Bad Homburg", None, ["Sport"])
    assert tag_document(untagged, encoding, index)[0] == [UNLABELLED] * 4


@pytest.mark.parametrize(
    ("starts", "capacity", "expected"),
    [
        ([], 4, []),
        ([True] * 4, 4, [(0, 4)]),
        ([True] * 5, 4, [(0, 4), (4, 5)]),
        ([True, True, True, True, False, False], 5, [(0, 3), (3, 6)]),
        ([True] + [False] * 6, 4, [(0, 4), (4, 7)]),  # no good start: cut at the capacity
    ],
)
def test_windows_of_training_lose_no_token(starts: list[bool], capacity: int, expected: list) -> None:
    assert cut_windows(starts, capacity) == expected


def test_the_topics_of_a_document_count_once_over_its_windows(settings: Callable, tmp_path: Path) -> None:
    read = settings(
        PATHS + "[entities]\n[topics]\n[training]\nmax_length = 8\nbatch_tokens = 64\n[export]\nstride = 1\n"
    )
    read.paths.work.mkdir()
    words = [(2 * index, 2 * index + 1) for index in range(14)]
    special = SimpleNamespace(ids=[1, 2])
    whole = SimpleNamespace(ids=list(range(10, 24)), offsets=words)
    tokenizer: Any = SimpleNamespace(encode=lambda text, **_: whole if text else special)
    write_examples(read, [document("a " * 14, (0, 1))], Labels(["LOC"], ["Kultur", "Sport"]), tokenizer)
    arrays = np.load(read.paths.examples)
    assert arrays["lengths"].tolist() == [8, 8, 4]
    assert arrays["weights"].sum() == pytest.approx(1.0)
    assert arrays["targets"].tolist() == [[0, 1]] * 3
    assert arrays["input_ids"][:3].tolist() == [1, 10, 11]
    assert arrays["tags"][:3].tolist() == [UNLABELLED, 1, 0]


def test_a_topic_target_is_in_the_order_of_the_labels() -> None:
    assert topic_target(document("x"), ["Kultur", "Sport"]).tolist() == [0, 1]
