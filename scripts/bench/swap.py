"""Switches under steady load: 50 swaps back and forth and 20 tries to load a broken folder, while 32 clients ask.

    python -m scripts.bench.swap MODEL CANDIDATE

Prints p99 with and without swaps, failed and mixed answers (there must be none) and resident memory.
"""

import argparse
import asyncio
import pathlib
import shutil
import tempfile
import time

from . import load, server, texts

N_CLIENTS, N_SWAPS, N_BROKEN = 32, 50, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("candidate", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=60, help="length of the run without swaps")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = pathlib.Path(folder)
        shutil.copytree(arguments.model, models / "ressort")
        shutil.copytree(arguments.candidate, models / "candidate")
        shutil.copytree(arguments.model, models / "broken")
        (models / "broken/tokenizer.json").write_text("{}")
        with server.serving("--models-dir", folder) as (port, process):
            asyncio.run(_measure(port, process, arguments.seconds))


async def _measure(port: int, process, seconds: float) -> None:
    documents = texts.make_texts(2000, 75.0, 1)
    quiet, _ = await _under_load(port, documents, _wait(seconds))
    memory: list[int] = []
    swapped, refused = await _under_load(port, documents, _swap(port, process, memory))
    for name, figures in (("without swaps", quiet), ("with swaps", swapped)):
        print(f"{name}: {figures.per_second():.1f} documents/s, p99 {figures.percentile_ms(0.99):.0f} ms, statuses {figures.statuses}")
    mixed = [answer for answer in swapped.answers if answer["models"]["topics"] != answer["models"]["entities"]]
    names = {answer["models"]["topics"]["name"] for answer in swapped.answers}
    print(f"p99 ratio {swapped.percentile_ms(0.99) / quiet.percentile_ms(0.99):.2f}; answered by {sorted(names)}, mixed answers {len(mixed)}, broken folders refused {refused}")
    print(f"resident after the first swap {memory[0] / 1e6:.0f} MB, after the last {memory[-1] / 1e6:.0f} MB, ratio {memory[-1] / memory[0]:.2f}")


async def _under_load(port: int, documents: list[str], work) -> tuple[load.Load, object]:
    """The load while `work` goes on, and what it gave."""
    task = asyncio.create_task(work)
    figures = load.Load(0.0, [], {}, [])
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, documents[number::N_CLIENTS], task, figures) for number in range(N_CLIENTS)))
    return load.Load(time.perf_counter() - started, figures.latencies, figures.statuses, figures.answers), await task


async def _client(port: int, documents: list[str], until: asyncio.Task, figures: load.Load) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    while not until.done():
        for text in documents:
            started = time.perf_counter()
            status, answer = await load.request(connection, "POST", "/v1/classify", {"text": text})
            figures.statuses[status] = figures.statuses.get(status, 0) + 1
            figures.latencies.append(time.perf_counter() - started)
            figures.answers.append({"models": answer.get("models")})
            if until.done():
                break
    connection[1].close()


async def _wait(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _swap(port: int, process, memory: list[int]) -> int:
    """Swaps, loading each model anew before it goes live; gives how many broken folders were refused."""
    connection = await asyncio.open_connection("127.0.0.1", port)
    refused = 0
    for number in range(N_SWAPS):
        name = ("candidate", "ressort")[number % 2]
        for method, path, body in (("PUT", f"/v1/models/{name}", None), ("PUT", "/v1/active", {"topics": name, "entities": name})):
            status, answer = await load.request(connection, method, path, body)
            if status != 200:
                raise SystemExit(f"{method} {path}: {status} {answer}")
        memory.append(server.resident_bytes(process))
        if number < N_BROKEN:
            status, _ = await load.request(connection, "PUT", "/v1/models/broken", None)
            refused += status == 422
    return refused


if __name__ == "__main__":
    main()
