"""The model folder: the graph, checked against PyTorch, and what else the service must know."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from scripts.export_model import TEXTS, TOLERANCE, ExportError, compare, export_onnx, quiet

from ..export import quantise, report_sizes
from ..manifest import SKIP_BLANK_TOKENS
from .base import Base
from .documents import Labels
from .measure import Calibrated
from .model import TokenHeads, output_names
from .settings import Settings

# What is written; an output folder that holds anything else is left alone.
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.onnx", "model.onnx_data", "ressort.toml")


@dataclass(frozen=True)
class Result:
    """What is served: the graph, and what dev says about its topic scores."""

    graph: Path
    calibrated: Calibrated


def write_graph(settings: Settings, base: Base, model: TokenHeads, labels: Labels, texts: list[str]) -> Path:
    """The graph in full precision. Fails if a logit on `texts` differs by more than `TOLERANCE` from PyTorch's, alone
    or in a batch with longer texts."""
    file = settings.paths.full_precision
    file.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=base.tokenizer,
        pad_token=base.tokenizer.id_to_token(base.pad),
        model_max_length=settings.training.max_length,
    )
    outputs = tuple(output_names(labels))
    try:
        export_onnx(model, tokenizer, file, outputs, external_data=False)
        differences = compare(model, tokenizer, file, TEXTS + texts, outputs)
    except ExportError as error:
        raise SystemExit(str(error)) from error
    worst = max(row.max_difference for row in differences)
    print(f"largest difference to PyTorch: {worst:.1e}")
    if not worst <= TOLERANCE:  # so that NaN fails too
        raise SystemExit(f"the exported graph differs from PyTorch by {worst}, more than {TOLERANCE}")
    return file


def write_int8(settings: Settings, base: Base, texts: list[str]) -> Path:
    """The graph in int8, fitted to the activations on `texts`."""
    file = settings.paths.int8
    file.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        length = settings.training.max_length
        quantise(settings.paths.full_precision, file, settings.export, base.tokenizer, texts, length)
    return file


def check_output(folder: Path) -> None:
    """Fails if something lies there that is not of a fine-tune, before hours are spent on what would replace it."""
    if folder.is_file():
        raise SystemExit(f"{folder}: is a file; [paths] output must be a folder, new or of an earlier fine-tune")
    others = sorted(file.name for file in folder.iterdir() if file.name not in FILES) if folder.exists() else []
    if others:
        raise SystemExit(
            f"{folder}: holds {', '.join(others[:3])}, which a fine-tune does not write and would take "
            f"away; name a new folder "
            "in [paths] output, or move that file"
        )


def write_folder(settings: Settings, base: Base, model: TokenHeads, labels: Labels, result: Result) -> None:
    """Writes a temporary folder and then renames it, so that half of a model is never served."""
    output = settings.paths.output
    unfinished, old = output.with_name(output.name + ".unfinished"), output.with_name(output.name + ".old")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for file in result.graph.parent.glob("model.onnx*"):  # past 2 GB the weights are a file of their own
        shutil.copyfile(file, unfinished / file.name)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (base.folder / name).is_file():
            shutil.copyfile(base.folder / name, unfinished / name)
    _write_json(unfinished / "config.json", encoder_settings(model))
    (unfinished / "ressort.toml").write_text(manifest(settings, labels, result.calibrated), encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        output.rename(old)
    unfinished.rename(output)
    shutil.rmtree(old, ignore_errors=True)
    report_sizes(output)


def encoder_settings(model: TokenHeads) -> dict:
    """The encoder's `config.json`, without what belonged to the head that it came with."""
    settings = json.loads(model.encoder.config.to_json_string())
    for name in (
        "_name_or_path",
        "id2label",
        "label2id",
        "num_labels",
        "problem_type",
        "finetuning_task",
        "classifier_dropout",
    ):
        settings.pop(name, None)
    return settings | {"architectures": [type(model.encoder).__name__]}


def manifest(settings: Settings, labels: Labels, calibrated: Calibrated) -> str:
    """The `ressort.toml`."""
    export = settings.export
    lines = [f"description = {_string(export.description)}", ""] if export.description else []
    lines += ["[model]", 'file = "model.onnx"', f"max_length = {settings.training.max_length}"]
    lines += [f"stride = {export.stride}            # tokens shared by neighbouring windows"]
    if labels.topics and settings.topics:
        problem_type = f"{settings.topics.problem_type}_classification"
        lines += ["", "[topics]", 'output = "topic_logits"', f'problem_type = "{problem_type}"']
        lines += ['pooling = "token-mean"  # logits per token, averaged over the document\'s tokens']
        lines += [f"temperature = {calibrated.temperature:.3f}", "labels = [              # in the order of the logits"]
        if settings.topics.is_single:
            lines += [f"  {_string(label)}," for label in labels.topics]
        else:
            pairs = zip(labels.topics, calibrated.thresholds, strict=True)
            lines += [f"  {{ label = {_string(label)}, threshold = {threshold:.2f} }}," for label, threshold in pairs]
        lines += ["]"]
    if labels.entities:
        tags = ", ".join(map(_string, labels.tags))
        lines += ["", "[entities]", 'output = "entity_logits"', 'aggregation = "viterbi"']
        lines += [SKIP_BLANK_TOKENS, f"labels = [{tags}]"]
    return "\n".join(lines) + "\n"


def _string(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write_json(file: Path, value: dict) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
