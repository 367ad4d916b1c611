"""Cuts examples of many lengths into batches within a token budget."""

import random

import numpy as np

SORTED_BATCHES = 60  # examples are sorted by length within so many batches


def cut_batches(lengths: np.ndarray, batch_tokens: int, rng: random.Random) -> list[list[int]]:
    """All indices, roughly in order, in batches of similar lengths within `batch_tokens`, padding included."""
    batches: list[list[int]] = []
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
