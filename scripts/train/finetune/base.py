"""The Hugging Face folder that a fine-tune starts from: its tokenizer and its encoder, checked."""

from dataclasses import dataclass
from pathlib import Path

import transformers
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, PreTrainedModel

from scripts.export_model import n_positions

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


@dataclass(frozen=True)
class Base:
    """`pad` is the id of padding."""

    folder: Path
    tokenizer: Tokenizer
    pad: int

    def encoder(self, attention: str | None = None) -> PreTrainedModel:
        """The encoder in full precision without a head; `attention` as in transformers, `None` for its default."""
        try:
            encoder, loading = AutoModel.from_pretrained(
                self.folder,
                dtype="float32",
                attn_implementation=attention,
                local_files_only=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError) as error:
            raise SystemExit(
                f"{self.folder}: transformers {transformers.__version__} cannot load it: {error}"
            ) from error
        missing = sorted(name for name in loading["missing_keys"] if "pooler" not in name)
        if missing:
            raise SystemExit(
                f"{self.folder}: the weights lack {len(missing)} tensors of the encoder ({', '.join(missing[:3])}, …); "
                f"do they belong to the model that config.json describes, {type(encoder).__name__}?"
            )
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # a head too: it reads the first token's state alone
        return encoder


def open_base(folder: Path, max_length: int) -> Base:
    """Checks the folder without running the encoder."""
    # transformers warns about the dropped head, which is wanted; missing weights are an error here.
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if not (folder / "config.json").is_file():
        raise SystemExit(
            f"{folder}/config.json: missing; [paths] checkpoint must be the folder of a Hugging Face checkpoint"
        )
    if not (folder / "tokenizer.json").is_file():
        raise SystemExit(
            f"{folder}/tokenizer.json: missing; write it with transformers: "
            f"AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"
        )
    if not any((folder / name).is_file() for name in WEIGHT_FILES):
        raise SystemExit(f"{folder}: no weights; one of {', '.join(WEIGHT_FILES)} is needed")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(f"{folder}/config.json: transformers cannot read it: {error}") from error
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= config.vocab_size:
        raise SystemExit(
            f"{folder}/tokenizer.json: gives ids up to {largest}, but config.json has {config.vocab_size} embeddings; "
            "take the tokenizer of this checkpoint"
        )
    pad = getattr(config, "pad_token_id", None)
    base = Base(folder, tokenizer, 0 if pad is None else pad)
    positions = n_positions(base.encoder())
    if max_length > positions:
        raise SystemExit(
            f"[training] max_length {max_length} is more than the checkpoint's {positions} positions; lower it"
        )
    return base


def read_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer as the service uses it: no truncation, and the name of a special token in a text is text."""
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise SystemExit(f"{file}: cannot be read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    ids, bare = tokenizer.encode("Berlin").ids, tokenizer.encode("Berlin", add_special_tokens=False).ids
    if ids[1:-1] != bare:
        raise SystemExit(
            f"{file}: puts {len(ids) - len(bare)} special tokens around a text; one before and one after "
            "([CLS] … [SEP], <s> … </s>) are expected: give it a post-processor"
        )
    return tokenizer
