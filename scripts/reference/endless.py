"""Graphs whose runs never end where a token is in the window, for tests/it: python -m scripts.reference.endless"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# In the vocabulary of tests/models/lexicon-ner: a word of the trial run, and one that is not.
TOKENS = {"endless-at-load.onnx": 257, "endless-at-paris.onnx": 182}
N_LABELS = 7


def endless(token: int) -> onnx.ModelProto:
    scalar = TensorProto.FLOAT
    body = helper.make_graph(
        [helper.make_node("Identity", ["goes"], ["goes_on"]), helper.make_node("Add", ["value", "one"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", scalar, []),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", scalar, []),
        ],
    )
    constants = {
        "token": np.array(token, np.int64),
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "most": np.array(np.iinfo(np.int64).max, np.int64),
        "n_labels": np.array([N_LABELS], np.int64),
        "depth": np.array([-1], np.int64),
    }
    nodes = [
        helper.make_node("Equal", ["input_ids", "token"], ["is_token"]),
        helper.make_node("Cast", ["is_token"], ["as_number"], to=scalar),
        helper.make_node("ReduceMax", ["as_number"], ["any"], keepdims=0),
        helper.make_node("Cast", ["any"], ["loops"], to=TensorProto.BOOL),
        helper.make_node("Loop", ["most", "loops", "zero"], ["end"], body=body),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=scalar),
        helper.make_node("Add", ["mask", "end"], ["scores"]),
        helper.make_node("Unsqueeze", ["scores", "depth"], ["column"]),
        helper.make_node("Shape", ["column"], ["shape"]),
        helper.make_node("Slice", ["shape", "start", "stop"], ["size"]),
        helper.make_node("Concat", ["size", "n_labels"], ["logits_shape"], axis=0),
        helper.make_node("Expand", ["column", "logits_shape"], ["logits"]),
    ]
    constants |= {"start": np.array([0], np.int64), "stop": np.array([2], np.int64)}
    names = ["batch", "length"]
    graph = helper.make_graph(
        nodes,
        "endless",
        [helper.make_tensor_value_info(name, TensorProto.INT64, names) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", scalar, [*names, N_LABELS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    folder = Path("tests/it/graphs")
    folder.mkdir(exist_ok=True)
    for name, token in TOKENS.items():
        model = endless(token)
        onnx.checker.check_model(model)
        onnx.save(model, folder / name)
