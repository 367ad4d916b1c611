"""Step 6: training, both heads together. After a crash, the same command resumes from the last checkpoint.

Linear warm-up and decay over the planned batches; with a time budget the schedule follows the clock when that
is ahead."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batches import Batch, Examples, plan_batches
from .config import Config, Optimisation, Training, parse_arguments
from .labels import UNLABELLED
from .model import TwoHeads, mean_of_text, starting_model
from .precision import FullPrecision, MixedPrecision, pool_dropout, precision_for
from .threads import ThreadGovernor

Precision = MixedPrecision | FullPrecision


def main() -> None:
    config, arguments = parse_arguments(__doc__, add_options)
    torch.manual_seed(config.seed)
    run = start_run(config, arguments.minutes)
    if arguments.restart:
        run.checkpoint_file.unlink(missing_ok=True)
    train(run)
    torch.save(run.precision.state_dict(), config.paths.trained)
    run.checkpoint_file.unlink(missing_ok=True)
    config.paths.trained.with_name("training.json").write_text(json.dumps(run.summary(), indent=1))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, help="instead of training.time_budget_minutes")
    parser.add_argument("--restart", action="store_true", help="ignore an existing checkpoint")


@dataclass
class Run:
    """A training in progress: the contents of a checkpoint, and what is needed to resume from it. `batch_loss` takes
    the task of a batch and its tensors."""

    training: Optimisation
    checkpoint_file: Path
    examples: dict[str, Examples]
    plan: list[Batch]
    model: nn.Module
    batch_loss: Callable[[str, dict[str, Tensor]], Tensor]
    precision: Precision
    optimizer: torch.optim.Optimizer
    device: torch.device
    budget_s: float
    step: int = 0
    elapsed_s: float = 0.0
    n_tokens: int = 0
    losses: dict[str, Tensor] = field(default_factory=dict)  # smoothed, on the device, so that no step waits for it

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end: by steps, or by the clock if there is a budget and it is further ahead."""
        by_clock = self.elapsed_s / self.budget_s if self.budget_s else 0.0
        return max(self.step / len(self.plan), by_clock)

    def checkpoint(self) -> None:
        state = {
            "model": self.precision.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            **self._counters(),
        }
        unfinished = self.checkpoint_file.with_suffix(".unfinished")
        torch.save(state, unfinished)
        unfinished.rename(self.checkpoint_file)

    def resume(self) -> None:
        state = torch.load(self.checkpoint_file, weights_only=False)
        self.precision.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        for name in self._counters():
            setattr(self, name, state[name])
        print(f"resumed at step {self.step}", flush=True)

    def summary(self) -> dict:
        losses = {task: float(loss) for task, loss in self.losses.items()}
        return {**self._counters(), "losses": losses, "planned_steps": len(self.plan)}

    def _counters(self) -> dict:
        return {name: getattr(self, name) for name in ("step", "elapsed_s", "n_tokens", "losses")}


def start_run(config: Config, minutes: float | None) -> Run:
    training = config.training
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    examples = {task: Examples(config.paths.examples / f"{task}.npz") for task in training.tasks}
    epochs = range(config.seed, config.seed + training.epochs)
    plan = [batch for seed in epochs for batch in plan_batches(examples, training.batch_tokens, seed)]
    model = starting_model(config, training.dropout).to(device)
    pool_dropout(model, device)
    freeze(model, training)
    model.entity_head.requires_grad_(not {"entities", "open"}.isdisjoint(training.tasks))
    model.topic_head.requires_grad_("topics" in training.tasks)
    precision = precision_for(model, model.encoder.embeddings, device)
    optimizer = torch.optim.AdamW(parameter_groups(precision, training), betas=(0.9, 0.98), eps=1e-6, fused=True)
    budget_s = 60 * (training.time_budget_minutes if minutes is None else minutes)
    n_tokens = training.epochs * sum(int(own.lengths.sum()) for own in examples.values())
    where = f"on {device} in {precision.name}"
    print(f"{len(plan)} steps, {n_tokens} tokens, budget {budget_s / 60:.0f} min, {where}", flush=True)
    loss = partial(batch_loss, model, training=training)
    return Run(training, config.paths.checkpoint, examples, plan, model, loss, precision, optimizer, device, budget_s)


def freeze(model: TwoHeads, training: Training) -> None:
    """Keeps the word embeddings, and the first layers with all that is before them, as they are."""
    model.encoder.embeddings.word_embeddings.weight.requires_grad = not training.frozen_embeddings
    if training.frozen_layers:
        model.encoder.embeddings.requires_grad_(requires_grad=False)
        for layer in model.encoder.encoder.layer[: training.frozen_layers]:
            layer.requires_grad_(requires_grad=False)


