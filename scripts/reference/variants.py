"""The same model in other precisions and layouts, as model hubs hold them."""

import json
import pathlib
import shutil

import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from transformers import AutoTokenizer

from scripts.export_model import convert_to_fp16, convert_to_int8, encode, quiet, save_onnx
from scripts.reference import lexicon
from scripts.reference.corpus import sentences


def write_variants(models: pathlib.Path) -> dict[pathlib.Path, str]:
    """Derives all variants from folders written before; each folder with the name of its source."""
    bert, xlmr = "bert-cased-ner", "xlmr-cls"
    convert_to_fp16(copy(models, bert, "fp16"), keep_io_types=False)
    convert_to_fp16(copy(models, xlmr, "fp16"), keep_io_types=True)
    convert_to_int8(copy(models, bert, "int8"))
    convert_to_int8(copy(models, xlmr, "int8"))
    quantize_qdq(copy(models, bert, "qdq"))
    quantize_4bit(copy(models, bert, "q4"))
    external = copy(models, bert, "external-data")
    save_onnx(onnx.load(external), external, external_data=True)
    lay_out_as_on_a_hub(copy(models, bert, "hub-layout"))
    set_truncation_and_padding(copy(models, bert, "truncating"))
    add_truecase_list(copy(models, "lexicon-ner", "truecase"))
    return {folder: source for source in (bert, xlmr) for folder in sorted(models.glob(f"{source}-*"))}


def copy(models: pathlib.Path, source: str, suffix: str) -> pathlib.Path:
    """Copies a folder to one next to it; the path of the copy's model.onnx."""
    target = models / f"{source}-{suffix}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(models / source, target)
    return target / "model.onnx"


class Calibration(CalibrationDataReader):
    """Corpus sentences as calibration inputs for static quantisation."""

    def __init__(self, path: pathlib.Path):
        tokenizer = AutoTokenizer.from_pretrained(path.parent)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        inputs = [value.name for value in session.get_inputs()]
        batches = [encode(tokenizer, [sentence], inputs) for sentence in sentences()[:40]]
        self.batches = iter([{name: ids.numpy() for name, ids in batch.items()} for batch in batches])

    def get_next(self) -> dict | None:
        """The next inputs, or None at the end."""
        return next(self.batches, None)


def quantize_qdq(path: pathlib.Path) -> None:
    """Static int8 with QuantizeLinear and DequantizeLinear nodes, matrix products only."""
    quantized = path.with_name("quantized.onnx")
    with quiet():
        quantize_static(
            path,
            quantized,
            Calibration(path),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul", "Gemm"],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
    quantized.replace(path)


def quantize_4bit(path: pathlib.Path) -> None:
    """4-bit weights in blocks of 16 (MatMulNBits); activations stay fp32."""
    quantizer = MatMulNBitsQuantizer(onnx.load(path), bits=4, block_size=16, is_symmetric=False)
    with quiet():
        quantizer.process()
    save_onnx(quantizer.model.model, path, external_data=False)


def lay_out_as_on_a_hub(path: pathlib.Path) -> None:
    """Moves the model to onnx/model.onnx with onnx/model_quantized.onnx next to it."""
    folder = path.parent / "onnx"
    folder.mkdir()
    shutil.move(path, folder / "model.onnx")
    quantized = folder / "model_quantized.onnx"
    shutil.copy(folder / "model.onnx", quantized)
    convert_to_int8(quantized)


def set_truncation_and_padding(path: pathlib.Path) -> None:
    """Gives tokenizer.json a truncation to 16 tokens and a padding."""
    tokenizer_json = path.parent / "tokenizer.json"
    settings = json.loads(tokenizer_json.read_text())
    settings["truncation"] = {
        "direction": "Right",
        "max_length": 16,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    settings["padding"] = {
        "strategy": {"Fixed": 16},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    tokenizer_json.write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n")


def add_truecase_list(path: pathlib.Path) -> None:
    """The words of a lexicon that are not written with a capital first letter, and the key that names their list."""
    words = sorted(word for word in lexicon.words() if word != word.capitalize())
    path.with_name("truecase.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    path.with_name("ressort.toml").write_text('[model]\ntruecase = "truecase.txt"\n', encoding="utf-8")
