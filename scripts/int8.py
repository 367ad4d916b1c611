"""int8 graphs that give the same scores on every processor, and are fast.

    python -m scripts.int8 MODEL TOKENIZER TEXTS OUT [--documents N]

makes such a graph out of one that is int8 already: MODEL and OUT are ONNX files, TOKENIZER is a tokenizer.json. TEXTS
holds one JSON object with a "text" a line, from which activations are measured.

ONNX Runtime multiplies uint8 activations by int8 weights. x86 without VNNI adds two neighbouring products in 16 bits
and clips the sum. So `255 * (w[2k] + w[2k + 1])` must fit into -32,768..=32,767: two weights that are neighbours along
the summed axis may together reach 128 and no more. Weights of 7 bits keep this too, with three times the error in a
layer's output.

`Softmax` adds as many numbers at a time as a vector register holds, so its last bit depends on the processor. Where
activations are quantised, that bit becomes a step of 1/255 sooner or later. `decompose_softmax` takes operators whose
kernels add in one order. On x86 with AVX2 or more the logits then are the same bits (1,000 sentences, with AVX2,
AVX-512 and AVX-512 VNNI).
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from tokenizers import Tokenizer

from scripts.faster import make_faster
from scripts.onnx_files import check_can_be_written, read_model, read_texts, read_tokenizer
from scripts.simplify import opset

LARGEST = 127
LARGEST_PAIR = 128  # 255 * 128 = 32,640 fits into 16 bits, 255 * 129 = 32,895 does not
N_SCALES = 24
DAMPING = 0.01
SMOOTHING = 0.7  # the share of the range that moves from the inputs to the weights
CALIBRATION_LENGTH = 128
FIRST_OPSET = 13  # before it, Softmax and ReduceSum had other forms
LAST_AXIS = "portable_softmax/last_axis"

Feed = dict[str, NDArray]


def quantise(
    source: Path,
    target: Path,
    kept_nodes: Iterable[str] = (),
    calibration: Sequence[Feed] = (),
    external_data: bool = False,
    smoothed_nodes: Iterable[str] = (),
) -> None:
    """Writes the fp32 graph at `source` with int8 weights per channel to `target`. The nodes named in `kept_nodes` stay
    as they are. `calibration` holds inputs of the graph, by which rounding errors are balanced. The matrix products
    named in `smoothed_nodes` get their inputs on one scale first (smooth_inputs)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    floats = onnx.load(source)
    if smoothed := list(smoothed_nodes):
        smooth_inputs(floats, smoothed, calibration)
    quantize_dynamic(
        floats,
        target,
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=list(kept_nodes),
        use_external_data_format=external_data,
    )
    model = onnx.load(target)
    avoid_saturation(model, {tensor.name: tensor for tensor in floats.graph.initializer}, calibration)
    decompose_softmax(model)
    if not external_data:  # a graph with its weights outside is too large to be run from memory
        make_faster(model)
    if external_data:
        data = target.name + "_data"
        target.with_name(data).unlink(missing_ok=True)
        onnx.save(model, target, save_as_external_data=True, location=data)
    else:
        onnx.save(model, target)


def smooth_inputs(model: ModelProto, names: Iterable[str], calibration: Sequence[Feed]) -> None:
    """Divides the inputs of these matrix products by a factor for each channel, and multiplies their weights by it, as
    SmoothQuant does (Xiao et al., 2023). A channel that is a hundred times larger than the others would otherwise leave
    them a hundredth of the steps."""
    graph, chosen = model.graph, set(names)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    # Weights that two products share are left: each would rescale them.
    products = [
        node for node in graph.node if node.name in chosen and node.input[1] in tensors and uses[node.input[1]] == 1
    ]
    largest = _largest_inputs(model, [product.input[0] for product in products], calibration)
    for product in products:
        source, name = product.input
        weights = numpy_helper.to_array(tensors[name])
        factors = smoothing_factors(largest[source], np.abs(weights).max(1))
        tensors[name].CopyFrom(numpy_helper.from_array(weights * factors[:, None], name))
        inverse = f"{product.name}/smoothing"
        graph.initializer.append(numpy_helper.from_array((1 / factors).astype(np.float32), inverse))
        smooth = onnx.helper.make_node("Mul", [source, inverse], [f"{inverse}/output"], f"{inverse}/Mul")
        graph.node.insert(list(graph.node).index(product), smooth)
        product.input[0] = smooth.output[0]


