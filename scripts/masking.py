"""Lets attention hide tokens by a weight of 0, and not by a low score.

Adding a low number to the scores takes as long as any other step over `[batch, heads, sequence, sequence]`. Hidden
tokens may as well keep their scores if their values are 0 and they do not count in the sum that divides. The sum then
is a matrix product with the mask, which is faster than `ReduceSum`, and adds in one order on every processor too.

The largest score of a row, which keeps `exp` finite, must not be that of a hidden token: all others could become 0. So
hidden tokens begin as copies of the first one. Equal rows stay equal through all layers, where only attention lets a
token read others and no layer adds positions: other graphs stay as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from scripts.sequence_first import added_to_states
from scripts.simplify import MASK, SIMPLE_MASK, constants, mask_node, remove_unread

STEM = "hidden_tokens"
# How much a hidden token counts in the sum of a row. The sum is at least 1, so that no bit changes. A text without a
# token that is read would otherwise have sums of 0, and its results would not be numbers.
TINY = np.float32(1e-30)
# What lies between the states before a layer and its values by head.
BETWEEN = {"Add", "Cast", "MatMul", "MatMulInteger", "Mul", "Reshape", "Transpose", "DynamicQuantizeLinear"}


@dataclass
class _Attention:
    add: NodeProto
    largest: NodeProto
    shifted: NodeProto
    total: NodeProto
    values: NodeProto
    """The `Reshape` that splits the values by head."""


def hide_by_weight(model: ModelProto) -> bool:
    """Changes a graph whose masks are simple (simplify.fix_mask) and whose softmaxes are decomposed (int8.py), and says
    whether it did. A graph with an attention that looks otherwise stays as it is."""
    graph = _Graph(model)
    n_softmaxes = sum(node.op_type == "ReduceMax" for node in model.graph.node)
    attentions = list(graph.attentions())
    states = graph.states_before(attentions[0].values) if attentions else None
    if states is None or len(attentions) != n_softmaxes or not graph.keeps_equal_rows(states):
        return False
    graph.add_masks()
    graph.copy_first_token(states)
    for attention in attentions:
        graph.hide(attention)
    remove_unread(model)
    return True


class _Graph:
    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.graph = model.graph
        self.constants = constants(model)
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.users: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def attentions(self) -> Iterator[_Attention]:
        for largest in [node for node in self.graph.node if node.op_type == "ReduceMax"]:
            add, scores = self.makers.get(largest.input[0]), largest.input[0]
            after = self._by_type(scores)
            if add is None or add.op_type != "Add" or not any(name.startswith(SIMPLE_MASK) for name in add.input):
                continue
            if set(after) != {"ReduceMax", "Sub"} or not self._is_product(add):
                continue
            exponentials = self._by_type(after["Sub"].output[0]).get("Exp")
            sums = self._by_type(exponentials.output[0]) if exponentials else {}
            values = self._split(sums["MatMul"].input[1]) if set(sums) == {"ReduceSum", "MatMul"} else None
            if values:
                yield _Attention(add, largest, after["Sub"], sums["ReduceSum"], values)

    def _by_type(self, name: str) -> dict[str, NodeProto]:
        """The nodes that read a tensor, if they are of different types."""
        users = self.users.get(name, [])
        by_type = {node.op_type: node for node in users}
        return by_type if len(by_type) == len(users) else {}

    def _is_product(self, add: NodeProto) -> bool:
        """Whether the scores are those of queries and keys and no more: rotated keys, or scores with something for the
        distance, differ for tokens with equal rows."""
        name = next(given for given in add.input if not given.startswith(SIMPLE_MASK))
        product = self.makers.get(self._unscaled(name))
        return (
            product is not None
            and product.op_type == "MatMul"
            and all(self._split(self._unscaled(side)) for side in product.input)
        )

    def _unscaled(self, name: str) -> str:
        """The tensor before it was multiplied or divided by one number."""
        node = self.makers.get(name)
        while node is not None and node.op_type in ("Mul", "Div") and self._is_number(node.input[1]):
            name = node.input[0]
            node = self.makers.get(name)
        return name

    def _is_number(self, name: str) -> bool:
        return name in self.constants and self.constants[name].size == 1

    def _split(self, by_head: str) -> NodeProto | None:
        """The `Reshape` that splits products of states by head."""
        turn = self.makers.get(by_head)
        split = self.makers.get(turn.input[0]) if turn and turn.op_type == "Transpose" else None
        return split if split and split.op_type == "Reshape" and self.states_before(split) else None

    def keeps_equal_rows(self, states: str) -> bool:
        """Whether tokens whose rows of `states` are equal have equal rows in all layers: only attention lets a token
        read others, and nothing is added for its position."""
        added = added_to_states(self.model)
        if added is None:
            return False
        first = min(at for at, node in enumerate(self.graph.node) if states in node.input)
        return all(list(self.graph.node).index(self.makers[name]) < first for name in added)

    def states_before(self, values: NodeProto) -> str | None:
        """The states `[batch, sequence, width]` of which the first layer makes its values."""
        name = values.input[0]
        while (node := self.makers.get(name)) and node.op_type in BETWEEN:
            if node.op_type in ("MatMul", "DynamicQuantizeLinear"):
                return node.input[0]
            made = [given for given in node.input if given in self.makers and given not in self.constants]
            if not made:
                return None
            name = made[0]
        return None

    def add_masks(self) -> None:
        """The mask as numbers, `[batch, 1, sequence, 1]` and `[batch, sequence, 1]`, and as booleans of the latter."""
        values = {"by_head_at": [1, 3], "by_token_at": [2], "first": [0], "tiny": TINY}
        self.graph.initializer.extend(
            numpy_helper.from_array(np.array(value), f"{STEM}/{name}") for name, value in values.items()
        )
        nodes = [
            mask_node(STEM, "Cast", [MASK], "float", to=TensorProto.FLOAT),
            mask_node(STEM, "Max", ["float", "tiny"], "counted"),
            mask_node(STEM, "Unsqueeze", ["counted", "by_head_at"], "by_head"),
            mask_node(STEM, "Unsqueeze", ["float", "by_token_at"], "by_token"),
            mask_node(STEM, "Cast", ["by_token"], "is_read", to=TensorProto.BOOL),
        ]
        for at, node in enumerate(nodes):
            self.graph.node.insert(at, node)

    def copy_first_token(self, states: str) -> None:
        users = self.users[states]
        at = min(index for index, node in enumerate(self.graph.node) if node in users)
        for node in users:
            node.input[:] = [f"{STEM}/states" if name == states else name for name in node.input]
        first, copied = f"{STEM}/first_token", f"{STEM}/states"
        gather = helper.make_node("Gather", [states, f"{STEM}/first"], [first], first, axis=1)
        where = helper.make_node("Where", [f"{STEM}/is_read", states, first], [copied], copied)
        self.graph.node.insert(at, gather)
        self.graph.node.insert(at + 1, where)

    def hide(self, attention: _Attention) -> None:
        scores = next(name for name in attention.add.input if not name.startswith(SIMPLE_MASK))
        attention.largest.input[0] = attention.shifted.input[0] = scores
        total = attention.total
        total.CopyFrom(helper.make_node("MatMul", [total.input[0], f"{STEM}/by_head"], [total.output[0]], total.name))
        values = attention.values.input[0]
        hidden = f"{values}/hidden"
        weighted = helper.make_node("Mul", [values, f"{STEM}/by_token"], [hidden], hidden)
        self.graph.node.insert(list(self.graph.node).index(attention.values), weighted)
        attention.values.input[0] = hidden
