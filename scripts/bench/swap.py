"""Model swaps under steady load: 50 swaps back and forth, 20 attempts to load a broken folder, 32 clients.

    python -m scripts.bench.swap MODEL CANDIDATE

Each swap loads its model before it becomes active. Prints p99 with and without swaps, failed and mixed answers (there
must be none), and resident memory at the first swap and every tenth. Ends with 1 where a limit is exceeded.

Memory is read five seconds after a swap, when the process holds the same two models each time. The active model takes
working memory with its first documents; the previous one stays for a rollback. From the second swap on, a third model
is dropped, and its memory is freed shortly after the answer.
"""

import argparse
import asyncio
import dataclasses
import itertools
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterator
from typing import Any

from . import load, server, texts

N_CLIENTS, N_BROKEN = 32, 20
SETTLE_SECONDS = 5.0  # A dropped model is freed shortly after the switch is answered.
MAX_P99_RATIO, MAX_MEMORY_RATIO = 1.5, 1.1


@dataclasses.dataclass(frozen=True)
class Memory:
    """Resident bytes: the process's own, and of mapped files, which the system can reclaim."""

    own: int
    mapped: int

    @property
    def total(self) -> int:
        return self.own + self.mapped


@dataclasses.dataclass
class Swaps:
    """The result of the swaps; memory by number of swaps."""

    memory: dict[int, Memory] = dataclasses.field(default_factory=dict)
    refused: int = 0
    seconds: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("candidate", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=60, help="length of the run without swaps")
    parser.add_argument("--swaps", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = pathlib.Path(folder)
        shutil.copytree(arguments.model, models / "ressort")
        shutil.copytree(arguments.candidate, models / "candidate")
        shutil.copytree(arguments.model, models / "broken")
        (models / "broken/tokenizer.json").write_text("{}")
        with server.serving("--models-dir", folder) as (port, process):
            asyncio.run(_measure(port, process, arguments))


async def _measure(port: int, process: subprocess.Popen, arguments: argparse.Namespace) -> None:
    documents = texts.make_texts(2000, 75.0, 1)
    quiet, _ = await _under_load(port, documents, asyncio.sleep(arguments.seconds))
    swapped, swaps = await _under_load(port, documents, _swap(port, process, arguments.swaps))
    for name, run in (("without swaps", quiet), ("with swaps", swapped)):
        speed, p99_ms = run.per_second(), run.percentile_ms(0.99)
        print(f"{name}: {speed:.1f} documents/s, p99 {p99_ms:.0f} ms, statuses {run.statuses}")
    n_broken = min(N_BROKEN, arguments.swaps)
    models = [answer["models"] for answer in swapped.answers]
    n_mixed = sum(model["topics"] != model["entities"] for model in models)
    print(
        f"{arguments.swaps} swaps in {swaps.seconds:.0f} s; models {sorted({one['topics']['name'] for one in models})}"
    )
    print(f"mixed answers {n_mixed}, broken folders refused {swaps.refused} of {n_broken}")
    for number, memory in swaps.memory.items():
        mapped = f"of which mapped files {memory.mapped / 1e6:.0f} MB"
        print(f"resident after swap {number}: {memory.total / 1e6:.0f} MB, {mapped}")
    print(f"resident at most {server.status_bytes(process, 'VmHWM') / 1e6:.0f} MB")
    first, *_, last = [*swaps.memory.values()] * 2  # one swap gives one value, which is both
    p99_ratio = swapped.percentile_ms(0.99) / quiet.percentile_ms(0.99)
    memory_ratio = last.total / first.total
    print(f"p99 ratio {p99_ratio:.2f} (limit {MAX_P99_RATIO})")
    print(
        f"memory ratio {memory_ratio:.2f} (limit {MAX_MEMORY_RATIO}), without mapped files {last.own / first.own:.2f}"
    )
    right = set(swapped.statuses) == {200} and n_mixed == 0 and swaps.refused == n_broken
    if not (right and p99_ratio <= MAX_P99_RATIO and memory_ratio <= MAX_MEMORY_RATIO):
        raise SystemExit("a limit is exceeded")


async def _under_load(port: int, documents: list[str], work: Coroutine[Any, Any, Any]) -> tuple[load.Load, Any]:
    """The load while `work` runs, and its result."""
    task = asyncio.create_task(work)
    clients = [_until_done(task, documents[number::N_CLIENTS]) for number in range(N_CLIENTS)]
    return await load.run_clients(port, clients), await task


def _until_done(task: asyncio.Task, documents: list[str]) -> Iterator[str]:
    return itertools.takewhile(lambda _: not task.done(), itertools.cycle(documents))


async def _swap(port: int, process: subprocess.Popen, n_swaps: int) -> Swaps:
    """Loads each model, then makes it active."""
    connection = await asyncio.open_connection("127.0.0.1", port)
    swaps, started = Swaps(), time.perf_counter()
    for number in range(1, n_swaps + 1):
        name = ("ressort", "candidate")[number % 2]
        await _change(connection, f"/v1/models/{name}", None)
        await _change(connection, "/v1/active", {"topics": name, "entities": name})
        if number == 1 or number % 10 == 0 or number == n_swaps:
            await asyncio.sleep(SETTLE_SECONDS)
            own, mapped = (server.status_bytes(process, field) for field in ("RssAnon", "RssFile"))
            swaps.memory[number] = Memory(own, mapped)
        if number <= N_BROKEN:
            status, _, _ = await load.request(connection, "PUT", "/v1/models/broken", None)
            swaps.refused += status == 422
    swaps.seconds = time.perf_counter() - started
    return swaps


async def _change(connection: load.Connection, path: str, body: dict | None) -> None:
    status, _, answer = await load.request(connection, "PUT", path, body)
    if status != 200:
        raise SystemExit(f"PUT {path}: {status} {answer}")


if __name__ == "__main__":
    main()
