"""The common alternative: transformers' pipeline on PyTorch, at its best batch size. It reads the first window only."""

import pathlib
import time

import transformers

BATCH_SIZES = (1, 2, 4, 8, 16, 32)
ORDERS = {"in order": list, "longest first": lambda texts: sorted(texts, key=len, reverse=True)}


def measure(checkpoint: pathlib.Path, task: str, texts: list[str]) -> list[dict]:
    """Documents a second, for each order of the texts at the batch size that was fastest on a fifth of them."""
    pipeline = transformers.pipeline(task, model=str(checkpoint), device="cpu")
    options = {"truncation": True} if task == "text-classification" else {"aggregation_strategy": "first"}

    def timed(documents: list[str], batch_size: int) -> dict:
        started, worked = time.perf_counter(), time.process_time()
        pipeline(documents, batch_size=batch_size, **options)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - worked
        return {
            "documents_per_second": len(documents) / seconds,
            "cpu_ms_per_document": cpu_seconds / len(documents) * 1000,
        }

    timed(texts[:2], 1)
    rows = []
    for name, order in ORDERS.items():
        trial = order(texts[: max(len(texts) // 5, 1)])
        tried = {size: timed(trial, size)["documents_per_second"] for size in BATCH_SIZES}
        best = max(tried, key=lambda size: tried[size])
        rows.append({**timed(order(texts), best), "batch_size": best, "order": name, "tried": tried})
    return rows
