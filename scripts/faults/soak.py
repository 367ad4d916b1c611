"""Mixed clients at four times the capacity of a server, with models swapped meanwhile.

    python -m scripts.faults.soak [SECONDS]

Every answer is held against what its model gives for the text alone, asked before. It ends with 1 where an answer is
wrong, a request gets no whole answer, the server has more descriptors or threads after the load than before, or its
memory exceeded the bound.
"""

import asyncio
import dataclasses
import itertools
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from typing import Any

from scripts.bench import load, server, texts

from .clients import Client, Seen, Target
from .connections import MAX_MEMORY_MB

MODELS = {"a": "models/ressort", "b": "models/ressort-mini"}
# Windows a second that each kind of client sends, as a multiple of the capacity.
SHARES = {"normal": 1.0, "bulk": 1.5, "long": 1.0, "leaving": 0.5}
BULK_DOCUMENTS = 40
N_STALLED, N_SLOW = 4, 2
SWAP_S, SCRAPE_S, MALFORMED_S = 10.0, 5.0, 0.5
# Clients some of whose documents must be answered, whatever the load.
ANSWERED = ("normal", "bulk", "long")
FLAGS = "--max-queued-windows 256 --timeout-s 30 --stall-timeout-s 5 --read-timeout-s 10 --idle-timeout-s 5".split()
# After the last client: for idle threads and connections to end.
SETTLE_S = 20.0
# Models in memory next to the one that the bound counts: the other one, and one that is being loaded.
N_FURTHER_MODELS = 2


@dataclasses.dataclass(frozen=True)
class Process:
    """What a server holds while nobody asks."""

    memory_mb: float
    n_threads: int
    n_descriptors: int

    @classmethod
    def of(cls, process: subprocess.Popen) -> "Process":
        memory_mb = server.resident_bytes(process) / 1e6
        return cls(memory_mb, server.n_threads(process), server.n_descriptors(process))


@dataclasses.dataclass(frozen=True)
class Texts:
    short: list[str]
    bulk: list[str]
    long: list[str]

    @classmethod
    def make(cls) -> "Texts":
        long = [" ".join(texts.make_texts(60, 75.0, seed)) for seed in range(100, 104)]
        return cls(texts.make_texts(100, 15.0, 1), texts.make_texts(80, 100.0, 2), long)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    root = server.ROOT
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        models = pathlib.Path(folder)
        for name, path in MODELS.items():
            shutil.copytree(root / path, models / name)
        shutil.copytree(root / MODELS["b"], models / "broken")
        (models / "broken/tokenizer.json").write_text("{}")
        named = itertools.chain(*(("--model", f"{name}={models / name}") for name in MODELS))
        flags = [*named, "--topics", "a", "--entities", "a", "--models-dir", folder, *FLAGS]
        with server.serving(*flags, log=log) as (port, process):
            faults = asyncio.run(soak(Target(port), process, seconds))
            process.terminate()
            if (code := process.wait(timeout=60)) != 0:
                faults.append(f"the server ended with {code}")
        for fault in faults:
            print(f"FAULT: {fault}")
        if faults:
            log.seek(0)
            print("".join([line for line in log if " INFO " not in line][-40:]))
    return 1 if faults else 0


async def soak(target: Target, process: subprocess.Popen, seconds: float) -> list[str]:
    documents = Texts.make()
    await target.learn([*documents.short, *documents.bulk, *documents.long], list(MODELS))
    await settle_models(target)
    capacity = await measure_capacity(target, documents.bulk)
    print(f"capacity {capacity:.0f} windows/s; {sum(SHARES.values()):.0f} times that for {seconds:.0f} s", flush=True)
    await asyncio.sleep(SETTLE_S)
    before = Process.of(process)
    seen = await under_load(target, documents, capacity, seconds)
    await settle_models(target)
    target.close()
    await asyncio.sleep(SETTLE_S)
    after, peak_mb = Process.of(process), server.status_bytes(process, "VmHWM") / 1e6
    bound_mb = MAX_MEMORY_MB + N_FURTHER_MODELS * largest_model() / 1e6
    for kind in seen:
        print(kind.line())
    metrics = await target.get("/metrics")
    stalled = [line for line in metrics.splitlines() if line.startswith("ressort_stalled_connections_total")]
    n_stalled = float(stalled[0].split()[-1]) if stalled else 0
    print(f"disconnected for reading too little: {n_stalled:.0f}")
    print(f"memory {before.memory_mb:.0f} MB before, {after.memory_mb:.0f} MB after, {peak_mb:.0f} MB at most", end="")
    print(f" (bound {bound_mb:.0f}); threads {before.n_threads} and {after.n_threads}", end="")
    print(f", descriptors {before.n_descriptors} and {after.n_descriptors}")
    faults = [fault for kind in seen for fault in kind.faults()]
    faults += [f"{kind.name}: no right answer" for kind in seen if kind.name in ANSWERED and not kind.n_right]
    if not n_stalled:
        faults.append("no client was disconnected for reading too little")
    if peak_mb > bound_mb:
        faults.append(f"{peak_mb:.0f} MB of memory are more than {bound_mb:.0f}")
    for name in ("n_threads", "n_descriptors"):
        if getattr(after, name) > getattr(before, name):
            faults.append(f"{name} grew from {getattr(before, name)} to {getattr(after, name)}")
    return faults


