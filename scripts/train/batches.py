"""Batches of the prepared examples: by length, under a token budget, both tasks mixed, the same for the same seed."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .labels import UNLABELLED

PAD = 1
SORTED_BATCHES = 60  # among so many batches' worth of examples they are sorted by length


class Examples:
    """The examples of one task, as `prepare` wrote them."""

    def __init__(self, file: Path, pad: int = PAD):
        self.pad = pad
        arrays = dict(np.load(file))
        for labelled in sorted(file.parent.glob(f"{file.stem}.*.npy")):  # by teachers, see label.py
            arrays[labelled.name.split(".")[1]] = np.load(labelled, mmap_mode="r")
        self.lengths = arrays.pop("lengths")
        self._ends = np.cumsum(self.lengths)
        self.flat = {name: array for name, array in arrays.items() if len(array) == self._ends[-1]}
        self.whole = {name: array for name, array in arrays.items() if name not in self.flat}

    def attention_mask(self, indices: list[int]) -> Tensor:
        """`[batch, longest]`, 0 where a row is filled up."""
        lengths = torch.from_numpy(self.lengths[indices])
        return (torch.arange(int(lengths.max())) < lengths[:, None]).long()

    def padded(self, name: str, indices: list[int], fill: int) -> Tensor:
        """A per-token array of the chosen examples, `[batch, longest]` or `[batch, longest, …]`."""
        width = int(self.lengths[indices].max())
        array = self.flat[name]
        kind = np.float32 if array.dtype == np.float16 else np.int64
        rows = np.full((len(indices), width, *array.shape[1:]), fill, kind)
        for row, index in zip(rows, indices):
            end = self._ends[index]
            row[: self.lengths[index]] = array[end - self.lengths[index] : end]
        return torch.from_numpy(rows)


@dataclass(frozen=True)
class Batch:
    task: str  # the key of its examples, "entities" or "topics"
    indices: list

    def load(self, examples: dict[str, Examples]) -> dict[str, Tensor]:
        own = examples[self.task]
        tensors = {
            "input_ids": own.padded("input_ids", self.indices, own.pad),
            "attention_mask": own.attention_mask(self.indices),
        }
        if "tags" in own.flat:
            tensors["tags"] = own.padded("tags", self.indices, UNLABELLED)
        if "soft" in own.flat:
            tensors["soft"] = own.padded("soft", self.indices, 0)
        for name, array in own.whole.items():
            tensors[name] = torch.from_numpy(array[self.indices])
        return tensors


def plan_batches(examples: dict[str, Examples], batch_tokens: int, seed: int) -> list[Batch]:
    """All batches of a training in their order. Each task's examples keep their rough order, and the tasks are mixed
    evenly, so a training cut short has seen the same mixture."""
    rng = random.Random(seed)
    queues = []
    for task, own in examples.items():
        batches = [Batch(task, indices) for indices in cut_batches(own.lengths, batch_tokens, rng)]
        queues += [((place + rng.random()) / len(batches), batch) for place, batch in enumerate(batches)]
    return [batch for _, batch in sorted(queues, key=lambda entry: entry[0])]


def cut_batches(lengths: np.ndarray, batch_tokens: int, rng: random.Random) -> list[list[int]]:
    """All indices in batches of like lengths and at most `batch_tokens` with padding, in about their order."""
    batches = []
    chunk_size = max(1, int(SORTED_BATCHES * batch_tokens / lengths.mean()))
    for begin in range(0, len(lengths), chunk_size):
        indices = list(range(begin, min(begin + chunk_size, len(lengths))))
        indices.sort(key=lambda index: (lengths[index], rng.random()))
        chunk, batch = [], []
        for index in indices:
            if batch and (len(batch) + 1) * lengths[index] > batch_tokens:
                chunk.append(batch)
                batch = []
            batch.append(index)
        chunk.append(batch)
        rng.shuffle(chunk)
        batches += chunk
    return batches