def smoothing_factors(largest_inputs: NDArray, largest_weights: NDArray) -> NDArray[np.float32]:
    """For each channel: large where its inputs are larger than its weights, with a mean of 1 in the logarithm."""
    tiny = 1e-5
    logarithms = SMOOTHING * np.log(np.maximum(largest_inputs, tiny)) - (1 - SMOOTHING) * np.log(
        np.maximum(largest_weights, tiny)
    )
    return np.exp(logarithms - logarithms.mean()).astype(np.float32)


def avoid_saturation(
    model: ModelProto, floats: dict[str, TensorProto] | None = None, calibration: Sequence[Feed] = ()
) -> int:
    """Quantises the weights of all `MatMulInteger` nodes again, so that no pair of products saturates; gives their
    number.  The weights come from `floats`, by their names before quantisation, else from the int8 weights and their
    scales."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    inputs = _float_inputs(model, tensors)
    moments = _second_moments(model, sorted(set(inputs.values())), calibration)
    for name, source in inputs.items():
        stem = name.removesuffix("_quantized")
        scale = numpy_helper.to_array(tensors[f"{stem}_scale"])
        weights = (
            numpy_helper.to_array(floats[stem])
            if floats is not None and stem in floats
            else numpy_helper.to_array(tensors[name]).astype(np.float32) * scale
        )
        if scale.size == 1:
            # One scale for the whole matrix: the columns are treated as one, and keep one scale.
            values, scales = quantise_columns(weights, one_scale=True)
        else:
            values, scales = quantise_columns(weights)
        if source in moments and scale.size > 1:
            values, scales = balance_errors(weights, scales, moments[source])
        tensors[name].CopyFrom(numpy_helper.from_array(values, name))
        tensors[f"{stem}_scale"].CopyFrom(numpy_helper.from_array(scales.reshape(scale.shape), f"{stem}_scale"))
    return len(inputs)


def quantise_columns(
    weights: NDArray[np.float32], one_scale: bool = False
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """`weights` `[K, N]` as int8 with a scale for each column `[N]`, or one for all `[1]`: of the scales tried, the
    one with the least squared error."""
    smallest = np.abs(weights).max(axis=0) / LARGEST
    largest = np.maximum(smallest, scale_without_excess(weights))
    if one_scale:
        smallest, largest = smallest.max(keepdims=True), largest.max(keepdims=True)
    n_scales = len(largest)
    best = np.full(n_scales, np.inf)
    values = np.zeros(weights.shape, np.int8)
    scales = np.ones(n_scales, np.float32)
    for share in np.linspace(0.0, 1.0, N_SCALES):
        scale = np.maximum(smallest + share * (largest - smallest), np.finfo(np.float32).tiny).astype(np.float32)
        rounded = without_saturation(weights / scale)
        error = np.square(rounded * scale - weights).sum(axis=None if one_scale else 0).reshape(n_scales)
        better = error < best
        best[better], scales[better] = error[better], scale[better]
        columns = np.broadcast_to(better, weights.shape[1])
        values[:, columns] = rounded[:, columns]
    return values, scales


def balance_errors(
    weights: NDArray[np.float32], scales: NDArray[np.float32], moments: NDArray[np.float32]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds `weights` `[K, N]` row by row and lets the rows that follow make up for each error, as GPTQ does (Frantar
    et al., 2023), given the second moments `[K, K]` of the inputs. For each column it keeps the better of `scales` and
    the scale at which no pair has to be clipped."""
    wide = np.maximum(np.abs(weights).max(axis=0) / LARGEST, scale_without_excess(weights))
    wide = np.maximum(wide, np.finfo(np.float32).tiny).astype(np.float32)
    tried = [(_round_in_turn(weights, scale, moments), scale) for scale in (scales, wide)]
    narrow, wide_error = (output_error(weights, values * scale, moments) for values, scale in tried)
    is_wide = wide_error < narrow
    return np.where(is_wide, tried[1][0], tried[0][0]), np.where(is_wide, wide, scales)


def output_error(weights: NDArray, rounded: NDArray, moments: NDArray) -> NDArray:
    """The mean squared error of each output column `[N]`."""
    difference = rounded - weights
    return np.einsum("kn,kn->n", difference, moments @ difference)


def saturates(weights: NDArray[np.int8]) -> bool:
    """Whether a pair of products of int8 `weights` `[K, N]` can leave 16 bits."""
    return bool((np.abs(_pair_sums(weights.astype(np.int32))) > LARGEST_PAIR).any())


