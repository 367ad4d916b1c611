"""Clients that keep a server busy over HTTP, each with one connection and one request at a time."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Iterator

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclasses.dataclass(frozen=True)
class Load:
    """What the clients saw: the total time, the latency of each answered request in seconds, and answers by status."""

    seconds: float = 0.0
    latencies: list[float] = dataclasses.field(default_factory=list)
    statuses: dict[int, int] = dataclasses.field(default_factory=dict)
    answers: list[dict] = dataclasses.field(default_factory=list)

    def per_second(self) -> float:
        return self.statuses.get(200, 0) / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0

    def record(self, status: int, seconds: float, answer: dict) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.latencies.append(seconds)
            self.answers.append(answer)


def run_load(port: int, texts: list[str], n_clients: int) -> Load:
    """Sends every text once, from `n_clients` clients that share the texts."""
    shared = iter(texts)
    return asyncio.run(run_clients(port, [shared] * n_clients))


async def run_clients(port: int, clients: list[Iterator[str]]) -> Load:
    """One client for each iterator sends texts until its iterator ends."""
    load = Load()
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, texts, load) for texts in clients))
    return dataclasses.replace(load, seconds=time.perf_counter() - started)


async def _client(port: int, texts: Iterator[str], load: Load) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    for text in texts:
        started = time.perf_counter()
        status, _, answer = await request(connection, "POST", "/v1/classify", {"text": text})
        load.record(status, time.perf_counter() - started, answer)
    connection[1].close()


async def request(
    connection: Connection, method: str, path: str, body: dict | None
) -> tuple[int, dict[str, str], dict]:
    """One request over an open connection; gives status, headers by their names in lower case, and answer."""
    reader, writer = connection
    payload = json.dumps(body).encode() if body is not None else b""
    headers = f"host: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}"
    writer.write(f"{method} {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode() + payload)
    status = int((await reader.readline()).split()[1])
    received = {}
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.decode().partition(":")
        received[name.lower()] = value.strip()
    answer = await reader.readexactly(int(received.get("content-length", 0)))
    return status, received, json.loads(answer) if answer else {}
