"""Lets a text encoder keep its hidden states as `[sequence, batch, ...]`, and changes nothing that it computes.

Attention multiplies by heads, so the usual `[batch, sequence, heads, width]` is copied to `[batch, heads, sequence,
width]` before each product. ONNX Runtime's product can read `[sequence, batch, heads, width]` as it is: three of the
four copies of a layer go. Token ids are transposed before the embeddings, and the outputs after the heads.
"""

from collections.abc import Callable
from enum import Enum, auto

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from scripts.simplify import Run, attribute, constants, random_inputs, run_onnx

# They take each number, or each row of the last axis, by itself.
ELEMENTWISE = {
    "Add", "Cast", "Clip", "Div", "Erf", "Gelu", "LayerNormalization", "Mul", "Pow", "Relu", "Sqrt", "Sub", "Tanh",
    "Where",
}  # fmt: skip
# All numbers of a tensor share one scale, so that their order does not matter.
QUANTISING = {"DequantizeLinear", "DynamicQuantizeLinear"}
PRODUCTS = {"MatMul", "MatMulInteger"}


class Layout(Enum):
    """What the axes of a tensor are."""

    STATES = auto()
    """`[batch, sequence, ...]`, which becomes `[sequence, batch, ...]`."""
    BY_HEAD = auto()
    """`[batch, heads, ...]`, as attention multiplies; it stays."""


# The order of axes of a `Transpose` between the two layouts: how it is, and how it becomes.
TO_HEADS: dict[tuple[int, ...], list[int]] = {(0, 2, 1, 3): [1, 2, 0, 3], (0, 2, 3, 1): [1, 2, 3, 0]}
FROM_HEADS: dict[tuple[int, ...], list[int]] = {(0, 2, 1, 3): [2, 0, 1, 3]}


class UnknownLayoutError(Exception):
    """A node of which it is not known whether it may get its axes in another order."""


def put_sequence_first(model: ModelProto, run: Run | None = None) -> bool:
    """Changes the graph, and says whether it did. A graph with any node that is not understood stays as it is, and so
    does one whose outputs would change by a bit. `run` runs it, by default with ONNX Runtime."""
    rewriter = _rewritten(model)
    if rewriter is None:
        return False
    changed = rewriter.model
    if not _same_outputs(model, changed, run or run_onnx):
        return False
    model.CopyFrom(changed)
    return True


def added_to_states(model: ModelProto) -> list[str] | None:
    """The results of nodes that add another row to each token, such as embeddings of positions; `None` if anything but
    attention may let a token read another, or is not understood."""
    rewriter = _rewritten(model)
    return None if rewriter is None else rewriter.added


def _rewritten(model: ModelProto) -> "_Rewriter | None":
    """What has rewritten a copy of the graph; `None` if that has a node that is not understood."""
    copy = ModelProto()
    copy.CopyFrom(model)
    rewriter = _Rewriter(copy)
    try:
        rewriter.run()
    except UnknownLayoutError:
        return None
    return rewriter


def _same_outputs(model: ModelProto, changed: ModelProto, run: Run) -> bool:
    names, feeds = [output.name for output in model.graph.output], random_inputs(model)
    expected = run(model, names, feeds)
    try:
        runs = zip(expected, run(changed, names, feeds), strict=True)
    except Exception:  # each runtime has its own for a graph whose shapes do not fit
        return False
    return all(np.array_equal(before[name], after[name]) for before, after in runs for name in names)