def scale_without_excess(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scale of each column `[N]` at which its largest pair reaches 128 exactly."""
    return np.abs(_pair_sums(weights)).max(axis=0, initial=0.0) / LARGEST_PAIR


def without_saturation(exact: NDArray[np.float32]) -> NDArray[np.float32]:
    """`exact` rounded to -127..=127, each pair that would saturate moved to the nearest one that does not."""
    rounded = np.clip(np.round(exact), -LARGEST, LARGEST)
    pairs, columns = np.nonzero(np.abs(_pair_sums(rounded)) > LARGEST_PAIR)
    first, second = exact[2 * pairs, columns], exact[2 * pairs + 1, columns]
    share = np.round((np.abs(first) - np.abs(second) + LARGEST_PAIR) / 2)
    share = np.clip(share, LARGEST_PAIR - LARGEST, LARGEST)
    rounded[2 * pairs, columns] = np.sign(first) * share
    rounded[2 * pairs + 1, columns] = np.sign(second) * (LARGEST_PAIR - share)
    return rounded


def decompose_softmax(model: ModelProto) -> int:
    """Writes each `Softmax` over the last axis as `exp(x - max) / sum`; gives their number. Where a matrix product
    follows, its result is divided instead, which is smaller."""
    graph = model.graph
    version = opset(model)
    users: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    outputs = {output.name for output in graph.output}
    nodes: list[NodeProto] = []
    divided: dict[str, str] = {}
    n_decomposed = 0
    for node in graph.node:
        if node.op_type != "Softmax" or version < FIRST_OPSET or not _over_last_axis(node):
            nodes.append(node)
        else:
            n_decomposed += 1
            stem, result = f"{node.output[0]}/portable", node.output[0]
            nodes.extend(_exponentials(node.input[0], stem, version))
            following = users.get(result, [])
            is_factor = len(following) == 1 and following[0].op_type == "MatMul" and following[0].input[0] == result
            if is_factor and result not in outputs:
                following[0].input[0] = f"{stem}/exp"
                divided[following[0].output[0]] = stem
            else:
                nodes.append(onnx.helper.make_node("Div", [f"{stem}/exp", f"{stem}/sum"], [result], f"{stem}/Div"))
        product = nodes[-1]
        stem = divided.pop(product.output[0], None) if product.op_type == "MatMul" else None
        if stem:
            result, product.output[0] = product.output[0], f"{stem}/weighted"
            nodes.append(onnx.helper.make_node("Div", [f"{stem}/weighted", f"{stem}/sum"], [result], f"{stem}/Div"))
    if n_decomposed:
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), LAST_AXIS))
    return n_decomposed


def _exponentials(scores: str, stem: str, version: int) -> list[NodeProto]:
    """Nodes for `exp(scores - max)` and its sum, both over the last axis."""
    make = onnx.helper.make_node
    largest = [f"{stem}/max"]
    return [
        make("ReduceMax", [scores, LAST_AXIS], largest, f"{stem}/ReduceMax", keepdims=1)
        if version >= 18
        else make("ReduceMax", [scores], largest, f"{stem}/ReduceMax", axes=[-1], keepdims=1),
        make("Sub", [scores, *largest], [f"{stem}/shifted"], f"{stem}/Sub"),
        make("Exp", [f"{stem}/shifted"], [f"{stem}/exp"], f"{stem}/Exp"),
        make("ReduceSum", [f"{stem}/exp", LAST_AXIS], [f"{stem}/sum"], f"{stem}/ReduceSum", keepdims=1),
    ]


def _over_last_axis(node: NodeProto) -> bool:
    """Exporters write attention's axis as -1, or as 3 of its four."""
    axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    return axes in ([], [-1], [3])


def _pair_sums(weights: NDArray) -> NDArray:
    """Sums of neighbours along K where both have one sign, else 0: then one of the two products alone is the
    largest."""
    n_pairs = len(weights) // 2
    first, second = weights[0 : 2 * n_pairs : 2], weights[1 : 2 * n_pairs : 2]
    return np.where(first * second > 0, first + second, 0)


def _round_in_turn(weights: NDArray, scale: NDArray, moments: NDArray) -> NDArray[np.int8]:
    left = weights.astype(np.float64)
    damped = moments + np.eye(len(moments)) * DAMPING * np.mean(np.diag(moments))
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    values = np.zeros(weights.shape)
    for row in range(len(left)):
        value = np.clip(np.round(left[row] / scale), -LARGEST, LARGEST)
        if row % 2:
            partner = values[row - 1]
            value = np.minimum(value, np.where(partner > 0, LARGEST_PAIR - partner, LARGEST))
            value = np.maximum(value, np.where(partner < 0, -LARGEST_PAIR - partner, -LARGEST))
        values[row] = value
        error = (left[row] - value * scale) / factor[row, row]
        left[row + 1 :] -= np.outer(factor[row, row + 1 :], error)
    return values.astype(np.int8)


def _float_inputs(model: ModelProto, tensors: dict[str, TensorProto]) -> dict[str, str]:
    """The int8 weights of `MatMulInteger` nodes, each with the name of the activations before they are quantised."""
    makers: dict[str, NodeProto] = {output: node for node in model.graph.node for output in node.output}
    found = {}
    for node in model.graph.node:
        weight = node.input[1] if node.op_type == "MatMulInteger" else ""
        if weight in tensors and tensors[weight].data_type == TensorProto.INT8:
            maker = makers.get(node.input[0])
            found[weight] = maker.input[0] if maker is not None else ""
    return found


def _largest_inputs(model: ModelProto, names: list[str], calibration: Sequence[Feed]) -> dict[str, NDArray]:
    """For each activation of `names` the largest magnitude of each channel `[K]`."""
    largest: dict[str, NDArray] = {}
    for values in _activations(model, names, calibration):
        for name, rows in values.items():
            largest[name] = np.maximum(largest.get(name, 0), np.abs(rows).max(0))
    return largest


def _second_moments(model: ModelProto, names: list[str], calibration: Sequence[Feed]) -> dict[str, NDArray]:
    """For each activation of `names` the mean of `x x^T` `[K, K]` over all positions of `calibration`."""
    sums: dict[str, NDArray] = {}
    for values in _activations(model, names, calibration):
        for name, rows in values.items():
            sums[name] = sums.get(name, 0) + rows.T @ rows
    n_positions = sum(feed["input_ids"].size for feed in calibration)
    return {name: total / n_positions for name, total in sums.items()}


def _activations(model: ModelProto, names: list[str], calibration: Sequence[Feed]) -> Iterator[dict[str, NDArray]]:
    """For each feed of `calibration` the activations of `names`, `[positions, K]`."""
    if not calibration:
        return
    import onnxruntime

    watched = ModelProto()
    watched.CopyFrom(model)
    known = {output.name for output in model.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in known
    )
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    for feed in calibration:
        found = zip(names, session.run(names, feed), strict=True)
        yield {name: values.reshape(-1, values.shape[-1]).astype(np.float32) for name, values in found}


def feeds(
    texts: Iterable[str], tokenizer: Tokenizer, input_names: Iterable[str], length: int = CALIBRATION_LENGTH
) -> list[Feed]:
    """The first `length` tokens of each text as inputs of the graph, at most `CALIBRATION_LENGTH`, one text a run."""
    names, length = set(input_names), min(length, CALIBRATION_LENGTH)
    given = []
    for text in texts:
        ids = np.array([tokenizer.encode(text).ids[:length]], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        given.append({name: values for name, values in feed.items() if name in names})
    return given


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("texts", type=Path, help="JSON lines with a field `text`")
    parser.add_argument("out", type=Path)
    parser.add_argument("--documents", type=int, default=400, help="how many texts are read, 1 or more (default: 400)")
    arguments = parser.parse_args()
    check_can_be_written(arguments.out)
    model = read_model(arguments.model)
    if not any(node.op_type == "MatMulInteger" for node in model.graph.node):
        raise SystemExit(
            f"{arguments.model}: has no MatMulInteger; give a graph that was quantised dynamically to int8"
        )
    tokenizer = read_tokenizer(arguments.tokenizer)
    texts = read_texts(arguments.texts, arguments.documents)
    print(f"measuring {len(texts)} texts and quantising, which takes minutes", flush=True)
    n_matrices = avoid_saturation(model, None, feeds(texts, tokenizer, [given.name for given in model.graph.input]))
    n_softmaxes = decompose_softmax(model)
    done = [f"{n_matrices} matrices quantised again, none can saturate", f"{n_softmaxes} softmaxes decomposed"]
    print("; ".join(done + make_faster(model)))
    onnx.checker.check_model(model)
    onnx.save(model, arguments.out)


if __name__ == "__main__":
    main()
