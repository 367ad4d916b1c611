"""The model: one BERT encoder, and two linear heads over its token states."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertModel

from .config import Config
from .labels import ENTITY_TAGS, TOPICS


class TwoHeads(nn.Module):
    """Entity and topic logits for every token. A document's topic logits are the mean over its tokens, specials apart:
    since the head is linear, that is the head over the mean state."""

    def __init__(self, encoder: BertModel, dropout: float = 0.1):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.entity_head = nn.Linear(encoder.config.hidden_size, len(ENTITY_TAGS))
        self.topic_head = nn.Linear(encoder.config.hidden_size, len(TOPICS))

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        states = self.states(input_ids, attention_mask)
        return self.entity_head(states), self.topic_head(states)


def mean_of_text(states: Tensor, attention_mask: Tensor) -> Tensor:
    """The mean over the tokens of each text: neither padding nor the first and last one, `<s>` and `</s>`."""
    kept = attention_mask.clone()
    kept[:, 0] = 0
    kept[torch.arange(len(kept)), attention_mask.sum(1) - 1] = 0
    kept = kept.unsqueeze(-1).to(states.dtype)
    return (states * kept).sum(1) / kept.sum(1).clamp(min=1)


@dataclass(frozen=True)
class EncoderOptions:
    dropout: float = 0.1
    attention_dropout: float = 0.0
    # On short texts plain matrix products train a fifth faster on CPU than PyTorch's fused attention.
    attention: str = "sdpa" if torch.cuda.is_available() else "eager"


def load_encoder(folder: Path, options: EncoderOptions = EncoderOptions()) -> BertModel:
    """The encoder of a Hugging Face folder, with this dropout."""
    return BertModel.from_pretrained(
        folder,
        add_pooling_layer=False,
        hidden_dropout_prob=options.dropout,
        attention_probs_dropout_prob=options.attention_dropout,
        attn_implementation=options.attention,
    )


def starting_model(config: Config, dropout: float) -> TwoHeads:
    """What a training starts from: the pruned base with fresh heads, or the mean weights of other trainings; of either,
    the chosen layers."""
    model = TwoHeads(load_encoder(config.paths.pruned, EncoderOptions(dropout)), dropout)
    if config.encoder.start:
        load_weights(model, mean_weights([config.paths.trained_by(name) for name in config.encoder.start]))
    keep_layers(model, config.encoder.layers)
    return model


def trained_model(config: Config, state: dict) -> TwoHeads:
    """A finished training's model, to be run and not trained on."""
    model = TwoHeads(load_encoder(config.paths.pruned, EncoderOptions(dropout=0.0)))
    load_weights(model, state)
    return model.eval()


def mean_weights(files: list[Path]) -> dict:
    """The mean of several trainings' weights; they must have begun as the same."""
    states = [torch.load(file, weights_only=False, map_location="cpu") for file in files]
    states = [state.get("model", state) for state in states]
    return {name: torch.stack([state[name].float() for state in states]).mean(0) for name in states[0]}


def load_weights(model: TwoHeads, state: dict) -> None:
    """Loads the weights of a training, which may have kept fewer layers than the base has."""
    n_layers = 1 + max(int(name.split(".")[3]) for name in state if name.startswith("encoder.encoder.layer."))
    keep_layers(model, list(range(n_layers)))
    model.load_state_dict(state)


def keep_layers(model: TwoHeads, layers: list[int]) -> None:
    """Leaves only these layers, in this order; an empty list leaves all."""
    if layers:
        encoder = model.encoder.encoder
        encoder.layer = nn.ModuleList([encoder.layer[index] for index in layers])
        model.encoder.config.num_hidden_layers = len(layers)
