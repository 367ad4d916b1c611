"""Batches of the prepared examples: of similar lengths, within a token budget, both tasks mixed, reproducible."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .cutting import cut_batches
from .labels import UNLABELLED

PAD = 1


class Examples:
    """The examples of one task, written by `prepare`."""

    def __init__(self, file: Path, pad: int = PAD):
        self.pad = pad
        arrays = dict(np.load(file))
        for labelled in sorted(file.parent.glob(f"{file.stem}.*.npy")):  # teachers' labels, see label.py
            arrays[labelled.name.split(".")[1]] = np.load(labelled, mmap_mode="r")
        self.lengths = arrays.pop("lengths")
        self._ends = np.cumsum(self.lengths)
        self.flat = {name: array for name, array in arrays.items() if len(array) == self._ends[-1]}
        self.whole = {name: array for name, array in arrays.items() if name not in self.flat}

    def attention_mask(self, indices: list[int]) -> Tensor:
        """`[batch, longest]`, 0 at padding."""
        lengths = torch.from_numpy(self.lengths[indices])
        return (torch.arange(int(lengths.max())) < lengths[:, None]).long()

    def padded(self, name: str, indices: list[int], fill: int) -> Tensor:
        """A per-token array of the chosen examples, `[batch, longest]` or `[batch, longest, …]`."""
        width = int(self.lengths[indices].max())
        array = self.flat[name]
        kind = np.float32 if array.dtype == np.float16 else np.int64
        rows = np.full((len(indices), width, *array.shape[1:]), fill, kind)
        for row, index in zip(rows, indices, strict=True):
            end = self._ends[index]
            row[: self.lengths[index]] = array[end - self.lengths[index] : end]
        return torch.from_numpy(rows)


@dataclass(frozen=True)
class Batch:
    task: str  # the key of its examples, "entities" or "topics"
    indices: list[int]

    def load(self, examples: dict[str, Examples]) -> dict[str, Tensor]:
        own = examples[self.task]
        tensors = {
            "input_ids": own.padded("input_ids", self.indices, own.pad),
            "attention_mask": own.attention_mask(self.indices),
        }
        if "tags" in own.flat:
            tensors["tags"] = own.padded("tags", self.indices, UNLABELLED)
        if "allowed" in own.flat:
            tensors["allowed"] = own.padded("allowed", self.indices, 0)
        if "soft" in own.flat:
            tensors["soft"] = own.padded("soft", self.indices, 0)
        for name, array in own.whole.items():
            tensors[name] = torch.from_numpy(array[self.indices])
        return tensors


def plan_batches(examples: dict[str, Examples], batch_tokens: int, seed: int) -> list[Batch]:
    """All batches of a training in order. Examples of a task keep their rough order, and the tasks are mixed evenly, so
    that a training that stops early has seen the same mixture."""
    rng = random.Random(seed)
    queues = []
    for task, own in examples.items():
        batches = [Batch(task, indices) for indices in cut_batches(own.lengths, batch_tokens, rng)]
        queues += [((index + rng.random()) / len(batches), batch) for index, batch in enumerate(batches)]
    return [batch for _, batch in sorted(queues, key=lambda entry: entry[0])]
