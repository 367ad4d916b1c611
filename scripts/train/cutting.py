"""Cuts examples of many lengths into batches within a token budget, and long ones into windows."""

import random

import numpy as np

PAD, BEGIN, END = 1, 0, 2
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


def cut_in_windows(ids: np.ndarray, lengths: np.ndarray, ends: list[int], capacity: int) -> np.ndarray:
    """`[windows, (example, begin, end)]`: half-open ranges of the flat tokens, inside one example and without its
    special tokens, of at most `capacity` tokens, of whole sentences where possible."""
    after_ends = np.concatenate([[0], np.flatnonzero(np.isin(ids, ends)) + 1])
    windows, begin = [], 0
    for example, length in enumerate(lengths.tolist()):
        position, stop = begin + 1, begin + length - 1
        while position < stop:
            cut = min(position + capacity, stop)
            if cut < stop:
                last = after_ends[np.searchsorted(after_ends, cut, "right") - 1]
                cut = int(last) if last > position else cut
            windows.append((example, position, cut))
            position = cut
        begin += length
    return np.array(windows, np.int64)


def in_batches(windows: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Of nearly equal length, since the windows are sorted by it."""
    batches, begin = [], 0
    while begin < len(windows):
        widths = windows[begin:, 2] - windows[begin:, 1] + 2
        n = int(np.searchsorted(widths * np.arange(1, len(widths) + 1), batch_tokens, "right"))
        batches.append(windows[begin : begin + max(n, 1)])
        begin += max(n, 1)
    return batches


def token_positions(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[windows, longest]`: the flat token at each cell, and whether the cell holds one."""
    lengths = windows[:, 2] - windows[:, 1]
    column = np.arange(lengths.max())
    kept = column < lengths[:, None]
    return np.where(kept, windows[:, 1:2] + column, 0), kept


def frame(rows: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask: of each row the kept tokens between `<s>` and `</s>`, then padding."""
    n_rows, width = rows.shape
    ids = np.full((n_rows, width + 2), PAD, np.int64)
    ids[:, 0] = BEGIN
    ids[:, 1:-1] = np.where(kept, rows, PAD)
    ids[np.arange(n_rows), kept.sum(1) + 1] = END
    return ids, (ids != PAD).astype(np.int64)