class _Rewriter:
    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.graph = model.graph
        self.constants = constants(model)
        self.inputs = {given.name for given in self.graph.input}
        self.turned: set[str] = set()
        self.added: list[str] = []
        self.layouts: dict[str, Layout] = {}
        self.n_products = 0

    def run(self) -> None:
        for node in list(self.graph.node):
            if layout := self._layout(node):
                self.layouts |= dict.fromkeys(node.output, layout)
        if not self.n_products:
            raise UnknownLayoutError
        for output in self.graph.output:
            self._turn_back(output.name)

    def _layout(self, node: NodeProto) -> Layout | None:
        """Changes the node where it has to change; gives the layout of its outputs, if they have one."""
        if node.op_type == "Gather" and len(node.input) == 2 and self._rank(node.input[0]) == 2:
            return self._embeddings(node)
        known = [self.layouts[name] for name in node.input if name in self.layouts]
        if not known:
            return None
        rules: dict[str, Callable[[NodeProto], Layout | None]] = {
            "Gather": self._token,
            "Reshape": self._reshape,
            "Shape": self._shape,
            "Transpose": self._transpose,
        }
        if rule := rules.get(node.op_type):
            return rule(node)
        if Layout.BY_HEAD in known:
            return self._by_head(node, known)
        if node.op_type in ELEMENTWISE:
            return self._elementwise(node)
        if node.op_type in QUANTISING:
            return Layout.STATES
        if node.op_type in PRODUCTS and node.input[0] in self.layouts and self._rank(node.input[1]) == 2:
            return Layout.STATES
        raise UnknownLayoutError(node.op_type)

    def _embeddings(self, node: NodeProto) -> Layout | None:
        """Rows of a table for the ids of an input, which is `[batch, sequence]`."""
        if node.input[1] not in self.inputs:
            return None
        node.input[1] = self._turned(node.input[1], [1, 0], node)
        return Layout.STATES

    def _token(self, node: NodeProto) -> Layout | None:
        """One token of each text: `[batch, 1, width]`, or `[batch, width]`, which is as it was."""
        axis, indices = attribute(node, "axis"), self.constants.get(node.input[1])
        if self.layouts.get(node.input[0]) is not Layout.STATES or axis is None or axis.i != 1 or indices is None:
            raise UnknownLayoutError(node.name)
        axis.i = 0
        return Layout.STATES if indices.ndim else None

    def _shape(self, node: NodeProto) -> None:
        """Gives the dimensions in the order in which they were."""
        if self.layouts[node.input[0]] is Layout.BY_HEAD:
            return
        if node.attribute:
            raise UnknownLayoutError(node.name)
        result = node.output[0]
        node.output[0] = f"{result}/sequence_first"
        nodes = [
            helper.make_node("Gather", [node.output[0], self._integers("first_two", 1, 0)], [f"{result}/first_two"]),
            helper.make_node(
                "Slice",
                [node.output[0], self._integers("third", 2), self._integers("end", np.iinfo(np.int64).max)],
                [f"{result}/others"],
            ),
            helper.make_node("Concat", [f"{result}/first_two", f"{result}/others"], [result], axis=0),
        ]
        at = list(self.graph.node).index(node) + 1
        for made in reversed(nodes):
            self.graph.node.insert(at, made)

    def _integers(self, name: str, *values: int) -> str:
        name = f"sequence_first/{name}"
        if name not in self.constants:
            self.constants[name] = np.array(values)
            self.graph.initializer.append(numpy_helper.from_array(self.constants[name], name))
        return name

    def _reshape(self, node: NodeProto) -> Layout:
        """One that splits or joins the last axes of states. `[batch * sequence, width]` has its rows in another order
        once the sequence is first, so a node that makes it is not understood."""
        shape = self.constants.get(node.input[1])
        is_states = self.layouts.get(node.input[0]) is Layout.STATES
        if not is_states or shape is None or list(shape[:2]) != [0, 0]:
            raise UnknownLayoutError(node.name)
        return Layout.STATES

    def _transpose(self, node: NodeProto) -> Layout:
        states = self.layouts[node.input[0]] is Layout.STATES
        order = attribute(node, "perm")
        known = TO_HEADS if states else FROM_HEADS
        if order is None or tuple(order.ints) not in known:
            raise UnknownLayoutError(node.name)
        order.ints[:] = known[tuple(order.ints)]
        return Layout.BY_HEAD if states else Layout.STATES

    def _by_head(self, node: NodeProto, known: list[Layout]) -> Layout:
        """Whatever attention does with its scores: their axes stay, so that only states may not be mixed in."""
        if Layout.STATES in known:
            raise UnknownLayoutError(node.name)
        self.n_products += node.op_type == "MatMul"
        return Layout.BY_HEAD

    def _elementwise(self, node: NodeProto) -> Layout:
        for at, name in enumerate(node.input):
            if name not in self.layouts and self._rank(name) not in (0, 1):
                # The embeddings of positions, `[1 or batch, sequence, width]`.
                self.added.extend(node.output)
                node.input[at] = self._turned(name, [1, 0, 2], node)
        return Layout.STATES

    def _turned(self, name: str, order: list[int], user: NodeProto) -> str:
        """The tensor with its first two axes in the other order."""
        turned = f"{name}/sequence_first"
        if turned not in self.turned:
            self.turned.add(turned)
            node = helper.make_node("Transpose", [name], [turned], turned, perm=order)
            self.graph.node.insert(list(self.graph.node).index(user), node)
        return turned

    def _turn_back(self, name: str) -> None:
        if self.layouts.get(name) is not Layout.STATES:
            return
        turned = f"{name}/sequence_first"
        for node in self.graph.node:
            node.input[:] = [turned if given == name else given for given in node.input]
            node.output[:] = [turned if made == name else made for made in node.output]
        self.graph.node.append(helper.make_node("Transpose", [turned], [name], turned, perm=[1, 0, 2]))

    def _rank(self, name: str) -> int | None:
        """The number of axes of a constant; scales that are made at run time have none."""
        return self.constants[name].ndim if name in self.constants else None
