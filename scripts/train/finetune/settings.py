"""The configuration of a fine-tune, read once into checked types."""

import dataclasses
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from ..config import Optimisation

PROBLEM_TYPES = ("multi_label", "single_label")
PRECISIONS = ("auto", "bf16", "fp32")
SHORTEST_WINDOW = 8

Section = TypeVar("Section")


@dataclass(frozen=True)
class Paths:
    """`output` is the folder that is served; `work` holds intermediate files."""

    checkpoint: Path
    train: list[Path]
    dev: list[Path]
    output: Path
    work: Path

    @property
    def made_of(self) -> Path:
        return self.work / "made_of.json"

    @property
    def examples(self) -> Path:
        return self.work / "examples.npz"

    @property
    def training_checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

    @property
    def trained(self) -> Path:
        return self.work / "trained.pt"

    @property
    def full_precision(self) -> Path:
        return self.work / "fp32" / "model.onnx"

    @property
    def int8(self) -> Path:
        return self.work / "int8" / "model.onnx"


@dataclass(frozen=True)
class Entities:
    labels: list[str] = dataclasses.field(default_factory=list)


@dataclass(frozen=True)
class Topics:
    problem_type: str = "multi_label"
    field: str = "topics"
    labels: list[str] = dataclasses.field(default_factory=list)
    loss_weight: float = 0.5

    @property
    def is_single(self) -> bool:
        return self.problem_type == "single_label"


@dataclass(frozen=True)
class Training(Optimisation):
    epochs: float = 3.0
    max_length: int = 256
    batch_tokens: int = 2048
    encoder_lr: float = 5e-5
    head_lr: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    dropout: float = 0.1
    clip_norm: float = 1.0
    frozen_embeddings: bool = False
    precision: str = "auto"
    checkpoint_minutes: float = 5.0
    threads: int = 0


@dataclass(frozen=True)
class Calibration:
    temperature: bool = True
    thresholds: bool = True


@dataclass(frozen=True)
class Export:
    description: str = ""
    stride: int = 64
    int8: bool = False
    full_precision: str = ""
    smoothed: str = r"\d/output/dense|ffn/lin2|mlp/Wo"


@dataclass(frozen=True)
class Settings:
    """`entities` or `topics` is `None` where the model does not do that task."""

    seed: int
    paths: Paths
    entities: Entities | None
    topics: Topics | None
    training: Training
    calibration: Calibration
    export: Export

    @property
    def is_single_label(self) -> bool:
        return self.topics is not None and self.topics.is_single


def read_settings(file: Path) -> Settings:
    """Reads and checks `file`; an error names the file, the section, the value and what to do."""
    if not file.is_file():
        raise SystemExit(
            f"{file}: no such configuration; copy scripts/train/finetune/example.toml and change its paths"
        )
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SystemExit(f"{file}: not TOML: {error}") from error
    known = [field.name for field in dataclasses.fields(Settings)]
    unknown = sorted(raw.keys() - set(known))
    if unknown:
        raise SystemExit(f"{file}: unknown {', '.join(unknown)}; there are {', '.join(known)}")
    settings = Settings(
        seed=raw.get("seed", 1),
        paths=_read_paths(file, raw.get("paths", {})),
        entities=_section(file, raw, "entities", Entities) if "entities" in raw else None,
        topics=_section(file, raw, "topics", Topics) if "topics" in raw else None,
        training=_section(file, raw, "training", Training),
        calibration=_section(file, raw, "calibration", Calibration),
        export=_section(file, raw, "export", Export),
    )
    for problem in _problems(settings):
        raise SystemExit(f"{file}: {problem}")
    return settings


def _problems(settings: Settings) -> Iterator[str]:
    """A message for each invalid value."""
    training, export, topics = settings.training, settings.export, settings.topics
    if type(settings.seed) is not int:
        yield f"seed {settings.seed!r} must be a whole number"
    if settings.entities is None and topics is None:
        yield "neither [entities] nor [topics]; a section, even an empty one, says that the model does that task"
    if topics and topics.problem_type not in PROBLEM_TYPES:
        yield f"[topics] problem_type {topics.problem_type!r} must be one of {', '.join(PROBLEM_TYPES)}"
    if training.precision not in PRECISIONS:
        yield f"[training] precision {training.precision!r} must be one of {', '.join(PRECISIONS)}"
    for name in ("epochs", "encoder_lr", "head_lr", "clip_norm"):
        if getattr(training, name) <= 0:
            yield f"[training] {name} {getattr(training, name)} must be above 0"
    if not 0 <= training.warmup < 1 or not 0 <= training.dropout < 1:
        yield f"[training] warmup {training.warmup} and dropout {training.dropout} must be at least 0 and below 1"
    if training.max_length < SHORTEST_WINDOW:
        yield f"[training] max_length {training.max_length} must be at least {SHORTEST_WINDOW}, better 128 or more"
    if training.batch_tokens < training.max_length:
        yield f"[training] batch_tokens {training.batch_tokens} must be at least max_length, {training.max_length}"
    if not 0 <= export.stride < training.max_length - 2:
        yield f"[export] stride {export.stride} must be below max_length less two specials, {training.max_length - 2}"
    for name, section in (("entities", settings.entities), ("topics", topics)):
        labels = section.labels if section else []
        if not all(isinstance(label, str) and label for label in labels) or len(set(labels)) < len(labels):
            yield f"[{name}] labels must be different strings, none of them empty: {labels}"


def _section(file: Path, raw: dict[str, Any], name: str, kind: type[Section]) -> Section:
    """A section as `kind`; an unknown key, or a value of another type than the default's, is an error."""
    known = {key: get_origin(hint) or hint for key, hint in get_type_hints(kind).items()}
    values = {}
    for key, given in raw.get(name, {}).items():
        if key not in known:
            raise SystemExit(f"{file}: unknown {key} in [{name}]; there are {', '.join(known)}")
        value = float(given) if known[key] is float and type(given) is int else given
        if type(value) is not known[key]:
            raise SystemExit(f"{file}: [{name}] {key} {value!r} must be {_IN_WORDS[known[key]]}")
        values[key] = value
    return kind(**values)


_IN_WORDS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}


def _read_paths(file: Path, raw: dict) -> Paths:
    known = [field.name for field in dataclasses.fields(Paths)]
    if missing := [name for name in known if not raw.get(name)]:
        raise SystemExit(f"{file}: [paths] lacks {', '.join(missing)}; see scripts/train/finetune/example.toml")
    if unknown := sorted(raw.keys() - set(known)):
        raise SystemExit(f"{file}: unknown {', '.join(unknown)} in [paths]; there are {', '.join(known)}")

    def path(value: str) -> Path:
        if not isinstance(value, str):
            raise SystemExit(f"{file}: [paths] {value!r} must be a path")
        return (file.parent / Path(value).expanduser()).resolve()

    lists = {name: raw[name] if isinstance(raw[name], list) else [raw[name]] for name in ("train", "dev")}
    return Paths(
        checkpoint=path(raw["checkpoint"]),
        train=[path(value) for value in lists["train"]],
        dev=[path(value) for value in lists["dev"]],
        output=path(raw["output"]),
        work=path(raw["work"]),
    )
