"""A graph with computed shapes gives the same numbers with fixed ones."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from scripts.simplify import TRIED_SHAPES, fix_shapes, fixed_shape


def test_a_dimension_is_copied_fixed_or_unknown() -> None:
    data = [(1, 13, 8), (2, 7, 8), (3, 11, 8)]
    assert fixed_shape(data, [[1, 13, 2, 4], [2, 7, 2, 4], [3, 11, 2, 4]]) == [0, 0, 2, 4]
    assert fixed_shape(data, [[1, -1], [2, -1], [3, -1]]) == [0, -1]
    assert fixed_shape(data, [[13, 8], [14, 8], [33, 8]]) is None
    assert fixed_shape(data, [[13, 1, 8], [7, 2, 8], [11, 3, 8]]) is None
    assert fixed_shape(data, [[1, 13], [2, 7, 8], [3, 11]]) is None


def encoder() -> ModelProto:
    """`[batch, sequence]` to `[batch, sequence, 2, 2]`, whose shape is computed, and to `[batch * sequence, 4]`."""
    constants = {
        "table": np.arange(40, dtype=np.float32).reshape(10, 4),
        "last": np.array([2, 2]),
        "flat": np.array([-1, 4]),
    }
    constants |= {"zero": np.array(0), "one": np.array(1), "axes": np.array([0])}
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "input_ids"], ["states"]),
        node("Shape", ["input_ids"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Gather", ["shape", "one"], ["sequence"]),
        node("Unsqueeze", ["batch", "axes"], ["batches"]),
        node("Unsqueeze", ["sequence", "axes"], ["tokens"]),
        node("Concat", ["batches", "tokens", "last"], ["wanted"], axis=0),
        node("Reshape", ["states", "wanted"], ["heads"], name="heads"),
        node("Concat", ["tokens", "batches", "last"], ["turned"], axis=0),
        node("Reshape", ["states", "turned"], ["other"], name="other"),
        node("Reshape", ["states", "flat"], ["rows"], name="rows"),
    ]
    given = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("heads", "other", "rows")]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "encoder", given, made, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def read(model: ModelProto, names: Sequence[str]) -> list[Mapping[str, NDArray]]:
    """These tensors, from one run for each tried shape, as ONNX's reference has them."""
    wanted = ModelProto()
    wanted.CopyFrom(model)
    del wanted.graph.output[:]
    wanted.graph.output.extend(ValueInfoProto(name=name) for name in names)
    feeds = [{"input_ids": np.ones(shape, np.int64)} for shape in TRIED_SHAPES]
    return [dict(zip(names, outputs(wanted, feed["input_ids"]), strict=True)) | feed for feed in feeds]


def outputs(model: ModelProto, ids: NDArray) -> list[NDArray]:
    return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, {"input_ids": ids}) or []]


def test_computed_shapes_become_constants_where_they_copy_dimensions() -> None:
    model = encoder()
    ids = np.arange(10).reshape(2, 5)
    before = outputs(model, ids)
    assert fix_shapes(model, read) == 1
    by_name = {node.name: node for node in model.graph.node if node.name}
    shapes = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in model.graph.initializer}
    assert shapes[by_name["heads"].input[1]] == [0, 0, 2, 2]
    assert by_name["other"].input[1] == "turned"  # its dimensions change places
    assert "wanted" not in {name for node in model.graph.node for name in node.output}
    for old, new in zip(before, outputs(model, ids), strict=True):
        assert np.array_equal(old, new)


def test_a_graph_without_computed_shapes_stays_as_it_is() -> None:
    model = encoder()
    fix_shapes(model, read)
    once = model.SerializeToString()
    assert fix_shapes(model, read) == 0
    assert model.SerializeToString() == once
