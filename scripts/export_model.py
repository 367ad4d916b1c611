"""Exports a Hugging Face checkpoint into a model folder and checks it against PyTorch.

    python scripts/export_model.py CHECKPOINT OUT [--task T] [--precision fp32|fp16|int8]

CHECKPOINT is a local folder with a sequence or token classification model. OUT
gets what Ressort serves: config.json, the tokenizer files and model.onnx (with
model.onnx_data next to it for weights past 2 GB). The logits are then compared on
German texts of several lengths, alone and in one padded batch. fp32 must agree
within 1e-4; for fp16 and int8 the difference and the share of equal answers are
reported. Exit status: 0 good, 1 when the export failed or disagrees.

Packages: `pip install -r scripts/requirements.txt`.
"""

import argparse
import contextlib
import dataclasses
import inspect
import logging
import pathlib
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime
import tokenizers
import torch
import transformers
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

if not __package__:  # run as a file, imports are looked for in the folder of this script
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.int8 import quantise

TASKS = {
    "text-classification": transformers.AutoModelForSequenceClassification,
    "token-classification": transformers.AutoModelForTokenClassification,
}
TOKENIZER_FILES = ["tokenizer.json", "vocab.txt", "vocab.json", "spm.model", "sentencepiece.bpe.model"]
TOLERANCE = 1e-4
OPSET = 17
# A protobuf file ends at 2 GiB; what it holds apart from the weights is small.
MAX_INLINE_BYTES = 2_000_000_000

SENTENCE = "„Die Größe der Straße in München“, sagte Jürgen Müller (Siemens), „überrascht Österreich.“ "
TEXTS = [
    "Berlin",
    "Angela Merkel sprach am Montag in München über die Außenpolitik.",
    SENTENCE * 3,
    SENTENCE * 300,
]


class ExportError(Exception):
    """The checkpoint cannot be exported; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far an ONNX output is from PyTorch's on one text, or on all as a padded batch."""

    output: str
    texts: str
    n_tokens: int
    max_difference: float
    n_equal: int
    n_compared: int


def main() -> int:
    """Exports, checks, prints the report."""
    arguments = parse_arguments()
    transformers.utils.logging.disable_progress_bar()
    try:
        model, tokenizer = load(arguments.checkpoint, arguments.task)
        export_folder(model, tokenizer, arguments.out, external_data=arguments.external_data)
        keep_tokenizer(arguments.checkpoint, arguments.out)
        convert(arguments.out / "model.onnx", arguments.precision)
        differences = compare(model, tokenizer, arguments.out / "model.onnx")
        check_tokenizer(tokenizer, arguments.out)
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return report(arguments, differences)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path, help="folder with config.json, weights, tokenizer")
    parser.add_argument("out", type=pathlib.Path, help="model folder to write")
    parser.add_argument("--task", choices=sorted(TASKS), help="default: read from the config's architectures")
    parser.add_argument("--precision", choices=["fp32", "fp16", "int8"], default="fp32")
    parser.add_argument("--external-data", action="store_true", help="weights in model.onnx_data at any size")
    return parser.parse_args()


