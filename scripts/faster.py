"""Rewrites a text encoder so that it takes less time. Its weights stay as they are.

    python -m scripts.faster MODEL OUT

MODEL and OUT are ONNX files with `input_ids` and `attention_mask` of any batch and length. What is not understood stays
as it is. The steps:

1. What exporters compute at run time becomes constants (simplify.py).
2. Attention hides tokens by a weight of 0 (masking.py), if its softmax is decomposed (int8.py).
3. Hidden states are kept as `[sequence, batch, width]` (sequence_first.py).

Only the second step can change a logit. It adds numbers in another order. And in a padded batch, padding no longer
counts for the ranges by which activations are quantised.
"""

import argparse
from pathlib import Path

import onnx
from onnx import ModelProto

from scripts.masking import hide_by_weight
from scripts.onnx_files import check_can_be_written, read_model
from scripts.sequence_first import put_sequence_first
from scripts.simplify import Run, fix_mask, fix_rows, fix_shapes, opset, skip_identities

FIRST_OPSET = 13  # before it, Unsqueeze had another form


def make_faster(model: ModelProto, run: Run | None = None) -> list[str]:
    """Changes the graph; returns what was done, in words. `run` runs it, by default with ONNX Runtime."""
    if any(size.dim_value for given in model.graph.input for size in given.type.tensor_type.shape.dim):
        return ["nothing is made faster, since the inputs have a fixed shape"]
    done = [f"{fix_shapes(model, run)} shapes are constants"]
    if opset(model) < FIRST_OPSET:
        return [*done, f"the rest stays, since it needs opset {FIRST_OPSET} and the graph has {opset(model)}"]
    skip_identities(model)
    done += [f"{fix_rows(model, run)} embeddings are constants", f"{fix_mask(model, run)} masks are simple"]
    if hide_by_weight(model):
        done.append("tokens are hidden by weight")
    if put_sequence_first(model, run):
        done.append("the sequence is the first axis")
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    check_can_be_written(arguments.out)
    model = read_model(arguments.model)
    print("; ".join(make_faster(model)))
    onnx.checker.check_model(model)
    onnx.save(model, arguments.out)


if __name__ == "__main__":
    main()
