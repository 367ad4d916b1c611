"""Switches under steady load: 50 swaps back and forth and 20 tries to load a broken folder, while 32 clients ask.

    python -m scripts.bench.swap MODEL CANDIDATE

Each swap loads its model anew before it goes live. Prints p99 with and without swaps, failed and mixed answers (there must be
none) and resident memory at the first swap and every tenth; exits with 1 where a bar is missed.

Memory is read five seconds after a swap, when it is the same two models each time: the one that answers, which takes working
memory with its first documents, and the one before, which stays for a rollback. From the second swap on a third goes out, whose
memory comes back a moment after the answer.
"""

import argparse
import asyncio
import dataclasses
import pathlib
import re
import shutil
import tempfile
import time

from . import load, server, texts

N_CLIENTS, N_BROKEN = 32, 20
SETTLE_SECONDS = 5.0  # A model that goes out is freed a moment after the switch is answered.
MAX_P99_RATIO, MAX_MEMORY_RATIO = 1.5, 1.1


@dataclasses.dataclass(frozen=True)
class Memory:
    """Resident bytes: the process's own, and of files that it maps, which the system takes back when it wants."""

    own: int
    mapped: int


@dataclasses.dataclass
class Swaps:
    """What the changes of models came to; memory by number of swaps."""

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


async def _measure(port: int, process, arguments: argparse.Namespace) -> None:
    documents = texts.make_texts(2000, 75.0, 1)
    # The same load for as long, with nothing beside it.
    quiet, _ = await _under_load(port, documents, asyncio.sleep(arguments.seconds))
    swapped, swaps = await _under_load(port, documents, _swap(port, process, arguments.swaps))
    for name, figures in (("without swaps", quiet), ("with swaps", swapped)):
        print(
            f"{name}: {figures.per_second():.1f} documents/s, p99 {figures.percentile_ms(0.99):.0f} ms, statuses {figures.statuses}"
        )
    first, *_, last = swaps.memory.values()
    n_broken = min(N_BROKEN, arguments.swaps)
    mixed = [answer for answer in swapped.answers if answer["models"]["topics"] != answer["models"]["entities"]]
    names = {answer["models"]["topics"]["name"] for answer in swapped.answers}
    print(
        f"{arguments.swaps} swaps in {swaps.seconds:.0f} s; answered by {sorted(names)}, mixed answers {len(mixed)}, broken folders refused {swaps.refused} of {n_broken}"
    )
    for number, memory in swaps.memory.items():
        print(
            f"resident after swap {number}: {(memory.own + memory.mapped) / 1e6:.0f} MB, of which mapped files {memory.mapped / 1e6:.0f} MB"
        )
    print(f"resident at most {_status_bytes(process, 'VmHWM') / 1e6:.0f} MB")
    p99 = swapped.percentile_ms(0.99) / quiet.percentile_ms(0.99)
    memory = (last.own + last.mapped) / (first.own + first.mapped)
    print(
        f"p99 ratio {p99:.2f} (bar {MAX_P99_RATIO}), memory ratio {memory:.2f} (bar {MAX_MEMORY_RATIO}), of the process's own {last.own / first.own:.2f}"
    )
    holds = set(swapped.statuses) == {200} and not mixed and swaps.refused == n_broken
    if not (holds and p99 <= MAX_P99_RATIO and memory <= MAX_MEMORY_RATIO):
        raise SystemExit("a bar is missed")


async def _under_load(port: int, documents: list[str], work) -> tuple[load.Load, Swaps | None]:
    """The load while `work` goes on, and what it gave."""
    task = asyncio.create_task(work)
    figures = load.Load(0.0, [], {}, [])
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, documents[number::N_CLIENTS], task, figures) for number in range(N_CLIENTS)))
    return dataclasses.replace(figures, seconds=time.perf_counter() - started), await task


async def _client(port: int, documents: list[str], until: asyncio.Task, figures: load.Load) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    while not until.done():
        for text in documents:
            started = time.perf_counter()
            status, answer = await load.request(connection, "POST", "/v1/classify", {"text": text})
            figures.statuses[status] = figures.statuses.get(status, 0) + 1
            figures.latencies.append(time.perf_counter() - started)
            if status == 200:
                figures.answers.append({"models": answer["models"]})
            if until.done():
                break
    connection[1].close()


async def _swap(port: int, process, n_swaps: int) -> Swaps:
    """Swaps, loading each model anew before it goes live."""
    connection = await asyncio.open_connection("127.0.0.1", port)
    swaps, started = Swaps(), time.perf_counter()
    for number in range(1, n_swaps + 1):
        name = ("ressort", "candidate")[number % 2]
        await _change(connection, "PUT", f"/v1/models/{name}", None)
        await _change(connection, "PUT", "/v1/active", {"topics": name, "entities": name})
        if number == 1 or number % 10 == 0 or number == n_swaps:
            await asyncio.sleep(SETTLE_SECONDS)
            swaps.memory[number] = Memory(_status_bytes(process, "RssAnon"), _status_bytes(process, "RssFile"))
        if number <= N_BROKEN:
            status, _ = await load.request(connection, "PUT", "/v1/models/broken", None)
            swaps.refused += status == 422
    swaps.seconds = time.perf_counter() - started
    return swaps


async def _change(connection, method: str, path: str, body: dict | None) -> None:
    status, answer = await load.request(connection, method, path, body)
    if status != 200:
        raise SystemExit(f"{method} {path}: {status} {answer}")


def _status_bytes(process, name: str) -> int:
    """A figure of /proc/PID/status."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024


if __name__ == "__main__":
    main()
