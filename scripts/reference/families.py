"""The table of tiny models: family, task, labels, tag scheme, seed."""

import dataclasses
from collections.abc import Callable

import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from scripts.reference import tokenizer_kinds
from scripts.reference.corpus import sentences

MAX_LENGTH = 64

TYPES = ["PER", "LOC", "ORG", "OTH"]
BIO = ["O"] + [f"{prefix}-{name}" for name in TYPES for prefix in "BI"]
BIOES = ["O"] + [f"{prefix}-{name}" for name in TYPES[:3] for prefix in "BIES"]
IOB1 = ["O"] + [f"I-{name}" for name in TYPES] + [f"B-{name}" for name in TYPES]
UNPREFIXED = ["PER", "LOC", "O"]
TOPICS = ["Politik", "Wirtschaft", "Kultur", "Sport", "Wissenschaft"]


@dataclasses.dataclass(frozen=True)
class Family:
    """How one family is built: its class names, its sizes and its tokenizer."""

    classes: str
    tokenizer: Callable[[], PreTrainedTokenizerBase]
    sizes: dict


@dataclasses.dataclass(frozen=True)
class TinyModel:
    """One folder under tests/models: `labels` None leaves the names to transformers (LABEL_0, ...)."""

    name: str
    family: str
    task: str
    seed: int
    labels: list[str] | None
    problem_type: str | None = None
    n_labels: int = 0


WIDTH = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
TWO_LAYERS = WIDTH | {"num_hidden_layers": 2, "intermediate_size": 64}
FROM_ZERO = {"max_position_embeddings": MAX_LENGTH}
# RoBERTa counts positions from padding_idx + 1 = 2.
FROM_TWO = {
    "max_position_embeddings": MAX_LENGTH + 2,
    "type_vocab_size": 1,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-5,
}

