import random

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from scripts.train.entities import without_eras
from scripts.train.markup import News, parse_markup
from scripts.train.news import news_groups
from scripts.train.served_weights import read_weights

MARKED = """Polizei sucht Zeugen
[Köln](LOC) (dpa) – Die [Polizei Köln](ORG) sucht Zeugen. Der Unfall geschah am 3. Mai. [Anna Weiß](PER) sah ihn."""


def news() -> News:
    text, entities = parse_markup(MARKED)
    return News("a-1", "police", "train", ("crime",), text, entities)


@pytest.mark.parametrize("size", [1, 2, 9])
def test_groups_hold_whole_sentences_in_order_and_every_word_once(size: int) -> None:
    groups = news_groups(news(), [size, size], random.Random(1))
    assert "".join(group.text for group in groups) == news().text
    words = [group.text[start:end] for group in groups for start, end in group.words]
    assert words == [news().text[start:end] for start, end in news().record()["token_spans"]]
    assert len(groups) == {1: 4, 2: 2, 9: 1}[size]


def test_groups_keep_the_tag_of_each_word() -> None:
    tagged = {
        group.text[start:end]: tag
        for group in news_groups(news(), [1, 1], random.Random(1))
        for (start, end), tag in zip(group.words, group.tags, strict=True)
    }
    assert (tagged["Köln"], tagged["Anna"], tagged["Weiß"], tagged["Mai"]) == ("I-ORG", "B-PER", "I-PER", "O")


def test_an_era_is_no_person() -> None:
    text = "44 v. Chr. starb Caesar."
    entities = [{"start": 6, "end": 10, "label": "PER"}, {"start": 17, "end": 23, "label": "PER"}]
    assert without_eras({"text": text, "entities": entities})["entities"] == entities[1:]


def test_weights_are_read_in_float_by_their_names_in_pytorch() -> None:
    matrix = np.array([[10, -20, 3], [4, 5, -6]], np.int8)  # [in, out], as MatMul multiplies
    tensors = [
        numpy_helper.from_array(matrix, "onnx::MatMul_7_quantized"),
        numpy_helper.from_array(np.array([0.5, 0.25, 1], np.float32), "onnx::MatMul_7_scale"),
        numpy_helper.from_array(np.zeros(3, np.int8), "onnx::MatMul_7_zero_point"),
        numpy_helper.from_array(np.array([[130, 128]], np.uint8), "encoder.embeddings.weight_quantized"),
        numpy_helper.from_array(np.array(0.5, np.float32), "encoder.embeddings.weight_scale"),
        numpy_helper.from_array(np.array(128, np.uint8), "encoder.embeddings.weight_zero_point"),
        numpy_helper.from_array(np.ones((2, 2), np.float32), "onnx::MatMul_8"),
        numpy_helper.from_array(np.ones(3, np.float32), "topic_head.bias"),
    ]
    nodes = [
        helper.make_node(
            "MatMulInteger", ["x", "onnx::MatMul_7_quantized"], ["y"], name="/encoder/layer.0/dense/MatMul_quant"
        ),
        helper.make_node("MatMul", ["y", "onnx::MatMul_8"], ["z"], name="/topic_head/MatMul"),
        helper.make_node("MatMul", ["z", "z"], ["scores"], name="/encoder/layer.0/self/MatMul"),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    weights = read_weights(helper.make_graph(nodes, "g", [given], [], tensors))
    expected = (matrix * np.array([0.5, 0.25, 1])).T
    np.testing.assert_array_equal(weights["encoder.layer.0.dense.weight"], expected)
    np.testing.assert_array_equal(weights["encoder.embeddings.weight"], [[1, 0]])
    assert weights["topic_head.weight"].shape == (2, 2)
    assert weights["topic_head.bias"].shape == (3,)
    assert "encoder.layer.0.self.weight" not in weights


def test_of_types_that_are_never_read_the_one_row_is_left() -> None:
    row = numpy_helper.from_array(
        np.array([1, 2], np.float32), "/encoder/embeddings/token_type_embeddings/Gather_output_0/row"
    )
    weights = read_weights(helper.make_graph([], "g", [], [], [row]))
    np.testing.assert_array_equal(weights["encoder.embeddings.token_type_embeddings.weight"], [[1, 2]])


def test_weights_lose_the_factors_that_smoothed_their_inputs() -> None:
    tensors = [
        numpy_helper.from_array(np.array([[10, -20, 3], [4, 5, -6]], np.int8), "onnx::MatMul_7_quantized"),
        numpy_helper.from_array(np.array([0.5, 0.25, 1], np.float32), "onnx::MatMul_7_scale"),
        numpy_helper.from_array(np.zeros(3, np.int8), "onnx::MatMul_7_zero_point"),
        numpy_helper.from_array(np.array([2, 0.5], np.float32), "/encoder/layer.0/dense/MatMul/smoothing"),
    ]
    name = "/encoder/layer.0/dense/MatMul_quant"
    node = helper.make_node("MatMulInteger", ["x", "onnx::MatMul_7_quantized"], ["y"], name=name)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    weights = read_weights(helper.make_graph([node], "g", [given], [], tensors))
    # The graph multiplies its inputs by 2 and 0.5, so the weights of the trained layer are those products.
    np.testing.assert_array_equal(weights["encoder.layer.0.dense.weight"], [[10, 1], [-10, 0.625], [6, -3]])
