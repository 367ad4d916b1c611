"""A graph gives the same numbers after it was simplified, and after its layout was changed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from scripts import simplify
from scripts.faster import make_faster
from scripts.int8 import decompose_softmax
from scripts.masking import hide_by_weight
from scripts.sequence_first import put_sequence_first
from scripts.simplify import Feed, fix_mask, fix_rows, fix_shapes, fixed_shape, random_inputs

N_TOKENS, WIDTH, N_HEADS, N_LABELS = 20, 8, 2, 3
LOWEST = np.finfo(np.float32).min


def run(model: ModelProto, names: Sequence[str], feeds: Sequence[Feed]) -> list[Feed]:
    """These tensors of each run, as ONNX's reference has them."""
    wanted = ModelProto()
    wanted.CopyFrom(model)
    del wanted.graph.output[:]
    wanted.graph.output.extend(ValueInfoProto(name=name) for name in names)
    evaluator = ReferenceEvaluator(wanted)
    return [dict(zip(names, map(np.asarray, evaluator.run(None, dict(feed)) or []), strict=True)) for feed in feeds]


def test_a_dimension_is_copied_fixed_or_unknown() -> None:
    data = [(1, 13, 8), (2, 7, 8), (3, 11, 8)]
    assert fixed_shape(data, [[1, 13, 2, 4], [2, 7, 2, 4], [3, 11, 2, 4]]) == [0, 0, 2, 4]
    assert fixed_shape(data, [[1, -1], [2, -1], [3, -1]]) == [0, -1]
    assert fixed_shape(data, [[13, 8], [14, 8], [33, 8]]) is None
    assert fixed_shape(data, [[13, 1, 8], [7, 2, 8], [11, 3, 8]]) is None
    assert fixed_shape(data, [[1, 13], [2, 7, 8], [3, 11]]) is None


def computed_shapes() -> ModelProto:
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


def outputs(model: ModelProto, ids: NDArray) -> list[NDArray]:
    (made,) = run(model, [output.name for output in model.graph.output], [{"input_ids": ids}])
    return list(made.values())


def test_computed_shapes_become_constants_where_they_copy_dimensions() -> None:
    model = computed_shapes()
    ids = np.arange(10).reshape(2, 5)
    before = outputs(model, ids)
    assert fix_shapes(model, run) == 1
    by_name = {node.name: node for node in model.graph.node if node.name}
    shapes = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in model.graph.initializer}
    assert shapes[by_name["heads"].input[1]] == [0, 0, 2, 2]
    assert by_name["other"].input[1] == "turned"  # its dimensions change places
    assert "wanted" not in {name for node in model.graph.node for name in node.output}
    for old, new in zip(before, outputs(model, ids), strict=True):
        assert np.array_equal(old, new)


def test_a_graph_without_computed_shapes_stays_as_it_is() -> None:
    model = computed_shapes()
    fix_shapes(model, run)
    once = model.SerializeToString()
    assert fix_shapes(model, run) == 0
    assert model.SerializeToString() == once


@pytest.fixture(autouse=True)
def shorter_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX's reference is slow."""
    monkeypatch.setattr(simplify, "LONG_SHAPES", ((2, 64), (2, 30)))


