"""A classifier of XLM-R base's shape with random weights, as checkpoint and as fp32 and int8 model folders.

    python -m scripts.bench.base_shape WORK TOKENIZER

Speed depends on the shape, not on the weights. TOKENIZER is a folder with an XLM-R tokenizer.json,
for instance models/ressort; the embedding table gets as many rows as it has pieces.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys

import tokenizers
import torch
import transformers

EXPORT = pathlib.Path(__file__).resolve().parents[1] / "export_model.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("tokenizer", type=pathlib.Path)
    arguments = parser.parse_args()
    checkpoint = make_checkpoint(arguments.work / "checkpoint", arguments.tokenizer)
    for precision in ("fp32", "int8"):
        command = [
            sys.executable,
            str(EXPORT),
            str(checkpoint),
            str(arguments.work / precision),
            "--precision",
            precision,
        ]
        subprocess.run(command, check=True)


def make_checkpoint(folder: pathlib.Path, tokenizer: pathlib.Path) -> pathlib.Path:
    """A checkpoint of 12 layers, hidden 768, with 17 labels."""
    torch.manual_seed(0)
    vocab_size = tokenizers.Tokenizer.from_file(str(tokenizer / "tokenizer.json")).get_vocab_size()
    shape = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    config = transformers.XLMRobertaConfig(
        vocab_size=vocab_size, max_position_embeddings=514, num_labels=17, type_vocab_size=1, pad_token_id=1, **shape
    )
    transformers.XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)
    return folder


if __name__ == "__main__":
    main()
