"""Sends four times more requests than a server can answer, for a minute: answers must stay right, in time, and bounded.

    python -m scripts.bench.overload --model FOLDER [--seconds 60] [--times 4]

A quiet run gives the expected answers and the capacity. Then requests arrive at a multiple of that capacity, whether or
not earlier ones are answered. Ends with 1 in these cases:
- an answer differs from the quiet run's
- a status is neither 200 nor 503
- a 503 has no Retry-After
- p99 of the answered requests exceeds what a full queue takes
- memory grows by a tenth or more after the first quarter
"""

import argparse
import asyncio
import pathlib
import subprocess
import sys
import time

from . import load, server, texts

N_DOCUMENTS = 200


def main() -> int:
    arguments = _parse()
    documents = texts.make_texts(N_DOCUMENTS, 75.0, 5)
    flags = ["--model", f"m={arguments.model}", "--max-queued-windows", str(arguments.queue)]
    with server.serving(*flags) as (port, process):
        quiet = load.run_load(port, documents, 8)
        expected = asyncio.run(_expected_answers(port, documents))
        windows = sum(answer["usage"]["windows"] for answer in quiet.answers) / quiet.seconds
        overload = _Overload(port, documents, expected)
        memory = asyncio.run(overload.run(quiet.per_second() * arguments.times, arguments.seconds, process))
    measured, seconds = overload.load, arguments.seconds
    # A full queue, and what runs and is read at the same time.
    bound_ms = (arguments.queue / windows * 1.5 + 1.0) * 1000
    p50_ms, p99_ms = measured.percentile_ms(0.5), measured.percentile_ms(0.99)
    n_sent, n_answered = sum(measured.statuses.values()), measured.statuses.get(200, 0)
    quarter, last = memory[len(memory) // 4], memory[-1]
    print(f"capacity {quiet.per_second():.1f} documents/s ({windows:.0f} windows/s); sent {n_sent / seconds:.1f}/s")
    print(f"statuses {measured.statuses}, answered {n_answered / seconds:.1f}/s, wrong answers {overload.n_wrong}")
    print(f"503 without Retry-After: {overload.n_silent}")
    print(f"p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms, bound {bound_ms:.0f} ms ({arguments.queue} windows wait)")
    before, quarter_mb, last_mb = (n_bytes / 1e6 for n_bytes in (memory[0], quarter, last))
    print(f"resident {before:.0f} MB before, {quarter_mb:.0f} MB after a quarter, {last_mb:.0f} MB at the end")
    right = overload.n_wrong == 0 and overload.n_silent == 0 and set(measured.statuses) <= {200, 503}
    return 0 if right and p99_ms <= bound_ms and last <= 1.1 * quarter else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=float, default=4, help="requests a second, as a multiple of the capacity")
    parser.add_argument("--queue", type=int, default=256, help="windows that may wait")
    return parser.parse_args()


async def _expected_answers(port: int, documents: list[str]) -> dict[str, dict]:
    """The answer to each text, one request after another."""
    connection = await asyncio.open_connection("127.0.0.1", port)
    answers = {}
    for text in documents:
        _, _, answers[text] = await load.request(connection, "POST", "/v1/classify", {"text": text})
    connection[1].close()
    return answers


class _Overload:
    """Requests that arrive at a fixed rate, over as many connections as that takes."""

    def __init__(self, port: int, documents: list[str], expected: dict[str, dict]):
        self.port, self.documents, self.expected = port, documents, expected
        self.load = load.Load()
        self.n_wrong = self.n_silent = 0
        self.idle: list[load.Connection] = []

    async def run(self, rate: float, seconds: float, process: subprocess.Popen) -> list[int]:
        """Gives resident memory, once a second."""
        memory = [server.resident_bytes(process)]

        async def watch() -> None:
            while True:
                await asyncio.sleep(1)
                memory.append(server.resident_bytes(process))

        watching = asyncio.create_task(watch())
        await load.at_rate(rate, seconds, lambda number: self._send(self.documents[number % len(self.documents)]))
        watching.cancel()
        return [*memory, server.resident_bytes(process)]

    async def _send(self, text: str) -> None:
        connection = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        started = time.perf_counter()
        status, headers, answer = await load.request(connection, "POST", "/v1/classify", {"text": text})
        self.idle.append(connection)
        self.load.record(status, time.perf_counter() - started, answer)
        self.n_wrong += status == 200 and answer != self.expected[text]
        self.n_silent += status == 503 and "retry-after" not in headers


if __name__ == "__main__":
    sys.exit(main())
