"""Simplifies an exported graph, and changes nothing that it computes.

Exporters compute the shape of each `Reshape` from the shape of an input, at run time, in hundreds of small nodes.
`fix_shapes` makes them constants: a dimension that the `Reshape` only copies from its data is a 0."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto, numpy_helper

# Batch and sequence of the runs that show which dimensions are copied. No other dimension of a graph changes with them.
TRIED_SHAPES = ((1, 13), (2, 7), (3, 11))

# Takes a graph and names of tensors; returns these tensors, from one run for each tried shape.
Read = Callable[[ModelProto, Sequence[str]], list[Mapping[str, NDArray]]]

INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


def fix_shapes(model: ModelProto, read: Read | None = None) -> int:
    """Gives a constant shape to each `Reshape` whose dimensions are either fixed or those of its data at the same
    index, and removes the nodes that computed it. Returns the number of changed nodes.

    The graph must take the inputs of a text encoder: `input_ids`, and others of the same shape. `read` runs it,
    by default with ONNX Runtime."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    reshapes = [node for node in graph.node if node.op_type == "Reshape" and node.input[1] not in constants]
    if not reshapes:
        return 0
    runs = (read or run_shapes)(model, sorted({name for node in reshapes for name in node.input}))
    n_changed = 0
    for node in reshapes:
        data, shape = node.input
        if (fixed := fixed_shape([run[data].shape for run in runs], [run[shape].tolist() for run in runs])) is None:
            continue
        node.input[1] = f"{node.name}/shape"
        graph.initializer.append(numpy_helper.from_array(np.array(fixed, np.int64), node.input[1]))
        n_changed += 1
    remove_unread(model)
    return n_changed


def fixed_shape(data: Sequence[Sequence[int]], shapes: Sequence[Sequence[int]]) -> list[int] | None:
    """The constant that stands for `shapes`, those of several runs whose `data` had these shapes, or `None`."""
    if len({len(shape) for shape in shapes}) != 1:
        return None
    fixed = []
    for place, dimensions in enumerate(zip(*shapes, strict=True)):
        if all(place < len(shape) and shape[place] == wanted for shape, wanted in zip(data, dimensions, strict=True)):
            fixed.append(0)
        elif len(set(dimensions)) == 1 and dimensions[0] != 0:
            fixed.append(dimensions[0])
        else:
            return None
    return fixed


def remove_unread(model: ModelProto) -> None:
    """Removes nodes and constants that nothing reads."""
    graph = model.graph
    outputs = {output.name for output in graph.output}
    while True:
        read = outputs | {name for node in graph.node for name in _read_names(node)}
        unread = [node for node in graph.node if read.isdisjoint(node.output)]
        if not unread:
            break
        for node in unread:
            graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)


def _read_names(node: NodeProto) -> list[str]:
    """The inputs of a node, and what its subgraphs may read from around them."""
    inner = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return [*node.input, *(name for graph in inner for child in graph.node for name in _read_names(child))]


def run_shapes(model: ModelProto, names: Sequence[str]) -> list[Mapping[str, NDArray]]:
    """These tensors, from one run for each tried shape."""
    import onnxruntime

    wanted = ModelProto()
    wanted.CopyFrom(model)
    known = {output.name for output in wanted.graph.output} | {given.name for given in wanted.graph.input}
    wanted.graph.output.extend(ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(wanted.SerializeToString(), options, providers=["CPUExecutionProvider"])
    runs = []
    for shape in TRIED_SHAPES:
        feed = {given.name: np.ones(shape, INTEGERS[given.type]) for given in session.get_inputs()}
        runs.append(dict(zip(names, session.run(list(names), feed), strict=True)) | feed)
    return runs
