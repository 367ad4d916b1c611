"""Four times more requests than a server can answer, for a minute: what is answered must be right, in time, and in bounds.

    python -m scripts.bench.overload --model FOLDER [--seconds 60] [--times 4]

First the answers and the speed of a quiet run; then requests at a multiple of that speed, whether or not earlier ones are
answered. Ends with 1 where an answer differs from the quiet run's, where a status is neither 200 nor 503, where a 503 has no
Retry-After, where p99 of the answered exceeds what a full queue takes, or where memory has grown by a tenth and more
after the first quarter.
"""

import argparse
import asyncio
import collections
import itertools
import pathlib
import sys
import time

from . import load, server, texts

N_DOCUMENTS = 200


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--times", type=float, default=4, help="requests a second, as a multiple of those that can be answered"
    )
    parser.add_argument("--queue", type=int, default=256, help="windows that may wait")
    arguments = parser.parse_args()
    documents = texts.make_texts(N_DOCUMENTS, 75.0, 5)
    with server.serving("--model", f"m={arguments.model}", "--max-queued-windows", str(arguments.queue)) as (
        port,
        process,
    ):
        quiet = load.run_load(port, documents, 8)
        expected = dict(asyncio.run(_answers(port, documents)))
        windows = sum(answer["usage"]["windows"] for answer in quiet.answers) / quiet.seconds
        storm = _Storm(port, documents, expected)
        memory = asyncio.run(storm.blow(quiet.per_second() * arguments.times, arguments.seconds, process))
    # A full queue, and what is under way and being read.
    bound = (arguments.queue / windows) * 1.5 + 1.0
    p99 = storm.load.percentile_ms(0.99) / 1000
    sent = sum(storm.load.statuses.values())
    print(
        f"capacity {quiet.per_second():.1f} documents/s ({windows:.0f} windows/s); sent {sent / arguments.seconds:.1f}/s"
    )
    print(
        f"statuses {dict(storm.load.statuses)}, answered {storm.load.statuses[200] / arguments.seconds:.1f}/s, wrong answers {storm.n_wrong}, 503 without Retry-After {storm.n_silent}"
    )
    print(
        f"p50 {storm.load.percentile_ms(0.5):.0f} ms, p99 {p99 * 1000:.0f} ms, bound {bound * 1000:.0f} ms ({arguments.queue} windows wait)"
    )
    quarter, last = memory[len(memory) // 4], memory[-1]
    print(
        f"resident {memory[0] / 1e6:.0f} MB before, {quarter / 1e6:.0f} MB after a quarter, {last / 1e6:.0f} MB at the end"
    )
    good = (
        storm.n_wrong == 0
        and storm.n_silent == 0
        and set(storm.load.statuses) <= {200, 503}
        and p99 <= bound
        and last <= 1.1 * quarter
    )
    return 0 if good else 1


async def _answers(port: int, documents: list[str]) -> list[tuple[str, dict]]:
    """Each text with its answer, asked for one after another."""
    connection = await asyncio.open_connection("127.0.0.1", port)
    asked = [(text, await load.request(connection, "POST", "/v1/classify", {"text": text})) for text in documents]
    connection[1].close()
    return [(text, answer) for text, (_, answer) in asked]


class _Storm:
    """Requests that come at a rate and not in turn, over as many connections as that takes."""

    def __init__(self, port: int, documents: list[str], expected: dict[str, dict]):
        self.port, self.documents, self.expected = port, documents, expected
        self.load = load.Load(0.0, [], collections.Counter(), [])
        self.n_wrong = self.n_silent = 0
        self.idle: list = []

    async def blow(self, rate: float, seconds: float, process) -> list[int]:
        """Gives resident memory, once a second."""
        memory, under_way = [server.resident_bytes(process)], set()
        started = time.perf_counter()
        for number in itertools.count():
            due = number / rate
            if due >= seconds:
                break
            # Each request has its moment, whether or not the server keeps up.
            await asyncio.sleep(max(started + due - time.perf_counter(), 0))
            task = asyncio.create_task(self._ask(self.documents[number % len(self.documents)]))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            if time.perf_counter() - started >= len(memory):
                memory.append(server.resident_bytes(process))
        await asyncio.gather(*under_way)
        return [*memory, server.resident_bytes(process)]

    async def _ask(self, text: str) -> None:
        connection = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        started = time.perf_counter()
        status, headers, answer = await load.exchange(connection, "POST", "/v1/classify", {"text": text})
        self.idle.append(connection)
        self.load.statuses[status] += 1
        if status == 200:
            self.load.latencies.append(time.perf_counter() - started)
            self.n_wrong += answer != self.expected[text]
        self.n_silent += status == 503 and "retry-after" not in headers


if __name__ == "__main__":
    sys.exit(main())
