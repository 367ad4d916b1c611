"""The parameters of a served ONNX graph, in float and by their names in PyTorch."""

import numpy as np
from onnx import GraphProto, numpy_helper

ROW = "/Gather_output_0/row"


def read_weights(graph: GraphProto) -> dict[str, np.ndarray]:
    """The graph's parameters in float, by their names in PyTorch. Of token types it may have the first row alone."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {name: array for name, array in tensors.items() if not name.startswith("onnx::")}
    for name in [name.removesuffix("_quantized") for name in weights if name.endswith("_quantized")]:
        weights[name] = dequantise(tensors, name)
    for name in [name for name in tensors if name.endswith(ROW)]:
        # Of a table of which one row is read, simplify.py leaves that row.
        weights[f"{name.removesuffix(ROW).strip('/').replace('/', '.')}.weight"] = tensors[name][None]
    for node in graph.node:
        # The exporter keeps the module's path in the node's name, and loses the weight's: onnx::MatMul_1358.
        product = node.name.removesuffix("_quant")
        stem = product.removesuffix("/MatMul")
        if node.op_type in ("MatMul", "MatMulInteger") and stem != product:
            name = stem.strip("/").replace("/", ".") + ".weight"
            matrix = node.input[1].removesuffix("_quantized")
            if matrix in tensors or f"{matrix}_quantized" in tensors:
                # What smooth_inputs of int8.py took from the inputs, the weights have.
                smoothing = tensors.get(f"{product}/smoothing", np.float32(1))
                weights[name] = np.ascontiguousarray(dequantise(tensors, matrix).T * smoothing)
    return weights


def dequantise(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name in tensors:
        return tensors[name]
    values = tensors[f"{name}_quantized"].astype(np.float32)
    return (values - tensors[f"{name}_zero_point"].astype(np.float32)) * tensors[f"{name}_scale"]
