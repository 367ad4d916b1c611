"""Builds the Unigram tokenizer the way XLM-R has it, from pieces and scores."""

import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from .pieces import SPECIAL_PIECES


def build_tokenizer(pieces: list[tuple[str, float]]) -> Tokenizer:
    """A tokenizer over `pieces` (text and log probability, in the order of their ids; the special ones among them)."""
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=ids["<unk>"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(nmt_nfkc_charsmap()), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])],
    )
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in SPECIAL_PIECES])
    return tokenizer


def nmt_nfkc_charsmap() -> bytes:
    """sentencepiece's compiled `nmt_nfkc` rules. Its Python package gives them out only inside a trained model, so a
    tiny one is trained."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = str(Path(folder) / "tiny")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e f"] * 4),
            model_prefix=prefix,
            vocab_size=12,
            hard_vocab_limit=False,
            normalization_rule_name="nmt_nfkc",
            minloglevel=2,
        )
        proto = sentencepiece_model_pb2.ModelProto.FromString(Path(prefix + ".model").read_bytes())
    return proto.normalizer_spec.precompiled_charsmap