class Encoder:
    """Builds a text encoder of two layers as exporters write it, with decomposed softmaxes."""

    def __init__(self, scale: float = 1.0) -> None:
        self.random = np.random.default_rng(3)
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.inputs = ["input_ids", "attention_mask"]
        self.scale = scale
        self.rotation = ""

    def add(self, kind: str, *given: str | NDArray | np.generic, **attributes: Any) -> str:
        """A node; arrays become constants. Gives the name of its output."""
        made = f"{kind}_{len(self.nodes)}"
        names = [it if isinstance(it, str) else self.constant(it) for it in given]
        self.nodes.append(helper.make_node(kind, names, [made], made, **attributes))
        return made

    def constant(self, value: NDArray | np.generic) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(self, *shape: int) -> NDArray:
        return (self.random.normal(size=shape) * self.scale).astype(np.float32)

    def embeddings(self, types: str | None = None) -> str:
        """Words, positions and types; without `types` these are 0, as an exporter computes them."""
        shape = self.add("Shape", "input_ids")
        length = self.add("Gather", shape, np.array([1]))
        positions = self.add("Slice", self.weights(1, 32, WIDTH), np.array([0]), length, np.array([1]))
        types = types or self.add("Expand", np.array([[0]]), shape)
        words = self.add("Gather", self.weights(N_TOKENS, WIDTH), "input_ids")
        sum_ = self.add("Add", words, self.add("Gather", self.weights(2, WIDTH), types))
        return self.normalise(self.add("Add", sum_, positions))

    def normalise(self, states: str) -> str:
        return self.add("LayerNormalization", states, np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32))

    def mask(self) -> str:
        """`[batch, 1, sequence, sequence]`, with its shape computed."""
        length = self.add("Gather", self.add("Shape", "attention_mask"), np.array([1]))
        is_read = self.add("Unsqueeze", self.add("Cast", "attention_mask", to=TensorProto.BOOL), np.array([1, 2]))
        shape = self.add("Concat", np.array([1, 1]), length, np.array([1]), axis=0)
        return self.add("Where", self.add("Expand", is_read, shape), np.float32(0), LOWEST)

    def product(self, states: str) -> str:
        return self.add("Add", self.add("MatMul", states, self.weights(WIDTH, WIDTH)), self.weights(WIDTH))

    def by_head(self, states: str, order: list[int]) -> str:
        split = self.add("Reshape", self.product(states), np.array([0, 0, -1, WIDTH // N_HEADS]))
        turned = self.add("Transpose", split, perm=order)
        is_rotated = self.rotation and order == [0, 2, 3, 1]
        return self.add("Mul", turned, self.rotation) if is_rotated else turned

    def layer(self, states: str, mask: str) -> str:
        queries, keys = self.by_head(states, [0, 2, 1, 3]), self.by_head(states, [0, 2, 3, 1])
        scores = self.add("Mul", self.add("MatMul", queries, keys), np.float32(0.5))
        shares = self.add("Softmax", self.add("Add", scores, mask), axis=-1)
        read = self.add("MatMul", shares, self.by_head(states, [0, 2, 1, 3]))
        joined = self.add("Reshape", self.add("Transpose", read, perm=[0, 2, 1, 3]), np.array([0, 0, -1]))
        return self.normalise(self.add("Add", self.product(joined), states))

    def model(self, states: str) -> ModelProto:
        logits = self.add("MatMul", states, self.weights(WIDTH, N_LABELS))
        given = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in self.inputs]
        made = [helper.make_tensor_value_info(logits, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "encoder", given, made, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        decompose_softmax(model)
        return model


def encoder(scale: float = 1.0) -> ModelProto:
    build = Encoder(scale)
    mask = build.mask()
    return build.model(build.layer(build.layer(build.embeddings(), mask), mask))


def logits(model: ModelProto, feed: Feed) -> NDArray:
    name = model.graph.output[0].name
    return run(model, [name], [feed])[0][name]


def faster(model: ModelProto) -> ModelProto:
    changed = ModelProto()
    changed.CopyFrom(model)
    done = make_faster(changed, run)
    assert done == [
        "0 shapes are constants",
        "1 embeddings are constants",
        "2 masks are simple",
        "tokens are hidden by weight",
        "the sequence is the first axis",
    ]
    return changed


def orders(model: ModelProto) -> list[list[int]]:
    return [list(node.attribute[0].ints) for node in model.graph.node if node.op_type == "Transpose"]


def test_a_faster_encoder_gives_the_same_logits_for_all_tokens_that_are_read() -> None:
    model = encoder()
    changed = faster(model)
    for feed in random_inputs(model):
        is_read = feed["attention_mask"] != 0
        before, after = logits(model, feed), logits(changed, feed)
        assert before.shape == after.shape
        np.testing.assert_allclose(after[is_read], before[is_read], atol=1e-5)
    assert [0, 2, 1, 3] not in orders(changed)
    assert not any(node.op_type == "ReduceSum" for node in changed.graph.node)


def test_hidden_tokens_change_nothing_and_are_copies_of_the_first() -> None:
    changed = faster(encoder())
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    ids = np.array([[3, 4, 5, 6, 7], [8, 9, 10, 11, 12]])
    others = np.where(mask == 1, ids, 13)
    first, second = (logits(changed, {"input_ids": it, "attention_mask": mask}) for it in (ids, others))
    assert np.array_equal(first, second)
    np.testing.assert_allclose(first[0, 3:], np.stack([first[0, 0]] * 2), atol=1e-6)


def test_the_score_of_a_hidden_token_cannot_push_all_others_to_zero() -> None:
    # Scores are hundreds. If a hidden token had the largest, exp() of all others would be 0.
    model = encoder(scale=12.0)
    changed = faster(model)
    mask = np.array([[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    for shift in range(N_TOKENS):
        feed = {"input_ids": (np.arange(12)[None] + shift) % N_TOKENS, "attention_mask": mask}
        before, after = logits(model, feed)[:, :2], logits(changed, feed)[:, :2]
        np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3)


def test_a_text_without_a_token_that_is_read_harms_no_other() -> None:
    changed = faster(encoder())
    ids = np.array([[3, 4, 5], [8, 9, 10]])
    both = logits(changed, {"input_ids": ids, "attention_mask": np.array([[1, 1, 1], [0, 0, 0]])})
    alone = logits(changed, {"input_ids": ids[:1], "attention_mask": np.ones((1, 3), np.int64)})
    assert np.isfinite(both).all()
    np.testing.assert_allclose(both[:1], alone, atol=1e-6)


def test_constants_behind_an_identity_and_computed_from_states_are_understood() -> None:
    build = Encoder()
    shared = build.add("Identity", build.add("Identity", build.weights(WIDTH)))
    states = build.add("Add", build.layer(build.embeddings(), build.mask()), shared)
    # The first token of each text, as a classifier reads it, and a factor made of the dimensions.
    length = build.add("Gather", build.add("Shape", states), np.array([1]))
    texts = build.add("Gather", states, np.array(0), axis=1)
    model = build.model(build.add("Mul", texts, build.add("Cast", length, to=TensorProto.FLOAT)))
    feed = random_inputs(model)[1]
    before = logits(model, feed)
    assert "the sequence is the first axis" in make_faster(model, run)
    np.testing.assert_allclose(logits(model, feed), before, atol=1e-4)


def test_types_that_are_an_input_stay_so() -> None:
    build = Encoder()
    build.inputs.append("token_type_ids")
    model = build.model(build.layer(build.embeddings("token_type_ids"), build.mask()))
    assert fix_rows(model, run) == 0
    feed = random_inputs(model)[0]
    before = logits(model, feed)
    assert len(make_faster(model, run)) == 5
    np.testing.assert_allclose(logits(model, feed), before, atol=1e-5)


def test_a_mask_that_depends_on_more_than_hidden_tokens_stays() -> None:
    build = Encoder()
    # A token reads those before it.
    length = build.add("Gather", build.add("Shape", "attention_mask"), np.array(1))
    places = build.add("Range", np.array(0), length, np.array(1))
    later = build.add(
        "Less", build.add("Unsqueeze", places, np.array([1])), build.add("Unsqueeze", places, np.array([0]))
    )
    causal = build.add("Where", later, LOWEST, np.float32(0))
    model = build.model(build.layer(build.embeddings(), build.add("Min", build.mask(), causal)))
    feed = random_inputs(model)[2]
    before = logits(model, feed)
    assert (fix_mask(model, run), hide_by_weight(model)) == (0, False)
    assert make_faster(model, run)[3:] == ["the sequence is the first axis"]
    is_read = feed["attention_mask"] != 0
    np.testing.assert_allclose(logits(model, feed)[is_read], before[is_read], atol=1e-6)


def test_a_mask_with_windows_that_only_long_texts_show_stays() -> None:
    build = Encoder()
    length = build.add("Gather", build.add("Shape", "attention_mask"), np.array(1))
    places = build.add("Range", np.array(0), length, np.array(1))
    rows, columns = (build.add("Unsqueeze", places, np.array([axis])) for axis in (1, 0))
    is_far = build.add("Greater", build.add("Abs", build.add("Sub", rows, columns)), np.array(20))
    mask = build.add("Min", build.mask(), build.add("Where", is_far, LOWEST, np.float32(0)))
    assert fix_mask(build.model(build.layer(build.embeddings(), mask)), run) == 0


def rotated(build: Encoder, states: str, mask: str) -> str:
    """A layer whose keys are not those of their rows alone."""
    build.rotation = build.add("Unsqueeze", build.add("Cast", "input_ids", to=TensorProto.FLOAT), np.array([1, 2]))
    return build.layer(states, mask)


def with_positions(build: Encoder, states: str, mask: str) -> str:
    """A second layer whose states get positions again."""
    states = build.layer(states, mask)
    length = build.add("Gather", build.add("Shape", "input_ids"), np.array([1]))
    positions = build.add("Slice", build.weights(1, 32, WIDTH), np.array([0]), length, np.array([1]))
    return build.layer(build.add("Add", states, positions), mask)


def with_neighbours(build: Encoder, states: str, mask: str) -> str:
    return build.layer(build.add("CumSum", build.layer(states, mask), np.array(1)), mask)


@pytest.mark.parametrize("layers", [rotated, with_positions, with_neighbours])
def test_tokens_are_not_hidden_by_weight_where_equal_rows_would_not_stay_equal(
    layers: Callable[[Encoder, str, str], str],
) -> None:
    build = Encoder()
    model = build.model(layers(build, build.embeddings(), build.mask()))
    assert fix_mask(model, run) > 0
    assert not hide_by_weight(model)


def test_a_graph_of_an_old_opset_or_with_a_fixed_shape_is_left() -> None:
    model = encoder()
    model.opset_import[0].version = 12
    assert make_faster(model, run)[1:] == ["the rest stays, since it needs opset 13 and the graph has 12"]
    model = encoder()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    once = model.SerializeToString()
    assert make_faster(model, run) == ["nothing is made faster, since the inputs have a fixed shape"]
    assert model.SerializeToString() == once


def test_nodes_without_names_and_shapes_of_inputs_are_simplified() -> None:
    model = computed_shapes()
    for node in model.graph.node:
        node.ClearField("name")
    model.graph.node.append(helper.make_node("Reshape", ["input_ids", "turned_ids"], ["ids"]))
    model.graph.node.insert(7, helper.make_node("Concat", ["batches", "tokens"], ["turned_ids"], axis=0))
    model.graph.output.append(helper.make_tensor_value_info("ids", TensorProto.INT64, None))
    ids = np.arange(10).reshape(2, 5)
    before = outputs(model, ids)
    assert fix_shapes(model, run) == 2
    for old, new in zip(before, outputs(model, ids), strict=True):
        assert np.array_equal(old, new)


def sums_of_tokens(build: Encoder, states: str) -> str:
    return build.add("CumSum", states, np.array(1))


def rows(build: Encoder, states: str) -> str:
    return build.add("Flatten", states, axis=2)


def normalised_texts(build: Encoder, states: str) -> str:
    return build.add("LayerNormalization", states, np.ones(WIDTH, np.float32), axis=1)


def positions_without_batch(build: Encoder, states: str) -> str:
    length = build.add("Gather", build.add("Shape", "input_ids"), np.array([1]))
    return build.add("Add", states, build.add("Slice", build.weights(32, WIDTH), np.array([0]), length, np.array([0])))


@pytest.mark.parametrize("last", [sums_of_tokens, rows, normalised_texts, positions_without_batch])
def test_a_graph_that_would_compute_something_else_keeps_its_layout(last: Callable[[Encoder, str], str]) -> None:
    build = Encoder()
    model = build.model(last(build, build.layer(build.embeddings(), build.mask())))
    once = model.SerializeToString()
    assert not put_sequence_first(model, run)
    assert model.SerializeToString() == once
