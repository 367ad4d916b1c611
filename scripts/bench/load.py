"""Clients that keep a server busy over HTTP, each with one connection and one request at a time."""

import asyncio
import dataclasses
import json
import time


@dataclasses.dataclass(frozen=True)
class Load:
    """What clients saw: seconds in all and of each request, and answers by status."""

    seconds: float
    latencies: list[float]
    statuses: dict[int, int]
    answers: list[dict]

    def per_second(self) -> float:
        return self.statuses.get(200, 0) / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0


def run_load(port: int, texts: list[str], n_clients: int, options: dict | None = None) -> Load:
    """Sends every text once, from `n_clients` clients that share them out."""
    return asyncio.run(_run(port, texts, n_clients, options or {}))


async def _run(port: int, texts: list[str], n_clients: int, options: dict) -> Load:
    waiting = asyncio.Queue()
    for text in texts:
        waiting.put_nowait(text)
    load = Load(0.0, [], {}, [])
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, waiting, options, load) for _ in range(n_clients)))
    return dataclasses.replace(load, seconds=time.perf_counter() - started)


async def _client(port: int, waiting: asyncio.Queue, options: dict, load: Load) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    while not waiting.empty():
        text = waiting.get_nowait()
        started = time.perf_counter()
        status, answer = await request(connection, "POST", "/v1/classify", {"text": text, **options})
        load.statuses[status] = load.statuses.get(status, 0) + 1
        if status == 200:
            load.latencies.append(time.perf_counter() - started)
            load.answers.append(answer)
    connection[1].close()


async def request(connection, method: str, path: str, body: dict | None) -> tuple[int, dict]:
    """One request over an open connection; gives status and answer."""
    status, _, answer = await exchange(connection, method, path, body)
    return status, answer


async def exchange(connection, method: str, path: str, body: dict | None) -> tuple[int, dict[str, str], dict]:
    """One request over an open connection; gives status, headers by their names in lower case, and answer."""
    reader, writer = connection
    payload = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    writer.write(head.encode() + payload)
    status = int((await reader.readline()).split()[1])
    headers = {}
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    answer = await reader.readexactly(int(headers.get("content-length", 0)))
    return status, headers, json.loads(answer) if answer else {}
