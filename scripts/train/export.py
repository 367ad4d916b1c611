"""Step 7: the model folder. One ONNX graph with both heads, checked against PyTorch, then int8."""

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
import torch
from onnx import load as load_onnx
from tokenizers import Tokenizer

from scripts import int8

from .config import Config, parse_arguments
from .manifest import Manifest
from .model import TwoHeads, mean_weights, trained_model
from .names import NAMES
from .records import read_training_records

TOLERANCE = 1e-4
N_CALIBRATION_TEXTS = 400  # of each set
CHECKED_TEXTS = [
    "Berlin.",
    "Bundeskanzlerin Angela Merkel reiste am Montag nach Paris, um mit Präsident Macron zu sprechen.",
    "Die Inflation ist im März auf 2,2 Prozent gesunken. " * 30,
]


def main() -> None:
    config, arguments = parse_arguments(__doc__, _add_options)
    config.paths.model.mkdir(parents=True, exist_ok=True)
    names = config.export.trainings or [config.paths.name]
    sources = [config.paths.checkpoint] if arguments.checkpoint else [config.paths.trained_by(name) for name in names]
    model = load_trained(config, sources)
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    full_precision = config.paths.work / f"{config.paths.model.name}.fp32.onnx"
    export_graph(model, full_precision, config.export.opset)
    check_logits(model, tokenizer, full_precision)
    texts = [
        record["text"]
        for name in ("entities/germeval2014.train", "topics/denews.de.train")
        for record in read_training_records(config.paths.data, name)[:N_CALIBRATION_TEXTS]
    ]
    quantise(
        full_precision, config.paths.model / "model.onnx", config.export, tokenizer, texts, config.export.max_length
    )
    write_folder(model, config)
    report_sizes(config.paths.model)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", action="store_true", help="export the last checkpoint, not the finished training"
    )


def load_trained(config: Config, sources: list[Path]) -> TwoHeads:
    """The model of a training, or of the mean of several trainings' weights."""
    return trained_model(config, mean_weights(sources))


def export_graph(model: TwoHeads, file: Path, opset: int) -> None:
    ids = torch.tensor([[0, 5, 6, 7, 8, 2], [0, 9, 10, 2, 1, 1]])
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(
        model,
        (ids, (ids != 1).long()),
        str(file),
        input_names=["input_ids", "attention_mask"],
        output_names=["entity_logits", "topic_logits"],
        dynamic_axes=dict.fromkeys(("input_ids", "attention_mask", "entity_logits", "topic_logits"), axes),
        opset_version=opset,
        dynamo=False,
    )


@torch.no_grad()
def check_logits(model: TwoHeads, tokenizer: Tokenizer, file: Path) -> None:
    """Fails if a logit differs by more than `TOLERANCE` from PyTorch's, alone or in a batch with a longer text."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    encodings = [tokenizer.encode(text).ids for text in CHECKED_TEXTS]
    batches = [[ids] for ids in encodings] + [encodings]
    worst = 0.0
    for batch in batches:
        width = max(map(len, batch))
        ids = np.array([row + [1] * (width - len(row)) for row in batch])
        mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in batch])
        found = session.run(["entity_logits", "topic_logits"], {"input_ids": ids, "attention_mask": mask})
        expected = model(torch.from_numpy(ids), torch.from_numpy(mask))
        for ours, theirs in zip(found, expected, strict=True):
            worst = max(worst, float(np.abs((ours - theirs.numpy()) * mask[..., None]).max()))
    print(f"largest difference to PyTorch: {worst:.1e}")
    if worst > TOLERANCE:
        raise SystemExit(f"the export differs by {worst}, more than {TOLERANCE}")


class Patterns(Protocol):
    """Regular expressions on names of matrix products; an empty one matches none."""

    @property
    def full_precision(self) -> str: ...

    @property
    def smoothed(self) -> str: ...


def quantise(
    source: Path, target: Path, patterns: Patterns, tokenizer: Tokenizer, texts: list[str], max_length: int
) -> None:
    """int8 weights per channel, embeddings too, fitted to the activations on the first `max_length` tokens of `texts`.
    Left as they are: the two heads (small, and they decide) and the matrix products that `patterns.full_precision`
    names."""
    kept = re.compile(f"_head|{patterns.full_precision}" if patterns.full_precision else "_head")
    graph = load_onnx(source).graph
    names = [node.name for node in graph.node if kept.search(node.name)]
    products = [node.name for node in graph.node if node.op_type == "MatMul" and node.name not in names]
    smoothed = [name for name in products if patterns.smoothed and re.search(patterns.smoothed, name)]
    feeds = int8.feeds(texts, tokenizer, [given.name for given in graph.input], max_length)
    int8.quantise(source, target, names, feeds, smoothed_nodes=smoothed)


def write_folder(model: TwoHeads, config: Config) -> None:
    folder = config.paths.model
    model.encoder.config.architectures = ["BertModel"]
    settings = json.loads(model.encoder.config.to_json_string(use_diff=False))
    kept = (
        "architectures", "model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "hidden_act", "layer_norm_eps", "max_position_embeddings", "type_vocab_size", "vocab_size", "bos_token_id",
        "eos_token_id", "pad_token_id", "transformers_version",
    )  # fmt: skip
    settings = {name: settings[name] for name in kept if name in settings}
    _write_json(folder / "config.json", settings)
    shutil.copy(config.paths.pruned / "tokenizer.json", folder / "tokenizer.json")
    shutil.copy(config.paths.truecase, folder / "truecase.txt")
    if config.export.names_weight:
        shutil.copy(NAMES, folder / "names.txt")
    special = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }
    special |= {"cls_token": "<s>", "sep_token": "</s>"}
    length = settings["max_position_embeddings"]
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": length,
         "model_input_names": ["input_ids", "attention_mask"], "clean_up_tokenization_spaces": False, **special},
    )  # fmt: skip
    Manifest(
        config.export.description,
        config.export.max_length,
        config.export.stride,
        lead_tokens=config.export.lead_tokens,
        part_tokens=config.export.part_tokens,
        one_label_per_name=config.export.one_label_per_name,
        names_weight=config.export.names_weight,
        entity_threshold=config.export.entity_threshold,
    ).write(folder)


def report_sizes(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        print(f"{file.name:24} {file.stat().st_size / 1e6:8.2f} MB")


def _write_json(file: Path, value: dict) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
