"""One tokenizer for each family, trained on the corpus, in the family's own form.

The vocabularies are tiny, the rest is real: normaliser, pre-tokenizer,
post-processor and special tokens are those that `transformers` gives the family.
"""

import collections
import functools
import io
import pathlib
import tempfile
import unicodedata

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertTokenizer,
    DebertaV2Tokenizer,
    DistilBertTokenizer,
    ElectraTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

from scripts.reference.corpus import sentences

BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
WORDPIECE_CLASSES = {"bert": BertTokenizer, "distilbert": DistilBertTokenizer, "electra": ElectraTokenizer}


def wordpiece(kind: str, lowercase: bool, max_length: int) -> PreTrainedTokenizerBase:
    """WordPiece as in BERT; with `lowercase` accents are stripped too."""
    vocab = {token: i for i, token in enumerate(wordpiece_vocabulary(lowercase, 500))}
    return WORDPIECE_CLASSES[kind](vocab=vocab, do_lower_case=lowercase, model_max_length=max_length)


def wordpiece_vocabulary(lowercase: bool, size: int) -> list[str]:
    """Specials, characters, then the most frequent words and word endings.

    Not `WordPieceTrainer`: two runs of it on the same text give two vocabularies.
    """
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words, endings = collections.Counter(), collections.Counter()
    for sentence in sentences():
        for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(sentence)):
            words[word] += 1
            endings.update("##" + word[-n:] for n in (2, 3, 4) if n < len(word))
    characters = sorted(set("".join(words)))
    continued = ["##" + character for character in characters if character.isalnum()]
    vocab = [*BERT_SPECIALS, *characters, *continued]
    ranked = sorted((words + endings).items(), key=lambda item: (-item[1], item[0]))
    vocab += [token for token, _ in ranked if token not in set(vocab)]
    return vocab[:size]


def byte_level_bpe(specials: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a byte-level BPE."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=560,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    with tempfile.TemporaryDirectory() as folder:
        vocab_file, merges_file = tokenizer.model.save(folder)
        return models.BPE.read_file(vocab_file, merges_file)


def roberta(add_prefix_space: bool, max_length: int) -> PreTrainedTokenizerBase:
    """Byte-level BPE as in RoBERTa, `<mask>` last."""
    vocab, merges = byte_level_bpe(ROBERTA_SPECIALS)
    vocab["<mask>"] = len(vocab)
    return RobertaTokenizer(vocab=vocab, merges=merges, add_prefix_space=add_prefix_space, model_max_length=max_length)


def modernbert(max_length: int) -> PreTrainedTokenizerBase:
    """Byte-level BPE in the GPT-NeoX style that ModernBERT uses, specials after the vocabulary."""
    vocab, merges = byte_level_bpe(["|||IP_ADDRESS|||", "<|padding|>"])
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=True,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
    )


@functools.cache
def sentencepiece_unigram(full_charsmap: bool) -> sentencepiece_model_pb2.ModelProto:
    """A SentencePiece unigram model with nmt_nfkc, or with the Latin part of it (a small file)."""
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder) / "rules.tsv"
        rules.write_text(latin_nfkc_rules())
        normalization = {"normalization_rule_tsv": str(rules)}
        if full_charsmap:
            normalization = {"normalization_rule_name": "nmt_nfkc"}
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences()),
            model_writer=model,
            vocab_size=450,
            model_type="unigram",
            num_threads=1,
            minloglevel=2,
            **normalization,
        )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto


def latin_nfkc_rules() -> str:
    """SentencePiece rules: NFKC below U+0250 and for U+2000..U+2100, spaces unified, controls dropped."""
    lines = []
    codes = [*range(0x01, 0x250), *range(0x2000, 0x2100)]
    for code in codes:
        character = chr(code)
        mapped = unicodedata.normalize("NFKC", character)
        if character in "\t\n\r" or unicodedata.category(character) in ("Zs", "Zl", "Zp"):
            mapped = " "
        elif unicodedata.category(character) in ("Cc", "Cf"):
            mapped = ""
        if mapped != character:
            lines.append(f"{code:X}\t{' '.join(f'{ord(c):X}' for c in mapped)}")
        decomposed = unicodedata.normalize("NFD", character)
        if len(decomposed) == 2 and code < 0x250:
            lines.append(f"{' '.join(f'{ord(c):X}' for c in decomposed)}\t{code:X}")
    return "\n".join(lines) + "\n"


def scored_pieces(proto: sentencepiece_model_pb2.ModelProto) -> list[tuple[str, float]]:
    """The pieces with their scores, without SentencePiece's own three specials.

    Every piece of letters also gets a twin for the start of a word, as a large
    vocabulary has it; else most words would begin with a lone `▁`.
    """
    scores = {piece.piece: piece.score for piece in proto.pieces[3:]}
    twins = {"▁" + piece: scores[piece] + scores["▁"] + 0.1 for piece in scores if piece.isalpha()}
    return list((twins | scores).items())


def xlm_roberta(full_charsmap: bool, max_length: int) -> PreTrainedTokenizerBase:
    """Unigram with the order of ids that fairseq gave XLM-R."""
    proto = sentencepiece_unigram(full_charsmap)
    vocab = [(token, 0.0) for token in ROBERTA_SPECIALS] + scored_pieces(proto) + [("<mask>", 0.0)]
    return XLMRobertaTokenizer(
        vocab=vocab,
        _spm_precompiled_charsmap=proto.normalizer_spec.precompiled_charsmap,
        model_max_length=max_length,
    )


def deberta_v2(max_length: int) -> PreTrainedTokenizerBase:
    """Unigram with the order of ids of DeBERTa-v3."""
    pieces = scored_pieces(sentencepiece_unigram(False))
    specials = [(token, 0.0) for token in ("[PAD]", "[CLS]", "[SEP]", "[UNK]")]
    return DebertaV2Tokenizer(vocab=specials + pieces + [("[MASK]", 0.0)], model_max_length=max_length)
