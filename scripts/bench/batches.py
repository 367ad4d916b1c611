"""Whether windows of one length run faster together: tokens a second by length and batch size, on all streams at once.

    python -m scripts.bench.batches MODEL...

Prints the speed of a batch as a multiple of the speed of single windows, for each model. Seconds are processor time, so
that other work on the machine changes little.
"""

import concurrent.futures
import os
import pathlib
import statistics
import sys
import time

from onnxruntime import InferenceSession

from . import ceiling

LENGTHS = (8, 16, 32, 48, 64, 128)
BATCHES = (1, 2, 4, 8)
ROUNDS, TOKENS_PER_CELL = 3, 512


def main() -> None:
    for model in map(pathlib.Path, sys.argv[1:]):
        sessions = [ceiling.open_session(model / "model.onnx") for _ in os.sched_getaffinity(0)]
        speeds = _measure(sessions)
        print(f"{model}: tokens/s of one of {len(sessions)} streams, and the multiple in a batch\n")
        print(_row("tokens", "alone", *(f"batch {size}" for size in BATCHES[1:])))
        print(_row(*["---"] * (1 + len(BATCHES))))
        for length in LENGTHS:
            alone = speeds[length, 1]
            print(_row(length, f"{alone:.0f}", *(f"{speeds[length, size] / alone:.2f}" for size in BATCHES[1:])))
        print(flush=True)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _measure(sessions: list[InferenceSession]) -> dict[tuple[int, int], float]:
    """By (length, batch size), the median over rounds that measure each cell once."""
    seen = {(length, size): [] for length in LENGTHS for size in BATCHES}
    with concurrent.futures.ThreadPoolExecutor(len(sessions)) as pool:
        for _ in range(ROUNDS):
            for cell, speeds in seen.items():
                speeds.extend(pool.map(_speed, sessions, [cell] * len(sessions)))
    return {cell: statistics.median(speeds) for cell, speeds in seen.items()}


def _speed(session: InferenceSession, cell: tuple[int, int]) -> float:
    length, size = cell
    n_runs = max(TOKENS_PER_CELL // (length * size), 1)
    started = time.thread_time()
    for _ in range(n_runs):
        ceiling.run(session, [[5] * length] * size)
    return n_runs * length * size / (time.thread_time() - started)


if __name__ == "__main__":
    main()
