"""Clients that keep a server busy over HTTP, each with one connection and one request at a time."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

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


def run_load(port: int, texts: list[str], n_clients: int, options: dict[str, Any] | None = None) -> Load:
    """Sends every text once with `options`, from `n_clients` clients that share the texts."""
    shared = iter(texts)
    return asyncio.run(run_clients(port, [shared] * n_clients, options))


async def run_clients(port: int, clients: list[Iterator[str]], options: dict[str, Any] | None = None) -> Load:
    """One client for each iterator sends texts until its iterator ends."""
    load = Load()
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, texts, load, options or {}) for texts in clients))
    return dataclasses.replace(load, seconds=time.perf_counter() - started)


async def _client(port: int, texts: Iterator[str], load: Load, options: dict[str, Any]) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    for text in texts:
        started = time.perf_counter()
        status, _, answer = await request(connection, "POST", "/v1/classify", {"text": text, **options})
        load.record(status, time.perf_counter() - started, answer)
    connection[1].close()


async def at_rate(rate: float, seconds: float, start: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Starts `rate` requests a second, each when it is due, even if the server does not keep up; waits for all."""
    started, number = time.perf_counter(), 0
    async with asyncio.TaskGroup() as running:
        while (due := number / rate) < seconds:
            # Requests start at fixed times, however long earlier ones take: else a slow server would get fewer of them.
            await asyncio.sleep(max(started + due - time.perf_counter(), 0))
            running.create_task(start(number))
            number += 1


async def request(
    connection: Connection, method: str, path: str, body: dict | None
) -> tuple[int, dict[str, str], dict]:
    """One request over an open connection; gives status, headers by their names in lower case, and answer."""
    connection[1].write(request_bytes(method, path, body))
    status, headers, answer = await read_answer(connection[0])
    return status, headers, json.loads(answer) if answer else {}


def request_bytes(method: str, path: str, body: dict | bytes | None, *headers: str) -> bytes:
    """`body` is written as JSON, or as it is where it is bytes."""
    payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    fields = ["host: localhost", "content-type: application/json", f"content-length: {len(payload)}", *headers]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""]).encode() + payload


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by their names in lower case, and body."""
    status = int((await reader.readline()).split()[1])
    headers = {}
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") != "chunked":
        return status, headers, await reader.readexactly(int(headers.get("content-length", 0)))
    body = bytearray()
    while n_bytes := int(await reader.readline(), 16):
        body += await reader.readexactly(n_bytes)
        await reader.readline()
    await reader.readline()
    return status, headers, bytes(body)
