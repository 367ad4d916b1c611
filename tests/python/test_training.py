"""The training's configuration, records, manifest, batches and topic items."""

import gzip
import json
import random
import tomllib
from pathlib import Path

import numpy as np
import pytest

from scripts.train.config import REPOSITORY, load_config
from scripts.train.cutting import cut_batches
from scripts.train.labels import ENTITY_TAGS, SIB200_TOPICS, TOPIC_INDEX, TOPICS
from scripts.train.manifest import Manifest, read_manifest
from scripts.train.records import read_records, read_texts, read_training_records
from scripts.train.speeches import undo_latin1
from scripts.train.topics import TopicItem, join_short_items, sample_balanced

CONFIGURATIONS = sorted((REPOSITORY / "scripts/train").glob("*.toml"))


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.name)
def test_every_shipped_configuration_is_read(file: Path) -> None:
    config = load_config(file, {"data": "/tmp/data", "model": None}, seed=7)
    assert config.seed == 7
    assert config.paths.data == Path("/tmp/data").resolve()
    assert config.paths.trained == config.paths.work / config.paths.name / "trained.pt"
    assert config.training.batch_tokens > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [("colour = 1\n", "unknown keys"), ("[training]\nepoch = 3\n", "section .training.")],
)
def test_a_key_that_does_not_exist_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "child.toml"
    file.write_text(f'extends = "{REPOSITORY}/scripts/train/ressort.toml"\n{text}')
    with pytest.raises(SystemExit, match=message):
        load_config(file)


def test_a_configuration_overrides_single_keys_of_the_one_it_extends(tmp_path: Path) -> None:
    file = tmp_path / "child.toml"
    parent = REPOSITORY / "scripts/train/ressort.toml"
    file.write_text(f'extends = "{parent}"\n[training]\nepochs = 99\n')
    assert load_config(file).training.epochs == 99
    assert load_config(file).training.head_lr == load_config(parent).training.head_lr


def test_records_are_limited_and_evaluation_sets_are_never_trained_on(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "set.train.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in "abc")
    assert read_texts(tmp_path, "set.train", 2) == ["a", "b"]
    assert len(read_training_records(tmp_path, "set.train")) == 3
    for name in ("set.dev", "set.test"):
        with pytest.raises(ValueError, match="must not be trained on"):
            read_training_records(tmp_path, name)
    with pytest.raises(SystemExit, match="is missing"):
        read_records(tmp_path, "none")


@pytest.mark.parametrize(("text", "expected"), [("fÃ¼r", "für"), ("â€žJaâ€œ", "„Ja“"), ("\u4e2dfÃ¼r", "für")])
def test_speeches_get_their_encoding_back(text: str, expected: str) -> None:
    assert undo_latin1(text) == expected


def test_a_manifest_is_toml_and_reads_back_as_it_was(tmp_path: Path) -> None:
    thresholds = [round(0.1 + index / 50, 2) for index in range(len(TOPICS))]
    manifest = Manifest('Ein "Modell" \\ für Ressort', 128, 32, 200, 300, 1.234, thresholds, one_label_per_name=True)
    manifest.write(tmp_path)
    assert read_manifest(tmp_path) == manifest
    raw = tomllib.loads(manifest.to_toml())
    assert raw["entities"]["labels"] == ENTITY_TAGS
    assert {entity["label"] for check in raw["golden"] for entity in check["entities"]} <= {"PER", "LOC", "ORG"}


def test_topics_of_sib200_are_media_topics() -> None:
    assert all(topic in TOPIC_INDEX for topics in SIB200_TOPICS.values() for topic in topics)
    assert len(set(ENTITY_TAGS)) == len(ENTITY_TAGS) == 25


@pytest.mark.parametrize("batch_tokens", [16, 100, 1000])
def test_batches_hold_every_index_once_within_the_budget(batch_tokens: int) -> None:
    lengths = np.random.default_rng(1).integers(1, 60, 700)
    batches = cut_batches(lengths, batch_tokens, random.Random(1))
    assert sorted(index for batch in batches for index in batch) == list(range(700))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= batch_tokens for batch in batches)
    assert batches == cut_batches(lengths, batch_tokens, random.Random(1))


def test_a_balanced_sample_stops_at_the_cap_of_every_label() -> None:
    records = [{"iptc": ["sport"], "id": number} for number in range(50)]
    records += [{"iptc": ["sport", "weather"], "id": 100}]
    chosen = sample_balanced(records, 10, random.Random(1))
    assert sum("sport" in record["iptc"] for record in chosen) in (10, 11)
    assert {"iptc": ["sport", "weather"], "id": 100} in chosen


def test_joined_items_bear_the_union_of_their_topics_and_no_text_is_lost() -> None:
    items = [TopicItem(f"Text {number}.", frozenset({("sport", "health")[number % 2]}), 0.5) for number in range(40)]
    items += [TopicItem("x" * 500, frozenset({"sport"}), 1.0), TopicItem("ohne", frozenset(), 0.1)]
    joined = join_short_items(items, 0.5, random.Random(2))
    whole = " ".join(item.text for item in joined).replace("\n", " ")
    assert all(f"Text {number}." in whole for number in range(40))
    for item in joined:
        numbers = [
            int(part.split()[1]) for part in item.text.replace("\n", " ").split(".") if part.strip().startswith("Text")
        ]
        if numbers:
            assert item.topics == {("sport", "health")[number % 2] for number in numbers}
