"""The configuration file, read once into checked types."""

import argparse
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

REPOSITORY = Path(__file__).resolve().parents[2]
PATH_OPTIONS = ("data", "work", "model", "name")


@dataclass(frozen=True)
class Paths:
    """`data` is input, `work` holds intermediate files (of one training in its folder `name`), `model` ships."""

    data: Path
    work: Path
    model: Path
    name: str

    @property
    def base(self) -> Path:
        return self.work / "base"

    @property
    def pruned(self) -> Path:
        return self.work / "pruned"

    @property
    def truecase(self) -> Path:
        return self.work / "truecase.txt"

    @property
    def examples(self) -> Path:
        return self.work / self.name / "examples"

    @property
    def checkpoint(self) -> Path:
        return self.work / self.name / "checkpoint.pt"

    @property
    def trained(self) -> Path:
        return self.trained_by(self.name)

    def trained_by(self, name: str) -> Path:
        return self.work / name / "trained.pt"

    @property
    def corpus(self) -> Path:
        return self.work / "corpus.npz"


@dataclass(frozen=True)
class Base:
    package: str
    wheel_sha256: str
    file: str
    reference_package: str
    reference_sha256: str
    reference_file: str


@dataclass(frozen=True)
class Vocabulary:
    max_pieces: int
    wiki_articles: int
    bundestag_speeches: int


@dataclass(frozen=True)
class Entities:
    passes: int
    single_share: float
    window_sentences: list[int]
    alteration_share: float
    news_passes: int
    open_sentences: int


@dataclass(frozen=True)
class Topics:
    max_tokens: int
    alteration_share: float
    joined_share: float
    currentevents_cap: int
    dip_cap: int
    klexikon_cap: int
    iptc_passes: dict[str, int]
    sib200_languages: list[str]
    denews_passes: int
    news_passes: int
    absent_weight: dict[str, float]


@dataclass(frozen=True)
class Labelling:
    teachers: list[str]
    topics: bool
    unlabelled_topic_weight: float
    wiki_paragraphs: int
    window_tokens: int


@dataclass(frozen=True)
class Encoder:
    start: list[str]
    layers: list[int]


@dataclass(frozen=True)
class Optimisation:
    """The settings of a training that `train.train` reads."""

    encoder_lr: float
    head_lr: float
    weight_decay: float
    warmup: float
    clip_norm: float
    checkpoint_minutes: float
    threads: int


@dataclass(frozen=True)
class Pretraining(Optimisation):
    bundestag_speeches: int
    window_tokens: int
    epochs: int
    batch_tokens: int
    dropout: float
    masked_share: float
    time_budget_minutes: float


@dataclass(frozen=True)
class Training(Optimisation):
    tasks: list[str]
    epochs: int
    batch_tokens: int
    dropout: float
    topic_loss_weight: float
    frozen_embeddings: bool
    frozen_layers: int
    time_budget_minutes: float


@dataclass(frozen=True)
class Export:
    trainings: list[str]
    opset: int
    name: str
    description: str
    max_length: int
    stride: int
    lead_tokens: int
    part_tokens: int
    one_label_per_name: bool
    names_weight: float
    entity_threshold: float
    full_precision: str
    smoothed: str


@dataclass(frozen=True)
class Calibration:
    dip_documents: int
    every_sentence: int
    weights: dict[str, float]
    recalls: dict[str, float]


@dataclass(frozen=True)
class Config:
    seed: int
    paths: Paths
    base: Base
    vocabulary: Vocabulary
    entities: Entities
    topics: Topics
    labelling: Labelling
    encoder: Encoder
    pretraining: Pretraining
    training: Training
    export: Export
    calibration: Calibration


def parse_arguments(
    description: str | None, add_options: Callable[[argparse.ArgumentParser], None] | None = None
) -> tuple[Config, argparse.Namespace]:
    """The command line of every step: `--config FILE`; `--data`, `--work`, `--model` for other paths; `--seed` and
    `--name` for another training of the same kind."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, default=REPOSITORY / "scripts/train/ressort.toml")
    for name in PATH_OPTIONS:
        parser.add_argument(f"--{name}", help=f"instead of paths.{name} of the configuration")
    parser.add_argument("--seed", type=int, help="instead of the configuration's")
    if add_options:
        add_options(parser)
    arguments = parser.parse_args()
    paths = {name: getattr(arguments, name) for name in PATH_OPTIONS}
    return load_config(arguments.config, paths, arguments.seed), arguments


def load_config(file: Path, path_overrides: dict | None = None, seed: int | None = None) -> Config:
    """Reads `file`; an unknown or missing key is an error that names it."""
    raw = _read_with_parents(file)
    raw["seed"] = raw["seed"] if seed is None else seed
    given = {name: path for name, path in (path_overrides or {}).items() if path}
    raw["paths"] = {
        name: value if name == "name" else _absolute(value) for name, value in {**raw["paths"], **given}.items()
    }
    sections = get_type_hints(Config)
    unknown = raw.keys() - sections.keys()
    if unknown:
        raise SystemExit(f"{file}: unknown keys {sorted(unknown)}")
    values = {}
    for name, kind in sections.items():
        try:
            values[name] = raw[name] if kind is int else kind(**raw[name])
        except (KeyError, TypeError) as error:
            raise SystemExit(f"{file}: section [{name}]: {error}") from error
    return Config(**values)


def _read_with_parents(file: Path) -> dict:
    """The file's tables, which override those of the file that `extends` names."""
    own = tomllib.loads(file.read_text())
    if "extends" not in own:
        return own
    merged = _read_with_parents(file.parent / own.pop("extends"))
    for name, value in own.items():
        merged[name] = {**merged[name], **value} if isinstance(value, dict) and name in merged else value
    return merged


def _absolute(path: str) -> Path:
    return (REPOSITORY / Path(path).expanduser()).resolve()
