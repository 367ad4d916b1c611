"""Hand-made models whose answers a human can predict from tables of words.

`lexicon-ner`, for the tests of window edges: a token's logits are the sum of its
row, a row of the token before it and a weaker row of the token after it. A first name
is B-PER; a surname (`Merkel`) is I-PER after a name and B-PER elsewhere, so cutting a
window before it changes its tag. `lexicon-topics`: one row a window, the mean of the
rows of its words. Every word of the tables is one token; other words fall apart into
letters. `lexicon-ner-unigram` is the first with SentencePiece tokens (`▁Berlin` at the
start of a word, `Berlin` within one). None takes more than 32 tokens.
"""

from collections.abc import Sequence

import torch
from transformers import (
    BertConfig,
    BertPreTrainedModel,
    BertTokenizer,
    PreTrainedTokenizerBase,
    XLMRobertaTokenizer,
)
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput

from scripts.reference.tokenizer_kinds import BERT_SPECIALS, ROBERTA_SPECIALS, sentencepiece_unigram

MAX_LENGTH = 32
BIAS = -2.0

FIRST_NAMES = "Angela Olaf Jürgen Käthe Annalena Emmanuel".split()
SURNAMES = "Merkel Scholz Müller Größler Baerbock Macron".split()
PLACES = "Berlin München Köln Österreich Paris Mitte Hamburg Frankfurt".split()
PLACE_STARTS = "Bad New Sankt".split()
PLACE_ENDS = "Homburg York Gallen".split()
ORGANISATIONS = "Siemens Volkswagen Bundestag Verdi EU SAP".split()
ORGANISATION_STARTS = "FC Deutsche Europäische".split()
ORGANISATION_ENDS = "Bayern Bahn Zentralbank Kommission".split()
ENDINGS = "er s chef weit".split()
FILLERS = """der die das und in am im von mit nach über für auf ist sind war hat haben sprach sagte traf
gewann reiste kam heute gestern Montag Dienstag Freitag nicht auch aber dann dort hier sehr gut neu alt ein
eine einen dem den des sich es er sie wir Der Die Das In Am Und dass weil ob wie wo wer was""".split()

ENTITY_LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]

TOPIC_WORDS = {
    "Politik": "Bundestag Kanzler Wahl Gesetz Merkel Scholz Regierung Minister EU".split(),
    "Wirtschaft": "Siemens Volkswagen Börse Gewinn Euro Bahn Bank Zentralbank Aktie".split(),
    "Sport": "FC Bayern Tor Trainer Spiel Mannschaft Liga Pokal".split(),
    "Kultur": "Film Konzert Roman Theater Museum Oper Bühne".split(),
}


LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ"
CHARACTERS = ".,;:!?()[]„“”»«'\"-–/*&%0123456789" + LETTERS


def words() -> list[str]:
    """The words of all tables, each once."""
    tables = [FIRST_NAMES, SURNAMES, PLACES, PLACE_STARTS, PLACE_ENDS, ORGANISATIONS, ORGANISATION_STARTS]
    tables += [ORGANISATION_ENDS, FILLERS, *TOPIC_WORDS.values()]
    return list(dict.fromkeys(word for table in tables for word in table))


def wordpiece_tokenizer() -> BertTokenizer:
    """A cased WordPiece tokenizer: specials, characters, words, endings."""
    continued = ["##" + letter for letter in LETTERS + "0123456789"]
    tokens = [*BERT_SPECIALS, *CHARACTERS, *continued, *words(), *("##" + ending for ending in ENDINGS)]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return BertTokenizer(vocab=vocab, do_lower_case=False, model_max_length=MAX_LENGTH)


def unigram_tokenizer() -> XLMRobertaTokenizer:
    """The same words for SentencePiece, with and without the prefix of a word's start."""
    scores = {"▁" + word: -1.0 for word in words()}
    scores |= dict.fromkeys(words() + ENDINGS, -2.0)
    initials = {"▁" + letter: -9.0 for letter in LETTERS}
    scores = {"▁": -3.0} | dict.fromkeys(CHARACTERS, -8.0) | initials | scores
    specials = [(token, 0.0) for token in ROBERTA_SPECIALS]
    return XLMRobertaTokenizer(
        vocab=specials + list(scores.items()) + [("<mask>", 0.0)],
        _spm_precompiled_charsmap=sentencepiece_unigram(False).normalizer_spec.precompiled_charsmap,
        model_max_length=MAX_LENGTH,
    )


def configuration(tokenizer: PreTrainedTokenizerBase, labels: list[str], **options: str) -> BertConfig:
    """A BERT configuration for the labels and the maximum length; the encoder's sizes are unused."""
    id2label = dict(enumerate(labels))
    return BertConfig(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        tokenizer_class=type(tokenizer).__name__,
        hidden_size=len(labels),
        num_hidden_layers=0,
        num_attention_heads=1,
        intermediate_size=1,
        type_vocab_size=1,
        max_position_embeddings=MAX_LENGTH,
        id2label=id2label,
        label2id={label: i for i, label in id2label.items()},
        **options,
    )


