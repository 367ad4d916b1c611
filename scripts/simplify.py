"""Simplifies an exported graph, and changes nothing that it computes.

Exporters compute many things at run time, in hundreds of small nodes:

- the shape of each `Reshape` from the shape of an input. `fix_shapes` makes them constants: a dimension that the
  `Reshape` only copies from its data is a 0.
- the numbers that attention adds to scores, for which they gather from `attention_mask`. `fix_mask` needs three nodes.
- the embeddings of token types that are no input. `fix_rows` makes them a constant.

What a part of the graph computes is found by running it on random inputs of several shapes."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

# Batch and sequence of the runs that show which dimensions are copied. No other dimension of a graph changes with them.
TRIED_SHAPES = ((1, 13), (2, 7), (3, 11))
# Of a mask, the first that the graph can be run with. Some models read long texts in windows, which short texts hide.
LONG_SHAPES = ((2, 2048), (2, 1024), (2, 512), (2, 256), (2, 128), (2, 64))

Feed = Mapping[str, NDArray]
# Takes a graph, names of tensors, and inputs of several runs; returns these tensors of each run.
Run = Callable[[ModelProto, Sequence[str], Sequence[Feed]], list[Feed]]

MASK = "attention_mask"
SIMPLE_MASK = "simple_mask"


def fix_shapes(model: ModelProto, run: Run | None = None) -> int:
    """Gives a constant shape to each `Reshape` whose dimensions are either fixed or those of its data at the same
    index, and removes the nodes that computed it. Returns the number of changed nodes.

    The graph must take the inputs of a text encoder: `input_ids`, and others of the same shape. `run` runs it,
    by default with ONNX Runtime."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    reshapes = [node for node in graph.node if node.op_type == "Reshape" and node.input[1] not in constants]
    if not reshapes:
        return 0
    runs = tried(model, {name for node in reshapes for name in node.input}, run)
    n_changed = 0
    for node in reshapes:
        data, shape = node.input
        if (fixed := fixed_shape([of[data].shape for of in runs], [of[shape].tolist() for of in runs])) is None:
            continue
        node.input[1] = f"{node.output[0]}/shape"
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


def skip_identities(model: ModelProto) -> None:
    """Lets nodes read what an `Identity` only passes on. Exporters write one for each constant that equals another."""
    kept = {output.name for output in model.graph.output}
    kept |= {name for node in model.graph.node for name in _read_names(node)[len(node.input) :]}
    identities = [node for node in model.graph.node if node.op_type == "Identity" and node.output[0] not in kept]
    passed = {node.output[0]: node.input[0] for node in identities}
    for node in model.graph.node:
        while any(name in passed for name in node.input):
            node.input[:] = [passed.get(name, name) for name in node.input]
    for node in identities:
        model.graph.node.remove(node)


def fix_mask(model: ModelProto, run: Run | None = None) -> int:
    """Computes with few nodes what attention adds to its scores: 0, or one low number for a token that the mask hides.
    Returns the number of changed nodes."""
    users = _additions(model, {MASK})
    if not users:
        return 0
    lowest_of = {name: _lowest(model, name, run) for name in {node.input[at] for node, at in users}}
    n_changed = 0
    for node, at in users:
        if (lowest := lowest_of[node.input[at]]) is None:
            continue
        node.input[at] = _mask(model, lowest)
        n_changed += 1
    remove_unread(model)
    return n_changed


def _lowest(model: ModelProto, name: str, run: Run | None) -> np.float32 | None:
    """The number that stands for a token that the mask hides, if the tensor has that and 0 for the others."""
    alone = ModelProto()
    alone.CopyFrom(model)
    del alone.graph.output[:]
    alone.graph.output.append(ValueInfoProto(name=name))
    remove_unread(alone)
    runs = tried(alone, [name], run)
    for shape in LONG_SHAPES:
        # Each runtime has its own exception for a text that is longer than the graph's positions.
        with contextlib.suppress(Exception):
            runs += tried(alone, [name], run, [shape])
            break
    lowest = min(tensors[name].min() for tensors in runs)
    for tensors in runs:
        mask, tensor = tensors[MASK], tensors[name]
        expected = np.where(mask[:, None, None, :] != 0, np.float32(0), lowest)
        shapes = {(len(mask), 1, n_rows, mask.shape[1]) for n_rows in (1, mask.shape[1])}
        if tensor.dtype != np.float32 or tensor.shape not in shapes or not (tensor == expected).all():
            return None
    return lowest if lowest < 0 else None


def _mask(model: ModelProto, lowest: np.float32) -> str:
    """The name of a tensor `[batch, 1, sequence, sequence]`, for which nodes are added once. ONNX Runtime adds it
    faster than `[batch, 1, 1, sequence]`: it takes all rows at once."""
    stem, graph = f"{SIMPLE_MASK}/{lowest}", model.graph
    if not any(stem in node.output for node in graph.node):
        values = {"columns_at": [1, 2], "rows_at": [1, 3], "zero": np.float32(0), "lowest": lowest}
        graph.initializer.extend(numpy_helper.from_array(np.array(it), f"{stem}/{name}") for name, it in values.items())

        nodes = [
            mask_node(stem, "Cast", [MASK], "boolean", to=TensorProto.BOOL),
            mask_node(stem, "Unsqueeze", ["boolean", "columns_at"], "columns"),
            mask_node(stem, "Cast", [MASK], "float", to=TensorProto.FLOAT),
            mask_node(stem, "Unsqueeze", ["float", "rows_at"], "rows"),
            mask_node(stem, "Mul", ["rows", "zero"], "zeros"),
            mask_node(stem, "Where", ["columns", "zeros", "lowest"], ""),
        ]
        for at, made in enumerate(nodes):
            graph.node.insert(at, made)
    return stem