def load(checkpoint: pathlib.Path, task: str | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The checkpoint in fp32 and its tokenizer; a head without trained weights is an error."""
    if not (checkpoint / "config.json").is_file():
        raise ExportError(f"no config.json in {checkpoint}; name the folder of a checkpoint")
    # Without its files transformers would make up an empty tokenizer.
    if not any((checkpoint / name).is_file() for name in TOKENIZER_FILES):
        raise ExportError(f"no tokenizer in {checkpoint}; one of {', '.join(TOKENIZER_FILES)} is needed")
    try:
        config = AutoConfig.from_pretrained(checkpoint)
        auto_class = TASKS[task or task_of(config.architectures or [], checkpoint)]
        model, loading = auto_class.from_pretrained(
            checkpoint, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        raise ExportError(f"transformers cannot load {checkpoint}: {error}") from error
    if loading["missing_keys"]:
        missing = ", ".join(sorted(loading["missing_keys"])[:5])
        raise ExportError(f"{checkpoint} lacks weights ({missing}); is it fine-tuned for the task?")
    tokenizer.model_max_length = min(tokenizer.model_max_length, n_positions(model))
    return model.eval(), tokenizer


def n_positions(model: PreTrainedModel) -> int:
    """The longest input: RoBERTa and its kin count positions from the one after the padding's."""
    positions = getattr(model.config, "max_position_embeddings", 512)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return positions - module.padding_idx - 1
    return positions


def task_of(architectures: list[str], checkpoint: pathlib.Path) -> str:
    """The task that the config's `architectures` name."""
    for architecture in architectures:
        if architecture.endswith("ForSequenceClassification"):
            return "text-classification"
        if architecture.endswith("ForTokenClassification"):
            return "token-classification"
    raise ExportError(f"architectures {architectures} of {checkpoint} name neither task; give --task")


def export_folder(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    out: pathlib.Path,
    outputs: tuple[str, ...] = ("logits",),
    external_data: bool = False,
) -> None:
    """Writes config.json, the tokenizer files and model.onnx as `optimum-cli export onnx` does."""
    out.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(out)
    tokenizer.save_pretrained(out)
    if not (out / "tokenizer.json").is_file():
        raise ExportError(f"{type(tokenizer).__name__} writes no tokenizer.json; a fast tokenizer is needed")
    export_onnx(model, tokenizer, out / "model.onnx", outputs, external_data)


class Graph(torch.nn.Module):
    """The model with positional inputs and a tuple of outputs, as the tracer wants it."""

    def __init__(self, model: torch.nn.Module, inputs: list[str], outputs: tuple[str, ...]):
        super().__init__()
        self.model, self.inputs, self.outputs = model, inputs, outputs

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The named outputs for the inputs in their order."""
        result = self.model(**dict(zip(self.inputs, values, strict=True)))
        return tuple(result[name] for name in self.outputs)


def keep_tokenizer(checkpoint: pathlib.Path, out: pathlib.Path) -> None:
    """Takes the checkpoint's own tokenizer.json where it has one.

    transformers 5 writes a new one from the defaults of the tokenizer's class, which drops what
    an older version put there (for DeBERTa the SentencePiece normaliser).
    """
    if (checkpoint / "tokenizer.json").is_file():
        shutil.copyfile(checkpoint / "tokenizer.json", out / "tokenizer.json")


def export_onnx(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    path: pathlib.Path,
    outputs: tuple[str, ...],
    external_data: bool,
) -> None:
    """Traces the model into one ONNX file with dynamic batch size and sequence length."""
    inputs = input_names(model)
    # eval() on the wrapper too: the exporter puts back the mode that the wrapper was in.
    graph = Graph(model, inputs, outputs).eval()
    encoded = encode(tokenizer, TEXTS[:2], inputs)
    values = tuple(encoded[name] for name in inputs)
    with torch.no_grad():
        ranks = {name: tensor.dim() for name, tensor in zip(outputs, graph(*values), strict=True)}
    both = {0: "batch_size", 1: "sequence_length"}
    axes = dict.fromkeys(inputs, both)
    axes |= {name: both if rank == 3 else {0: "batch_size"} for name, rank in ranks.items()}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, quiet():
        traced = pathlib.Path(folder) / "model.onnx"
        torch.onnx.export(
            graph,
            values,
            str(traced),
            input_names=inputs,
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        save_onnx(onnx.load(traced), path, external_data or weight_bytes(model) > MAX_INLINE_BYTES)


def save_onnx(graph: onnx.ModelProto, path: pathlib.Path, external_data: bool) -> None:
    """Writes one file, or the graph and one file of weights with `_data` after its name."""
    weights = path.with_name(path.name + "_data")
    weights.unlink(missing_ok=True)
    if external_data:
        onnx.save_model(graph, path, save_as_external_data=True, location=weights.name)
        # onnx makes it readable for its owner alone.
        weights.chmod(path.stat().st_mode)
    else:
        onnx.save_model(graph, path)


def weight_bytes(model: torch.nn.Module) -> int:
    """The size of the weights."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())


def input_names(model: torch.nn.Module) -> list[str]:
    """The inputs of the ONNX file.

    `token_type_ids` is one where it can make a difference: the family takes it and
    has more than one type (not so XLM-R, RoBERTa and DeBERTa-v3).
    """
    names = ["input_ids", "attention_mask"]
    takes_types = "token_type_ids" in inspect.signature(model.forward).parameters
    if takes_types and getattr(model.config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")
    return names


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str], inputs: list[str]) -> dict[str, torch.Tensor]:
    """The texts as one padded batch, cut at the model's maximum; missing token types are 0."""
    max_length = min(tokenizer.model_max_length, 512)
    encoded = tokenizer(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    zeros = torch.zeros_like(encoded["input_ids"])
    return {name: encoded.get(name, zeros) for name in inputs}


def convert(path: pathlib.Path, precision: str) -> None:
    """Rewrites the fp32 file in the requested precision."""
    if precision == "fp16":
        convert_to_fp16(path, keep_io_types=True)
    elif precision == "int8":
        convert_to_int8(path)


def convert_to_fp16(path: pathlib.Path, keep_io_types: bool) -> None:
    """Half-precision weights and arithmetic; with `keep_io_types` the logits stay fp32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = onnx.load(path)
    large = has_external_data(path)
    with quiet():
        half = convert_float_to_float16(graph, keep_io_types=keep_io_types, disable_shape_infer=large)
    save_onnx(half, path, external_data=large)


def convert_to_int8(path: pathlib.Path) -> None:
    """Dynamic quantisation: int8 weights by channel that saturate on no processor, activations quantised as it runs."""
    large = has_external_data(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, quiet():
        quantized = pathlib.Path(folder) / path.name
        quantise(path, quantized, external_data=large)
        save_onnx(onnx.load(quantized), path, external_data=large)


def has_external_data(path: pathlib.Path) -> bool:
    """Whether the weights lie in a file of their own."""
    return path.with_name(path.name + "_data").exists()


def compare(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    path: pathlib.Path,
    texts: list[str] = TEXTS,
    outputs: tuple[str, ...] = ("logits",),
) -> list[Difference]:
    """PyTorch against ONNX Runtime on each text alone, then on all texts in one batch."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = [value.name for value in session.get_inputs()]
    differences = []
    for group, name in [([text], "alone") for text in texts] + [(texts, f"batch of {len(texts)}")]:
        encoded = encode(tokenizer, group, inputs)
        with torch.no_grad():
            expected = model(**encoded)
        found = session.run(list(outputs), {key: value.numpy() for key, value in encoded.items()})
        mask = encoded["attention_mask"].numpy() == 1
        for output, logits in zip(outputs, found, strict=True):
            differences.append(difference(output, name, mask, expected[output].numpy(), logits))
    return differences


def difference(output: str, texts: str, mask: np.ndarray, expected: np.ndarray, found: np.ndarray) -> Difference:
    """Compares logits; of logits by token only those that are no padding."""
    if expected.shape != found.shape:
        raise ExportError(f"{output}: ONNX gives shape {found.shape}, PyTorch {expected.shape}")
    if expected.ndim == 3:
        expected, found = expected[mask], found[mask]
    equal = expected.argmax(-1) == found.argmax(-1)
    gap = float(np.abs(expected - found.astype(np.float32)).max())
    return Difference(output, texts, int(mask.sum()), gap, int(equal.sum()), equal.size)


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, out: pathlib.Path) -> None:
    """The tokenizer.json alone, as Ressort reads it, must give the ids that PyTorch was fed."""
    alone = tokenizers.Tokenizer.from_file(str(out / "tokenizer.json"))
    alone.no_truncation()
    alone.no_padding()
    for text in TEXTS[:3]:
        expected, found = tokenizer(text, verbose=False)["input_ids"], alone.encode(text).ids
        if expected != found:
            raise ExportError(
                f"tokenizer.json gives {found} for {text!r}, transformers {expected}; "
                "does tokenizer_config.json fit it?"
            )