class Lookup(BertPreTrainedModel):
    """The base of both models: tables of rows, and a position table that rejects longer input."""

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.own = torch.nn.Embedding(config.vocab_size, config.num_labels)
        self.positions = torch.nn.Embedding(config.max_position_embeddings, config.num_labels)
        torch.nn.init.zeros_(self.positions.weight)

    def own_rows(self, input_ids: torch.Tensor) -> torch.Tensor:
        """The row of each token plus that of its position (zeros)."""
        return self.own(input_ids) + self.positions(torch.arange(input_ids.shape[1]))


class BertForTokenClassification(Lookup):
    """`lexicon-ner`; the config and the pipeline require this class name."""

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.before = torch.nn.Embedding(config.vocab_size, config.num_labels)
        self.after = torch.nn.Embedding(config.vocab_size, config.num_labels)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Logits [B, T, L]."""
        mask = attention_mask[:, :, None].float()
        before = torch.nn.functional.pad(self.before(input_ids) * mask, (0, 0, 1, 0))[:, :-1]
        after = torch.nn.functional.pad(self.after(input_ids) * mask, (0, 0, 0, 1))[:, 1:]
        return TokenClassifierOutput(logits=self.own_rows(input_ids) + before + after)


class BertForSequenceClassification(Lookup):
    """`lexicon-topics`: the mean over all tokens except the special ones, plus a bias."""

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.counts = torch.nn.Embedding(config.vocab_size, 1)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits [B, L]."""
        counts = self.counts(input_ids) * attention_mask[:, :, None].float()
        total = (self.own_rows(input_ids) * counts).sum(dim=1)
        return SequenceClassifierOutput(logits=total / counts.sum(dim=1).clamp(min=1.0) + BIAS)


def build_all() -> dict[str, tuple[Lookup, PreTrainedTokenizerBase]]:
    """The models by the names of their folders, each with its tokenizer."""
    wordpiece, unigram = wordpiece_tokenizer(), unigram_tokenizer()
    return {
        "lexicon-ner": (tagger(wordpiece), wordpiece),
        "lexicon-ner-unigram": (tagger(unigram), unigram),
        "lexicon-topics": (topic_classifier(wordpiece), wordpiece),
    }


def tagger(tokenizer: PreTrainedTokenizerBase) -> BertForTokenClassification:
    """`lexicon-ner` with its tables filled."""
    model = BertForTokenClassification(configuration(tokenizer, ENTITY_LABELS)).eval()
    own, before, after = (torch.zeros_like(model.own.weight) for _ in range(3))
    own[:, label("O")] = 4.0
    starts = {"PER": FIRST_NAMES, "LOC": PLACES + PLACE_STARTS, "ORG": ORGANISATIONS + ORGANISATION_STARTS}
    ends = {"PER": SURNAMES, "LOC": PLACE_ENDS, "ORG": ORGANISATION_ENDS}
    for name in starts:
        begin, inside = label(f"B-{name}"), label(f"I-{name}")
        first, last = token_ids(tokenizer, starts[name]), token_ids(tokenizer, ends[name])
        own[first, begin] = 9.0
        own[last, begin], own[last, inside] = 8.0, 7.0
        before[first + last, inside] = 3.0
        after[first + last, begin] = 0.5
    fillers = token_ids(tokenizer, FILLERS)
    before[fillers, label("O")] = 0.25
    after[fillers, label("O")] = 0.25
    fill(model, {"own": own, "before": before, "after": after})
    return model


def topic_classifier(tokenizer: PreTrainedTokenizerBase) -> BertForSequenceClassification:
    """`lexicon-topics` with its tables filled."""
    config = configuration(tokenizer, list(TOPIC_WORDS), problem_type="multi_label_classification")
    model = BertForSequenceClassification(config).eval()
    own, counts = torch.zeros_like(model.own.weight), torch.ones_like(model.counts.weight)
    for i, table in enumerate(TOPIC_WORDS.values()):
        own[token_ids(tokenizer, table), i] = 16.0
    counts[tokenizer.all_special_ids] = 0.0
    fill(model, {"own": own, "counts": counts})
    return model


def label(name: str) -> int:
    """The column of an entity label."""
    return ENTITY_LABELS.index(name)


def token_ids(tokenizer: PreTrainedTokenizerBase, table: Sequence[str]) -> list[int]:
    """The ids of the tokens that stand for whole words."""
    vocab = tokenizer.get_vocab()
    spellings = [spelling for word in table for spelling in (word, "▁" + word)]
    return [vocab[spelling] for spelling in spellings if spelling in vocab]


def fill(model: Lookup, tables: dict[str, torch.Tensor]) -> None:
    """Puts the tables in as weights."""
    with torch.no_grad():
        for name, values in tables.items():
            getattr(model, name).weight.copy_(values)