async def under_load(target: Target, documents: Texts, capacity: float, seconds: float) -> list[Seen]:
    """Runs all clients for `seconds`, then waits for the answers that are still to come."""
    client = {name: Client(target, Seen(name)) for name in (*SHARES, "stalled", "slow", "malformed", "swaps", "scrape")}
    until = time.perf_counter() + seconds
    n_long = sum(target.n_windows(text) for text in documents.long) / len(documents.long)
    n_bulk = BULK_DOCUMENTS * sum(target.n_windows(text) for text in documents.bulk) / len(documents.bulk)
    windows = {"normal": 1.0, "bulk": n_bulk, "long": n_long, "leaving": n_long}
    rate = {name: share * capacity / windows[name] for name, share in SHARES.items()}
    many = [documents.bulk[n:] + documents.bulk[:n] for n in range(0, len(documents.bulk), 7)]
    bulk = [texts[:BULK_DOCUMENTS] for texts in many]

    def one(number: int, pool: list[str]) -> str:
        return pool[number % len(pool)]

    await asyncio.gather(
        load.at_rate(rate["normal"], seconds, lambda n: client["normal"].one(one(n, documents.short))),
        load.at_rate(rate["bulk"], seconds, lambda n: client["bulk"].many(bulk[n % len(bulk)], "bulk", n % 2 == 0)),
        load.at_rate(rate["long"], seconds, lambda n: client["long"].one(one(n, documents.long))),
        load.at_rate(rate["leaving"], seconds, lambda n: client["leaving"].leave(one(n, documents.long), n % 4)),
        load.at_rate(1 / MALFORMED_S, seconds, client["malformed"].malformed),
        *(repeat(until, lambda: client["stalled"].stall(documents.short[0])) for _ in range(N_STALLED)),
        *(repeat(until, lambda: client["slow"].read_slowly(documents.short[1])) for _ in range(N_SLOW)),
        *(scrape(target, client["scrape"].seen, until), swaps(target, client["swaps"].seen, until)),
    )
    return [one.seen for one in client.values()]


async def repeat(until: float, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while time.perf_counter() < until:
        await run()


async def measure_capacity(target: Target, documents: list[str]) -> float:
    """Windows a second from eight clients."""
    shared, started = iter(documents * 2), time.perf_counter()
    measured = await load.run_clients(target.port, [shared] * 8)
    return sum(answer["usage"]["windows"] for answer in measured.answers) / (time.perf_counter() - started)


def largest_model() -> int:
    """Bytes of its files, which is about what it takes in memory."""
    folders = [server.ROOT / path for path in MODELS.values()]
    return max(sum(file.stat().st_size for file in folder.iterdir()) for folder in folders)


async def swap(target: Target, name: str) -> None:
    for path, body in ((f"/v1/models/{name}", None), ("/v1/active", {"topics": name, "entities": name})):
        status, _, answer = await target.ask("PUT", path, body)
        if status >= 300:
            raise RuntimeError(f"PUT {path}: {status} {answer}")


async def settle_models(target: Target) -> None:
    """Leaves two models in memory, of which one is active and a rollback would activate the other."""
    await swap(target, "b")
    await swap(target, "a")


async def swaps(target: Target, seen: Seen, until: float) -> None:
    """Loads, activates, rolls back, and tries a broken folder; nobody else changes models."""
    for number in itertools.count():
        await asyncio.sleep(min(SWAP_S, max(until - time.perf_counter(), 0)))
        if time.perf_counter() >= until:
            return
        started = time.perf_counter()
        with seen.held():
            await swap(target, "ab"[number % 2])
            status, _, _ = await target.ask("POST", "/v1/active/rollback", None)
            refused, _, _ = await target.ask("PUT", "/v1/models/broken", None)
            seen.record(status, time.perf_counter() - started)
            if (status, refused) != (200, 422):
                seen.wrong(f"rollback {status}, broken folder {refused}")


async def scrape(target: Target, seen: Seen, until: float) -> None:
    while time.perf_counter() < until:
        started = time.perf_counter()
        with seen.held():
            metrics = await target.get("/metrics")
            ready, _, _ = await target.ask("GET", "/health/ready", None)
            seen.record(ready, time.perf_counter() - started)
            if "ressort_queued_windows" not in metrics:
                seen.wrong("the metrics lack ressort_queued_windows")
        await asyncio.sleep(SCRAPE_S)


if __name__ == "__main__":
    sys.exit(main())