def mask_node(stem: str, kind: str, given: Sequence[str], made: str, **attributes: Any) -> NodeProto:
    """A node that makes something of the mask. The names of tensors begin with `stem`, but for the mask itself."""
    names = [name if name == MASK else f"{stem}/{name}" for name in given]
    result = f"{stem}/{made}" if made else stem
    return helper.make_node(kind, names, [result], result, **attributes)


def fix_rows(model: ModelProto, run: Run | None = None) -> int:
    """Makes a constant of each tensor `[batch, sequence, width]` that is added to others and has one row for all tokens
    of all texts. Returns the number of changed nodes."""
    users = _additions(model, set())
    if not users:
        return 0
    runs = tried(model, {node.input[at] for node, at in users}, run)
    n_changed = 0
    for node, at in users:
        name = node.input[at]
        row = runs[0][name].reshape(-1, runs[0][name].shape[-1])[0] if runs[0][name].ndim == 3 else None
        if row is None or not all((tensors[name] == row).all() for tensors in runs):
            continue
        model.graph.initializer.append(numpy_helper.from_array(row, f"{name}/row"))
        node.input[at] = f"{name}/row"
        n_changed += 1
    remove_unread(model)
    return n_changed


def _additions(model: ModelProto, given: set[str]) -> list[tuple[NodeProto, int]]:
    """The nodes that add a tensor which depends on the numbers of just these inputs, each with its index."""
    names = {name for name, read in _first_reads(model).items() if read == given}
    additions = [node for node in model.graph.node if node.op_type == "Add"]
    return [(node, at) for node in additions for at, name in enumerate(node.input) if name in names]


def _first_reads(model: ModelProto) -> dict[str, set[str]]:
    """The inputs whose numbers a tensor depends on, for each tensor that a node makes."""
    read: dict[str, set[str]] = {given.name: {given.name} for given in model.graph.input}
    for node in model.graph.node:
        given = (
            set() if node.op_type == "Shape" else {name for made in _read_names(node) for name in read.get(made, ())}
        )
        read |= dict.fromkeys(node.output, given)
    return {name: given for name, given in read.items() if name not in given}


def constants(model: ModelProto) -> dict[str, NDArray]:
    """All constants by their names."""
    made = [node for node in model.graph.node if node.op_type == "Constant"]
    values = {node.output[0]: value.t for node in made if (value := attribute(node, "value"))}
    tensors = {tensor.name: tensor for tensor in model.graph.initializer} | values
    return {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}


def opset(model: ModelProto) -> int:
    return max((known.version for known in model.opset_import if known.domain in ("", "ai.onnx")), default=0)


def attribute(node: NodeProto, name: str) -> AttributeProto | None:
    return next((known for known in node.attribute if known.name == name), None)


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


def tried(
    model: ModelProto, names: Iterable[str], run: Run | None = None, shapes: Sequence[tuple[int, int]] = TRIED_SHAPES
) -> list[Feed]:
    """These tensors and the inputs, from one run for each tried shape."""
    feeds = random_inputs(model, shapes)
    names = {name for name in names if name not in feeds[0]}
    return [{**feed, **made} for feed, made in zip(feeds, (run or run_onnx)(model, sorted(names), feeds), strict=True)]


def run_onnx(model: ModelProto, names: Sequence[str], feeds: Sequence[Feed]) -> list[Feed]:
    """These tensors of each run, as ONNX Runtime has them without optimisation."""
    import onnxruntime

    wanted = ModelProto()
    wanted.CopyFrom(model)
    known = {output.name for output in wanted.graph.output} | {given.name for given in wanted.graph.input}
    wanted.graph.output.extend(ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(wanted.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [dict(zip(names, session.run(list(names), dict(feed)), strict=True)) for feed in feeds]


def random_inputs(model: ModelProto, shapes: Sequence[tuple[int, int]] = TRIED_SHAPES) -> list[Feed]:
    """Numbers that a text encoder may be given, one set for each shape. A mask hides the end of all texts but the
    longest; ids are rows of the smallest table that they are looked up in."""
    random, tensors = np.random.default_rng(1), {tensor.name: tensor for tensor in model.graph.initializer}
    feeds = []
    for n_texts, length in shapes:
        feed: dict[str, NDArray] = {}
        for given in model.graph.input:
            tables = [
                tensors[node.input[0]].dims[0]
                for node in model.graph.node
                if node.op_type == "Gather" and node.input[1] == given.name and node.input[0] in tensors
            ]
            numbers = random.integers(0, min(tables, default=2), (n_texts, length))
            if given.name == MASK:
                numbers = np.arange(length) < (length - 2 * np.arange(n_texts))[:, None]
            integer = np.int32 if given.type.tensor_type.elem_type == TensorProto.INT32 else np.int64
            feed[given.name] = numbers.astype(integer)
        feeds.append(feed)
    return feeds