def report(arguments: argparse.Namespace, differences: list[Difference]) -> int:
    """Prints what was compared and the verdict; the exit status."""
    path = arguments.out / "model.onnx"
    files = [path, *path.parent.glob(path.name + "_data")]
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    inputs = ", ".join(value.name for value in onnx.load(path, load_external_data=False).graph.input)
    print(f"{path}: {arguments.precision}, {megabytes:.1f} MB, inputs {inputs}")
    print(f"{'output':<10} {'texts':<12} {'tokens':>6} {'max difference':>15} {'same answer':>12}")
    for row in differences:
        answers = f"{row.n_equal}/{row.n_compared}"
        print(f"{row.output:<10} {row.texts:<12} {row.n_tokens:>6} {row.max_difference:>15.2e} {answers:>12}")
    worst = max(row.max_difference for row in differences)
    agreement = sum(row.n_equal for row in differences) / sum(row.n_compared for row in differences)
    if not np.isfinite(worst) or (arguments.precision == "fp32" and worst > TOLERANCE):
        print(f"FAILED: the logits are {worst:.2e} from PyTorch's, the limit is {TOLERANCE:.0e}")
        return 1
    print(f"ok: the logits are within {worst:.2e} of PyTorch's, {agreement:.2%} of the answers the same")
    return 0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences the tracer's and the quantisers' notes, dozens for each model; `compare` judges the result."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    sys.exit(main())
