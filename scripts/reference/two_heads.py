"""One encoder with a topic head and an entity head, in one graph.

The topic logits come for each token (`two-heads`, to be averaged over the document)
or as one row a window (`two-heads-pooled`). A `ressort.toml` next to the model says
which output is which, since `config.json` cannot.
"""

import dataclasses

import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from scripts.reference import families

ENTITY_LABELS = families.BIO
OUTPUTS = ("topic_logits", "entity_logits")


@dataclasses.dataclass(frozen=True)
class Topic:
    """A topic with its code in the IPTC Media Topics."""

    label: str
    code: str
    threshold: float
    english: str


TOPICS = [
    Topic("Politik", "medtop:11000000", 0.4, "politics and government"),
    Topic("Wirtschaft", "medtop:04000000", 0.5, "economy, business and finance"),
    Topic("Kultur", "medtop:01000000", 0.35, "arts, culture, entertainment and media"),
    Topic("Sport", "medtop:15000000", 0.6, "sport"),
]


@dataclasses.dataclass(frozen=True)
class TwoHeads:
    """A folder with two heads: `pooled` gives one row of topic logits a window."""

    name: str
    seed: int
    pooled: bool
    problem_type: str
    temperature: float


MODELS = [
    TwoHeads("two-heads", 31, False, families.MULTI, 1.0),
    TwoHeads("two-heads-pooled", 32, True, families.SINGLE, 1.5),
]


class TwoHeadedBert(torch.nn.Module):
    """BertModel with two linear heads on its last hidden states."""

    def __init__(self, config: BertConfig, pooled: bool):
        super().__init__()
        self.config, self.pooled = config, pooled
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.topics = head(config.hidden_size, len(TOPICS))
        self.entities = head(config.hidden_size, len(ENTITY_LABELS))

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Topic logits [B, T, L] or, pooled, [B, L]; entity logits [B, T, L']."""
        hidden = self.encoder(input_ids, attention_mask, token_type_ids).last_hidden_state
        pooled = hidden[:, 0] if self.pooled else hidden
        return {"topic_logits": self.topics(pooled), "entity_logits": self.entities(hidden)}


def head(width: int, n_labels: int) -> torch.nn.Linear:
    """A linear layer with wide random weights."""
    layer = torch.nn.Linear(width, n_labels)
    torch.nn.init.normal_(layer.weight, std=0.4)
    return layer


def build(two_heads: TwoHeads) -> tuple[TwoHeadedBert, PreTrainedTokenizerBase]:
    """The model with its random weights, always the same, and its tokenizer."""
    family = families.FAMILIES["bert-cased"]
    tokenizer = family.tokenizer()
    config = BertConfig(vocab_size=len(tokenizer), initializer_range=0.4, attn_implementation="eager", **family.sizes)
    torch.manual_seed(two_heads.seed)
    return TwoHeadedBert(config, two_heads.pooled).eval(), tokenizer


def manifest(two_heads: TwoHeads) -> str:
    """The `ressort.toml`."""
    topics = "\n".join(
        f'  {{ label = "{topic.label}", code = "{topic.code}", threshold = {topic.threshold}, '
        f'names = {{ en = "{topic.english}" }} }},'
        for topic in TOPICS
    )
    entities = ", ".join(f'"{label}"' for label in ENTITY_LABELS)
    return f"""\
[model]
file = "model.onnx"
max_length = {families.MAX_LENGTH}
stride = 16

[topics]
output = "topic_logits"
problem_type = "{two_heads.problem_type}"
pooling = "{"mean" if two_heads.pooled else "token-mean"}"
temperature = {two_heads.temperature}
labels = [
{topics}
]

[entities]
output = "entity_logits"
labels = [{entities}]
"""