FAMILIES = {
    "bert-cased": Family("Bert", lambda: tokenizer_kinds.wordpiece("bert", False, MAX_LENGTH), TWO_LAYERS | FROM_ZERO),
    "bert-uncased": Family("Bert", lambda: tokenizer_kinds.wordpiece("bert", True, MAX_LENGTH), WIDTH | FROM_ZERO),
    "xlmr": Family("XLMRoberta", lambda: tokenizer_kinds.xlm_roberta(True, MAX_LENGTH), TWO_LAYERS | FROM_TWO),
    "minilm": Family(
        "Bert",
        lambda: tokenizer_kinds.xlm_roberta(False, MAX_LENGTH),
        WIDTH | FROM_ZERO | {"pad_token_id": 1, "tokenizer_class": "XLMRobertaTokenizer"},
    ),
    "distilbert": Family(
        "DistilBert",
        lambda: tokenizer_kinds.wordpiece("distilbert", False, MAX_LENGTH),
        {"dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 48} | FROM_ZERO,
    ),
    "roberta": Family("Roberta", lambda: tokenizer_kinds.roberta(True, MAX_LENGTH), WIDTH | FROM_TWO),
    "deberta": Family(
        "DebertaV2",
        lambda: tokenizer_kinds.deberta_v2(MAX_LENGTH),
        WIDTH
        | FROM_ZERO
        | {
            "type_vocab_size": 0,
            "relative_attention": True,
            "position_buckets": 16,
            "max_relative_positions": -1,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_biased_input": False,
        },
    ),
    "electra": Family(
        "Electra",
        lambda: tokenizer_kinds.wordpiece("electra", True, MAX_LENGTH),
        WIDTH | FROM_ZERO | {"embedding_size": 16},
    ),
    "modernbert": Family(
        "ModernBert",
        lambda: tokenizer_kinds.modernbert(2 * MAX_LENGTH),
        WIDTH
        | {
            "num_hidden_layers": 3,
            "global_attn_every_n_layers": 2,
            "local_attention": 16,
            "max_position_embeddings": 2 * MAX_LENGTH,
            "bos_token_id": None,
            "eos_token_id": None,
        },
    ),
}

SINGLE, MULTI = "single_label_classification", "multi_label_classification"
NER, CLS = "token-classification", "text-classification"

MODELS = [
    TinyModel("bert-cased-ner", "bert-cased", NER, 21, BIO),
    TinyModel("bert-cased-cls", "bert-cased", CLS, 2, TOPICS, SINGLE),
    TinyModel("bert-uncased-ner", "bert-uncased", NER, 3, BIOES),
    TinyModel("bert-uncased-cls", "bert-uncased", CLS, 4, TOPICS, MULTI),
    TinyModel("xlmr-ner", "xlmr", NER, 5, BIO),
    TinyModel("xlmr-cls", "xlmr", CLS, 6, TOPICS),
    TinyModel("minilm-ner", "minilm", NER, 7, UNPREFIXED),
    TinyModel("minilm-cls", "minilm", CLS, 8, None, n_labels=4),
    TinyModel("distilbert-ner", "distilbert", NER, 9, IOB1),
    TinyModel("distilbert-cls", "distilbert", CLS, 10, TOPICS, MULTI),
    TinyModel("roberta-ner", "roberta", NER, 11, BIO),
    TinyModel("roberta-cls", "roberta", CLS, 12, None, MULTI, n_labels=3),
    TinyModel("deberta-ner", "deberta", NER, 13, BIOES),
    TinyModel("deberta-cls", "deberta", CLS, 14, TOPICS, SINGLE),
    TinyModel("electra-ner", "electra", NER, 19, None, n_labels=5),
    TinyModel("electra-cls", "electra", CLS, 16, ["Sport"]),
    TinyModel("modernbert-ner", "modernbert", NER, 17, IOB1),
    TinyModel("modernbert-cls", "modernbert", CLS, 18, TOPICS, MULTI),
]


def build(tiny: TinyModel) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The PyTorch model with its random weights, always the same, and its tokenizer."""
    family = FAMILIES[tiny.family]
    tokenizer = family.tokenizer()
    config = configuration(family, tokenizer, tiny)
    suffix = "ForTokenClassification" if tiny.task == NER else "ForSequenceClassification"
    torch.manual_seed(tiny.seed)
    model = getattr(transformers, family.classes + suffix)(config)
    model.config.dtype = torch.float32
    balance(model.eval(), tokenizer, tiny.labels or [])
    return model, tokenizer


def balance(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, labels: list[str]) -> None:
    """Shifts the last bias so that every label gets its turn, and `O` a little oftener.

    Random weights alone give most tokens the same label.
    """
    encoded = tokenizer(sentences()[:40], padding=True, truncation=True, return_tensors="pt")
    (head,) = [module for module in model.modules() if is_head(module, model.config.num_labels)]
    with torch.no_grad():
        logits = model(**encoded).logits
        rows = logits[encoded["attention_mask"] == 1] if logits.dim() == 3 else logits
        head.bias -= rows.mean(dim=0)
        if "O" in labels:
            head.bias[labels.index("O")] += 0.5 * rows.std(dim=0).mean()


def is_head(module: torch.nn.Module, n_labels: int) -> bool:
    """Whether the module is the linear layer that gives the logits."""
    return isinstance(module, torch.nn.Linear) and module.out_features == n_labels


def configuration(family: Family, tokenizer: PreTrainedTokenizerBase, tiny: TinyModel) -> PreTrainedConfig:
    """The family's configuration with weights wide enough that the logits differ from token to token."""
    labels = {"num_labels": tiny.n_labels}
    if tiny.labels is not None:
        id2label = dict(enumerate(tiny.labels))
        labels = {"id2label": id2label, "label2id": {name: i for i, name in id2label.items()}}
    specials = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id")
        for name in ("pad", "cls", "sep")
        if getattr(tokenizer, f"{name}_token_id") is not None
    }
    options = {"vocab_size": len(tokenizer), "initializer_range": 0.4} | specials | labels | family.sizes
    if tiny.problem_type is not None:
        options["problem_type"] = tiny.problem_type
    return getattr(transformers, family.classes + "Config")(attn_implementation="eager", **options)
