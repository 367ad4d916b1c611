"""Writes every tiny model folder under tests/models and checks each against PyTorch.

    python -m scripts.reference.make_models
"""

import pathlib

from scripts.export_model import TEXTS, TOLERANCE, check_tokenizer, compare, export_folder
from scripts.reference import families
from scripts.reference.texts import LOGIT_TEXTS

MODELS_FOLDER = pathlib.Path("tests/models")


def main() -> None:
    """Makes all folders anew."""
    for tiny in families.MODELS:
        model, tokenizer = families.build(tiny)
        write(model, tokenizer, MODELS_FOLDER / tiny.name)


def write(model, tokenizer, folder: pathlib.Path, outputs: tuple[str, ...] = ("logits",)) -> None:
    """Exports one model and stops at a difference from PyTorch past the tolerance."""
    export_folder(model, tokenizer, folder, outputs)
    check_tokenizer(tokenizer, folder)
    differences = compare(model, tokenizer, folder / "model.onnx", TEXTS + LOGIT_TEXTS, outputs)
    worst = max(row.max_difference for row in differences)
    print(f"{folder.name:<28} within {worst:.1e} of PyTorch")
    if not worst < TOLERANCE:
        raise SystemExit(f"{folder}: {worst:.1e} is past {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
