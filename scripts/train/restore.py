"""A trainable checkpoint from a model folder that `export` wrote, for when the checkpoints are gone.

    python -m scripts.train.restore --config scripts/train/german.toml

Reads the folder `paths.model`. Writes `pruned` (encoder and tokenizer), the list of letter case, and the `trained.pt`
of the training that `encoder.start` names. int8 weights become floats; what rounding took is gone."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from .config import Config, parse_arguments
from .export import CHECKED_TEXTS
from .model import EncoderOptions, TwoHeads
from .served_weights import read_weights

MIN_COSINE = 0.99  # of the logits; the served graph also rounds activations


def main() -> None:
    config, _ = parse_arguments(__doc__)
    if len(config.encoder.start) != 1:
        raise SystemExit(f"encoder.start names {config.encoder.start}; name the one training that is to be restored")
    model = restore(config.paths.model)
    check(model, config.paths.model)
    write(model, config)


def restore(folder: Path) -> TwoHeads:
    """The model of `folder`, with the encoder that its config.json describes."""
    options = EncoderOptions(dropout=0.0)
    encoder = BertModel(
        BertConfig.from_pretrained(folder, attn_implementation=options.attention), add_pooling_layer=False
    )
    model = TwoHeads(encoder, dropout=0.0)
    weights = read_weights(onnx.load(folder / "model.onnx").graph)
    state = model.state_dict()
    for name, parameter in state.items():
        # Types of tokens that are never read share the row of the one that is.
        parameter.copy_(torch.from_numpy(weights[name].astype(np.float32)).expand_as(parameter))
    return model.eval()


@torch.no_grad()
def check(model: TwoHeads, folder: Path) -> None:
    """Fails unless both give nearly the same logits."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in CHECKED_TEXTS:
        ids = np.array([tokenizer.encode(text).ids])
        mask = np.ones_like(ids)
        served = session.run(["entity_logits", "topic_logits"], {"input_ids": ids, "attention_mask": mask})
        restored = model(torch.from_numpy(ids), torch.from_numpy(mask))
        for ours, theirs in zip(restored, served, strict=True):
            a, b = ours.numpy().ravel(), np.asarray(theirs).ravel()
            cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
            print(f"cosine {cosine:.4f}, largest difference {np.abs(a - b).max():.2f}")
            if cosine < MIN_COSINE:
                raise SystemExit(f"the restored model differs on {text[:40]!r}: cosine {cosine:.4f} < {MIN_COSINE}")


def write(model: TwoHeads, config: Config) -> None:
    paths = config.paths
    model.encoder.save_pretrained(paths.pruned)
    shutil.copy(paths.model / "tokenizer.json", paths.pruned / "tokenizer.json")
    shutil.copy(paths.model / "truecase.txt", paths.truecase)
    trained = paths.trained_by(config.encoder.start[0])
    trained.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), trained)
    print(trained)


if __name__ == "__main__":
    main()
