"""What people use today: transformers' pipeline on PyTorch, at its best batch size. It reads the first window only."""

import pathlib
import time

import transformers

BATCH_SIZES = (1, 8, 32)


def measure(checkpoint: pathlib.Path, task: str, texts: list[str]) -> dict:
    """Documents a second at the best of the batch sizes."""
    pipeline = transformers.pipeline(task, model=str(checkpoint), device="cpu")
    options = {"truncation": True} if task == "text-classification" else {"aggregation_strategy": "first"}
    speeds = {}
    for batch_size in BATCH_SIZES:
        pipeline(texts[:2], batch_size=batch_size, **options)
        started = time.perf_counter()
        pipeline(texts, batch_size=batch_size, **options)
        speeds[batch_size] = len(texts) / (time.perf_counter() - started)
    best = max(speeds, key=speeds.get)
    return {"documents_per_second": speeds[best], "batch_size": best}
