"""int8 weights that saturate on no processor."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from tokenizers import Tokenizer, models, pre_tokenizers

from scripts import int8

RANDOM = np.random.default_rng(7)


def clipped_product(activations: NDArray, weights: NDArray) -> NDArray:
    """As `vpmaddubsw` and `vpmaddwd` compute it: pairs are added in 16 bits and clipped."""
    products = activations[:, :, None].astype(np.int64) * weights[None].astype(np.int64)
    pairs = products[:, 0::2] + products[:, 1::2]
    return np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=1)


def test_products_are_the_same_where_pairs_are_clipped() -> None:
    weights = RANDOM.normal(size=(64, 16)).astype(np.float32)
    values, _ = int8.quantise_columns(weights)
    activations = RANDOM.choice([0, 1, 254, 255], size=(50, 64))
    exact = activations.astype(np.int64) @ values.astype(np.int64)
    assert (clipped_product(activations, values) == exact).all()
    assert not int8.saturates(values)
    largest = np.round(weights / np.abs(weights).max(axis=0) * 127).astype(np.int8)
    assert int8.saturates(largest)
    assert (clipped_product(np.full((1, 64), 255), largest) != 255 * largest.sum(axis=0, dtype=np.int64)).any()


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ([100.0, 100.0], [64, 64]),
        ([127.0, 3.0], [126, 2]),
        ([-127.0, -40.0], [-108, -20]),
        ([127.0, -127.0], [127, -127]),
        ([64.4, 63.6], [64, 64]),
    ],
)
def test_a_pair_that_would_saturate_moves_to_the_nearest_that_does_not(exact: list[float], rounded: list[int]) -> None:
    found = int8.without_saturation(np.array(exact, np.float32)[:, None])[:, 0]
    assert np.abs(found.sum()) <= 128 or found[0] * found[1] < 0
    assert found.tolist() == rounded


def test_rounding_errors_stay_near_those_of_eight_bits() -> None:
    weights = RANDOM.normal(size=(384, 32)).astype(np.float32)
    values, scales = int8.quantise_columns(weights)
    seven = np.abs(weights).max(axis=0) / 64
    error = np.square(values * scales - weights).sum()
    assert error < 0.5 * np.square(np.round(weights / seven) * seven - weights).sum()


def test_balanced_errors_are_smaller_in_the_output_and_do_not_saturate() -> None:
    weights = RANDOM.normal(size=(64, 16)).astype(np.float32)
    inputs = RANDOM.normal(size=(500, 8)) @ RANDOM.normal(size=(8, 64)) + RANDOM.normal(size=(500, 64)) * 0.1
    moments = (inputs.T @ inputs / len(inputs)).astype(np.float32)
    plain, scales = int8.quantise_columns(weights)
    values, balanced = int8.balance_errors(weights, scales, moments)
    assert not int8.saturates(values)
    before, after = (int8.output_error(weights, v * s, moments).sum() for v, s in ((plain, scales), (values, balanced)))
    assert after < 0.5 * before


def test_odd_numbers_of_rows_and_columns_of_zeros_are_kept() -> None:
    weights = np.zeros((5, 3), np.float32)
    weights[:, 1] = [1, 1, -1, 0.5, 2]
    values, scales = int8.quantise_columns(weights)
    assert (values[:, [0, 2]] == 0).all()
    assert np.isfinite(scales).all()
    assert np.allclose(values[:, 1] * scales[1], weights[:, 1], atol=0.02)


def softmax_graph(with_product: bool) -> Any:
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [make("Softmax", ["scores"], ["shares"], axis=-1)]
    if with_product:
        nodes.append(make("MatMul", ["shares", "values"], ["out"]))
    shape = onnx.TensorProto.FLOAT
    inputs = [info("scores", shape, [2, 3, 5])] + ([info("values", shape, [2, 5, 4])] if with_product else [])
    graph = onnx.helper.make_graph(nodes, "g", inputs, [info("out" if with_product else "shares", shape, None)])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("with_product", [True, False])
def test_a_decomposed_softmax_gives_the_same_numbers(with_product: bool) -> None:
    model = softmax_graph(with_product)
    feed = {"scores": RANDOM.normal(size=(2, 3, 5)).astype(np.float32) * 20}
    if with_product:
        feed["values"] = RANDOM.normal(size=(2, 5, 4)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, feed)
    assert int8.decompose_softmax(model) == 1
    assert all(node.op_type != "Softmax" for node in model.graph.node)
    (found,) = ReferenceEvaluator(model).run(None, feed)
    assert np.allclose(found, expected, atol=1e-6)


def two_products(shared: bool) -> Any:
    """Two matrix products in a row; one weight matrix for both, or one for each."""
    make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    second = "first.weight" if shared else "second.weight"
    nodes = [
        make("MatMul", ["in", "first.weight"], ["middle"], "first"),
        make("MatMul", ["middle", second], ["out"], "second"),
    ]
    weights = [onnx.numpy_helper.from_array(RANDOM.normal(size=(4, 4)).astype(np.float32), "first.weight")]
    if not shared:
        weights.append(onnx.numpy_helper.from_array(RANDOM.normal(size=(4, 4)).astype(np.float32), second))
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(nodes, "g", [info("in", float32, [3, 4])], [info("out", float32, [3, 4])], weights)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


def largest_inputs(model: Any, names: list[str], calibration: list[dict[str, NDArray]]) -> dict[str, NDArray]:
    middle = calibration[0]["in"] @ onnx.numpy_helper.to_array(model.graph.initializer[0])
    assert set(names) <= {"in", "middle"}
    return {"in": np.abs(calibration[0]["in"]).max(0), "middle": np.abs(middle).max(0)}


@pytest.mark.parametrize("shared", [True, False])
def test_smoothed_inputs_give_the_same_products_on_one_scale(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = two_products(shared)
    # By ONNX Runtime otherwise, which these checks do not need.
    monkeypatch.setattr(int8, "_largest_inputs", largest_inputs)
    feed = {"in": (RANDOM.normal(size=(3, 4)) * [1, 100, 1, 1]).astype(np.float32)}
    (expected,) = ReferenceEvaluator(model).run(None, feed)
    int8.smooth_inputs(model, ["first", "second"], [feed])
    (found,) = ReferenceEvaluator(model).run(None, feed)
    assert np.allclose(found, expected, rtol=1e-4)
    smoothed = [node.output[0] for node in model.graph.node if node.op_type == "Mul"]
    # A weight matrix that two products share cannot be rescaled for either.
    assert len(smoothed) == (0 if shared else 2)
    if smoothed:
        model.graph.output.append(onnx.helper.make_tensor_value_info(smoothed[0], onnx.TensorProto.FLOAT, [3, 4]))
        (scaled,) = ReferenceEvaluator(model).run([smoothed[0]], feed)
        inputs = np.abs(scaled).max(0)
        assert inputs.max() / np.median(inputs) < 50


def test_calibration_reads_no_more_tokens_than_the_model_has_positions() -> None:
    words = {word: index for index, word in enumerate(["a", "b"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    for length, expected in ((48, 48), (512, int8.CALIBRATION_LENGTH)):
        (feed,) = int8.feeds(["a b " * 200], tokenizer, ["input_ids", "attention_mask"], length)
        assert {name: ids.shape for name, ids in feed.items()} == dict.fromkeys(feed, (1, expected))
