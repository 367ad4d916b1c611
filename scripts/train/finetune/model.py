"""The model, any encoder with a linear head for each task over its token states, and its training."""

import dataclasses
import math
import os
import random
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..batches import Batch, Examples
from ..cutting import cut_batches
from ..labels import UNLABELLED
from ..model import mean_of_text
from ..precision import FullPrecision, MixedPrecision, has_bf16_units
from ..train import Run, parameter_groups, train
from .base import Base
from .documents import Labels
from .settings import Settings, Topics, Training


class TokenHeads(nn.Module):
    """Logits for every token, for the tasks that have labels. A document's topic logits are the mean over its tokens
    without specials."""

    def __init__(self, encoder: PreTrainedModel, labels: Labels, dropout: float = 0.0):
        super().__init__()
        self.encoder, self.config = encoder, encoder.config
        self.dropout = nn.Dropout(dropout)
        width = encoder.config.hidden_size
        # `_head` in these names gives them their own learning rate, and keeps them in full precision.
        self.entity_head = nn.Linear(width, len(labels.tags)) if labels.tags else None
        self.topic_head = nn.Linear(width, len(labels.topics)) if labels.topics else None

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.dropout(self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """The outputs of the graph by name."""
        states = self.states(input_ids, attention_mask)
        heads = {"entity_logits": self.entity_head, "topic_logits": self.topic_head}
        return {name: head(states) for name, head in heads.items() if head is not None}


def output_names(labels: Labels) -> list[str]:
    return ["entity_logits"] * bool(labels.entities) + ["topic_logits"] * bool(labels.topics)


def trained_model(settings: Settings, base: Base, labels: Labels) -> TokenHeads:
    """The model of a finished training, for inference; its attention can be exported."""
    model = TokenHeads(base.encoder("eager"), labels)
    model.load_state_dict(torch.load(settings.paths.trained, map_location="cpu"))
    return model.eval()


def train_model(settings: Settings, base: Base, labels: Labels) -> None:
    """Trains, from the last checkpoint if there is one, and writes the weights to the work folder."""
    torch.manual_seed(settings.seed)
    run = start_run(settings, base, labels)
    train(run)
    _save(run.precision.state_dict(), settings.paths.trained)
    run.checkpoint_file.unlink(missing_ok=True)


def start_run(settings: Settings, base: Base, labels: Labels) -> Run:
    training = dataclasses.replace(settings.training, threads=settings.training.threads or os.cpu_count() or 1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    examples = {"all": Examples(settings.paths.examples, base.pad)}
    plan = plan_epochs(examples["all"], training, settings.seed)
    # On short texts plain matrix products train a fifth faster on CPU than PyTorch's fused attention.
    model = TokenHeads(base.encoder("eager" if device.type == "cpu" else None), labels, training.dropout).to(device)
    model.encoder.get_input_embeddings().weight.requires_grad = not training.frozen_embeddings
    precision = choose_precision(model, training, device)
    optimizer = torch.optim.AdamW(parameter_groups(precision, training), betas=(0.9, 0.98), eps=1e-6, fused=True)
    print(f"{len(plan)} steps on {device} in {precision.name}", flush=True)
    loss = partial(batch_loss, model, settings.topics)
    checkpoint = settings.paths.training_checkpoint
    return Run(training, checkpoint, examples, plan, model, loss, precision, optimizer, device, budget_s=0)


def plan_epochs(examples: Examples, training: Training, seed: int) -> list[Batch]:
    """All batches of a training in order, the same for the same seed; each epoch has its own order."""
    rng, plan, n_epochs = random.Random(seed), [], math.ceil(training.epochs)
    for _ in range(n_epochs):
        order = list(range(len(examples.lengths)))
        rng.shuffle(order)
        batches = cut_batches(examples.lengths[order], training.batch_tokens, rng)
        plan += [Batch("all", [order[index] for index in batch]) for batch in batches]
    return plan[: max(1, round(len(plan) * training.epochs / n_epochs))]


def choose_precision(model: TokenHeads, training: Training, device: torch.device) -> MixedPrecision | FullPrecision:
    if training.precision == "fp32" or (training.precision == "auto" and not has_bf16_units(device)):
        return FullPrecision(model)
    embeddings = getattr(model.encoder, "embeddings", None) or model.encoder.get_input_embeddings()
    return MixedPrecision(model, embeddings)


def batch_loss(model: TokenHeads, topics: Topics | None, _task: str, tensors: dict[str, Tensor]) -> Tensor:
    """Cross entropy over labelled pieces, plus that of the topics over labelled documents: softmax, or binary and
    summed over the labels."""
    states = model.states(tensors["input_ids"], tensors["attention_mask"])
    loss = states.sum() * 0.0  # for a batch without any label
    if model.entity_head is not None and "tags" in tensors and (tensors["tags"] != UNLABELLED).any():
        logits = model.entity_head(states).float()
        loss = loss + F.cross_entropy(logits.flatten(0, 1), tensors["tags"].flatten(), ignore_index=UNLABELLED)
    if topics and model.topic_head is not None and "targets" in tensors and (tensors["weights"] > 0).any():
        logits = model.topic_head(mean_of_text(states, tensors["attention_mask"])).float()
        if topics.is_single:
            losses = F.cross_entropy(logits, tensors["targets"], reduction="none")
        else:
            losses = F.binary_cross_entropy_with_logits(logits, tensors["targets"], reduction="none").sum(1)
        n_labelled = (tensors["weights"] > 0).sum()
        loss = loss + topics.loss_weight * (losses * tensors["weights"]).sum() / n_labelled
    return loss


def _save(state: dict, file: Path) -> None:
    """Atomic: after a crash here, the run repeats its last steps."""
    unfinished = file.with_suffix(".unfinished")
    torch.save(state, unfinished)
    unfinished.rename(file)
