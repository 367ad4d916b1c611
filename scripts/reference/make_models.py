"""Writes every tiny model folder under tests/models and checks each against PyTorch.

Run as `python -m scripts.reference.make_models`; the folders that are there are written over.
"""

import os
import pathlib
import sys

import torch
from transformers import PreTrainedTokenizerBase

from scripts.export_model import TEXTS, TOLERANCE, check_tokenizer, compare, export_folder
from scripts.reference import families, lexicon, two_heads
from scripts.reference.texts import LOGIT_TEXTS
from scripts.reference.variants import write_variants

MODELS_FOLDER = pathlib.Path("tests/models")


def main() -> None:
    """Makes all folders again."""
    fix_hash_seed()
    for tiny in families.MODELS:
        write(*families.build(tiny), MODELS_FOLDER / tiny.name)
    for two in two_heads.MODELS:
        folder = MODELS_FOLDER / two.name
        write(*two_heads.build(two), folder, two_heads.OUTPUTS)
        (folder / "ressort.toml").write_text(two_heads.manifest(two))
    for name, (model, tokenizer) in lexicon.build_all().items():
        write(model, tokenizer, MODELS_FOLDER / name)
    check_variants(write_variants(MODELS_FOLDER))


def fix_hash_seed() -> None:
    """Starts Python again with hash seed 0: ModernBERT's graph depends on the order of a set of names."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        command = [sys.executable, "-m", "scripts.reference.make_models"]
        os.execve(sys.executable, command, os.environ | {"PYTHONHASHSEED": "0"})


def write(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    folder: pathlib.Path,
    outputs: tuple[str, ...] = ("logits",),
) -> None:
    """Exports one model and stops at a difference from PyTorch past the tolerance."""
    export_folder(model, tokenizer, folder, outputs)
    check_tokenizer(tokenizer, folder)
    worst = difference_from_pytorch(model, tokenizer, folder / "model.onnx", outputs)
    if not worst < TOLERANCE:
        raise SystemExit(f"{folder}: {worst:.1e} is past {TOLERANCE:.0e}")


def check_variants(sources: dict[pathlib.Path, str]) -> None:
    """Loads each variant in ONNX Runtime and says how far it is from the fp32 PyTorch model."""
    tiny_models = {tiny.name: tiny for tiny in families.MODELS}
    for folder, source in sources.items():
        model, tokenizer = families.build(tiny_models[source])
        for path in sorted(folder.rglob("*.onnx")):
            difference_from_pytorch(model, tokenizer, path, ("logits",))


def difference_from_pytorch(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    path: pathlib.Path,
    outputs: tuple[str, ...],
) -> float:
    """The largest difference of a logit, which it prints."""
    differences = compare(model, tokenizer, path, TEXTS + LOGIT_TEXTS, outputs)
    worst = max(row.max_difference for row in differences)
    equal = sum(row.n_equal for row in differences) / sum(row.n_compared for row in differences)
    name = path.relative_to(MODELS_FOLDER)
    print(f"{name!s:<56} within {worst:.1e} of PyTorch, {equal:.0%} same answers")
    return worst


if __name__ == "__main__":
    main()