def parameter_groups(precision: Precision, training: Optimisation) -> list[dict]:
    """Encoder and heads at their rates; no decay on biases, layer norms and embeddings."""
    groups: dict[tuple[bool, bool], list] = {}
    for name, master in precision.masters.items():
        decayed = master.dim() > 1 and "embeddings" not in name
        groups.setdefault(("_head" in name, decayed), []).append(master)
    return [
        {
            "params": masters,
            "peak_lr": training.head_lr if is_head else training.encoder_lr,
            "weight_decay": training.weight_decay if decayed else 0.0,
        }
        for (is_head, decayed), masters in groups.items()
    ]


def train(run: Run) -> None:
    """Runs the remaining steps, from the last checkpoint if there is one."""
    training = run.training
    if run.checkpoint_file.exists():
        run.resume()
    run.model.train()
    governor = ThreadGovernor(training.threads)
    clock = time.monotonic()
    next_report, next_checkpoint = run.elapsed_s + 20, run.elapsed_s + 60 * training.checkpoint_minutes
    while run.progress < 1:
        set_rate(run.optimizer, run.progress, training.warmup)
        governor.adjust()
        take_step(run, run.plan[run.step])
        now = time.monotonic()
        run.elapsed_s, clock = run.elapsed_s + now - clock, now
        if run.elapsed_s >= next_report:
            report(run)
            next_report = run.elapsed_s + 30
        if run.elapsed_s >= next_checkpoint:
            run.checkpoint()
            next_checkpoint = run.elapsed_s + 60 * training.checkpoint_minutes
    report(run)


def set_rate(optimizer: torch.optim.Optimizer, progress: float, warmup: float) -> None:
    factor = progress / warmup if progress < warmup else (1 - progress) / (1 - warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * max(factor, 0.005)


def take_step(run: Run, batch: Batch) -> None:
    tensors = batch.load(run.examples)
    run.n_tokens += int(tensors["attention_mask"].sum())
    tensors = {name: tensor.to(run.device) for name, tensor in tensors.items()}
    loss = run.batch_loss(batch.task, tensors)
    loss.backward()
    run.precision.hand_over_gradients()
    nn.utils.clip_grad_norm_(run.precision.masters.values(), run.training.clip_norm)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.precision.take_over_weights()
    run.step += 1
    now = loss.detach()
    run.losses[batch.task] = 0.98 * run.losses.get(batch.task, now) + 0.02 * now


def batch_loss(model: TwoHeads, task: str, tensors: dict[str, Tensor], training: Training) -> Tensor:
    """Cross entropy over labelled pieces. For topics: weighted binary cross entropy, summed over a document's labels,
    plus the cross entropy with the teachers' tags."""
    states = model.dropout(model.states(tensors["input_ids"], tensors["attention_mask"]))
    if task == "entities":
        logits = model.entity_head(states).float()
        return F.cross_entropy(logits.flatten(0, 1), tensors["tags"].flatten(), ignore_index=UNLABELLED)
    if task == "open":
        return open_loss(model.entity_head(states).float(), tensors["allowed"])
    logits = model.topic_head(mean_of_text(states, tensors["attention_mask"])).float()
    losses = F.binary_cross_entropy_with_logits(logits, tensors["targets"], tensors["weights"], reduction="none")
    loss = training.topic_loss_weight * losses.sum(1).mean()
    labelled = tensors["soft"].sum(-1) > 0 if "soft" in tensors else None
    if labelled is not None and labelled.any():  # the mean over no words is not a number
        loss = loss + F.cross_entropy(model.entity_head(states[labelled]).float(), tensors["soft"][labelled])
    return loss


def open_loss(logits: Tensor, allowed: Tensor) -> Tensor:
    """Minus the logarithm of the probability that the tag is an allowed one; `allowed` has a bit for each."""
    logits, allowed = logits[allowed > 0], allowed[allowed > 0]
    bits = torch.arange(logits.shape[-1], device=logits.device)
    forbidden = (allowed.unsqueeze(-1) >> bits & 1) == 0
    return (logits.logsumexp(-1) - logits.masked_fill(forbidden, -1e4).logsumexp(-1)).mean()


def report(run: Run) -> None:
    """One line: progress, speed, remaining time, and the smoothed losses."""
    per_second = run.n_tokens / run.elapsed_s
    left_min = (run.elapsed_s / run.progress - run.elapsed_s) / 60
    losses = " ".join(f"{task} {loss:.4f}" for task, loss in sorted(run.losses.items()))
    print(
        f"step {run.step}/{len(run.plan)} {run.progress:.1%} {per_second:.0f} tokens/s "
        f"(now {torch.get_num_threads()} threads) ETA {left_min:.0f} min loss {losses}",
        flush=True,
    )


if __name__ == "__main__":
    main()
