"""The clients of a soak test, each of a kind, and what they see."""

import asyncio
import contextlib
import gzip
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from scripts.bench import load
from scripts.bench.load import Connection, read_answer, request_bytes

# Errors of a document that a server under load may give.
RETRIED = {"overloaded", "deadline_exceeded", "request_timeout", "unavailable"}
# What an answer to a right request may be.
STATUSES = {200, 408, 503, 504}
# No answer takes longer: the server's timeout, and what a busy machine takes on top.
PATIENCE_S = 120.0
# A client that reads nothing waits for so long, which is longer than the server does.
STALL_S = 20.0
# Less than the server's --idle-timeout-s.
REUSE_S = 2.0
SLOW_BYTES, SLOW_S = 1_000, 0.5
LINES = "accept: application/x-ndjson"


class Seen:
    """What the clients of one kind saw."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.load = load.Load()
        self.n_right = self.n_retried = 0
        self.wrongs: list[str] = []
        self.losses: list[str] = []

    def record(self, status: int, seconds: float) -> None:
        self.load.record(status, seconds, {})

    def wrong(self, what: str) -> None:
        self.wrongs.append(what)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A request that gets no whole answer is lost."""
        try:
            yield
        except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            self.losses.append(repr(error))

    def line(self) -> str:
        p50, p99 = (self.load.percentile_ms(share) for share in (0.5, 0.99))
        statuses = ", ".join(f"{status}: {n}" for status, n in sorted(self.load.statuses.items()))
        return (
            f"{self.name:>9}: p50 {p50:6.0f} ms, p99 {p99:6.0f} ms; statuses {statuses or 'none'}; documents right"
            f" {self.n_right}, to be sent again {self.n_retried}, wrong {len(self.wrongs)}; lost {len(self.losses)}"
        )

    def faults(self) -> list[str]:
        wrong = [f"{self.name}: {len(self.wrongs)} wrong: {self.wrongs[0]}"] if self.wrongs else []
        return wrong + ([f"{self.name}: {len(self.losses)} lost: {self.losses[0]}"] if self.losses else [])


class Target:
    """A server, and what its models give for a text alone."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.expected: dict[tuple[str, str], dict] = {}
        self.idle: list[tuple[float, Connection]] = []

    async def reused(self) -> Connection:
        """A connection that was used a moment ago, or a new one: the server closes those that wait."""
        while self.idle:
            since, connection = self.idle.pop()
            if time.perf_counter() - since < REUSE_S:
                return connection
            connection[1].close()
        return await self.open()

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        while self.idle:
            self.idle.pop()[1][1].close()

    async def open(self) -> Connection:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, method: str, path: str, body: dict | None) -> tuple[int, dict[str, str], Any]:
        connection = await self.open()
        with contextlib.closing(connection[1]):
            return await asyncio.wait_for(load.request(connection, method, path, body), PATIENCE_S)

    async def get(self, path: str) -> str:
        reader, writer = await self.open()
        with contextlib.closing(writer):
            writer.write(request_bytes("GET", path, None))
            _, _, body = await asyncio.wait_for(read_answer(reader), PATIENCE_S)
        return body.decode()

    async def learn(self, documents: list[str], models: list[str]) -> None:
        """Asks each model for each text, one after another."""
        for model in models:
            for text in documents:
                body = {"text": text, "models": {"topics": model, "entities": model}}
                _, _, answer = await self.ask("POST", "/v1/classify", body)
                self.expected[text, version(answer)] = comparable(answer)

    def n_windows(self, text: str) -> int:
        return next(answer["usage"]["windows"] for (known, _), answer in self.expected.items() if known == text)

    def fault(self, text: str, answer: dict) -> str | None:
        """What is wrong with an answer."""
        expected = self.expected.get((text, version(answer)))
        if expected is None:
            return f"no model gives {answer.get('models')}"
        return None if comparable(answer) == expected else f"{text[:40]!r}: {answer} is not {expected}"[:2_000]


def version(answer: dict) -> str:
    """The models that answered; they must be one, since they are switched together."""
    models = answer.get("models", {})
    versions = {model["version"] for model in models.values()}
    return versions.pop() if len(versions) == 1 and len(models) == 2 else "mixed"


def comparable(answer: dict) -> dict:
    return {key: value for key, value in answer.items() if key != "id"}


class Client:
    """Sends requests of one kind."""

    def __init__(self, target: Target, seen: Seen) -> None:
        self.target, self.seen = target, seen

    async def one(self, text: str) -> None:
        """One document, on a connection that is used again."""
        with self.seen.held():
            started, connection = time.perf_counter(), await self.target.reused()
            sent = load.request(connection, "POST", "/v1/classify", {"text": text})
            status, headers, answer = await asyncio.wait_for(sent, PATIENCE_S)
            self.target.idle.append((time.perf_counter(), connection))
            self.seen.record(status, time.perf_counter() - started)
            if status == 200:
                self.check(text, answer)
            self.check_status(status, headers)

    async def many(self, documents: list[str], priority: str, in_lines: bool) -> None:
        """Several documents, as one JSON value or in lines."""
        with self.seen.held():
            started = time.perf_counter()
            reader, writer = await self.target.open()
            with contextlib.closing(writer):
                writer.write(documents_request(documents, priority, in_lines))
                status, headers, body = await asyncio.wait_for(read_answer(reader), PATIENCE_S)
            self.seen.record(status, time.perf_counter() - started)
            if status == 200:
                results = [json.loads(line) for line in body.splitlines()] if in_lines else json.loads(body)["results"]
                if [result.get("id", result.get("index")) for result in results] != list(range(len(documents))):
                    raise ValueError(f"{len(results)} results for {len(documents)} documents")
                for text, result in zip(documents, results, strict=True):
                    self.check(text, result)
            self.check_status(status, headers)

    def check(self, text: str, answer: dict) -> None:
        if (error := answer.get("error")) and error["code"] in RETRIED:
            self.seen.n_retried += 1
        elif fault := self.target.fault(text, answer):
            self.seen.wrong(fault)
        else:
            self.seen.n_right += 1

    def check_status(self, status: int, headers: dict[str, str]) -> None:
        if status not in STATUSES:
            self.seen.wrong(f"status {status}")
        if status == 503 and "retry-after" not in headers:
            self.seen.wrong("503 without Retry-After")

    async def leave(self, text: str, seconds: float) -> None:
        """Leaves before the answer comes, in most cases."""
        with self.seen.held():
            reader, writer = await self.target.open()
            with contextlib.closing(writer):
                started = time.perf_counter()
                writer.write(request_bytes("POST", "/v1/classify", {"text": text}))
                with contextlib.suppress(TimeoutError):
                    status, _, _ = await asyncio.wait_for(read_answer(reader), seconds)
                    self.seen.record(status, time.perf_counter() - started)

    async def stall(self, text: str) -> None:
        """Reads nothing of a large answer."""
        await self._send_with_small_buffer(text)

    async def read_slowly(self, text: str) -> None:
        """Reads a few bytes of a large answer at a time."""
        await self._send_with_small_buffer(text, SLOW_BYTES)

    async def _send_with_small_buffer(self, text: str, n_bytes: int = 0) -> None:
        loop, until = asyncio.get_running_loop(), time.perf_counter() + STALL_S
        with socket.socket() as client, self.seen.held():
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", self.target.port))
            await loop.sock_sendall(client, large_answer_request(text))
            while time.perf_counter() < until:
                await asyncio.sleep(SLOW_S)
                # The server may disconnect it.
                with contextlib.suppress(ConnectionError, TimeoutError):
                    if n_bytes and not await asyncio.wait_for(loop.sock_recv(client, n_bytes), STALL_S):
                        return

    async def malformed(self, number: int) -> None:
        """A request that must be refused, and nothing else."""
        request, statuses = MALFORMED[number % len(MALFORMED)]
        with self.seen.held():
            started = time.perf_counter()
            reader, writer = await self.target.open()
            with contextlib.closing(writer):
                writer.write(request)
                first = await asyncio.wait_for(reader.read(12), PATIENCE_S)
            status = int(first.split()[1]) if first else 0
            self.seen.record(status, time.perf_counter() - started)
            # A body is read like any other, so that an overloaded server may refuse it before it is looked at.
            if status not in statuses | {408, 503, 504}:
                self.seen.wrong(f"{request[:80]!r} got {status}")


def documents_request(documents: list[str], priority: str, in_lines: bool) -> bytes:
    sent = [{"id": number, "text": text} for number, text in enumerate(documents)]
    headers = [LINES] if in_lines else []
    return request_bytes("POST", "/v1/classify", {"documents": sent, "priority": priority}, *headers)


def large_answer_request(text: str) -> bytes:
    """One text, then documents whose errors repeat a long id: an answer of megabytes that takes no work."""
    bad = [{"id": f"{number} {'x' * 5_000}", "text": 5} for number in range(900)]
    return request_bytes("POST", "/v1/classify", {"documents": [{"text": text}, *bad]}, LINES)


def _classify(body: bytes, *headers: str) -> bytes:
    return request_bytes("POST", "/v1/classify", body, *headers)


# 0: closed without an answer.
MALFORMED: list[tuple[bytes, set[int]]] = [
    (os.urandom(2_000) + b"\r\n\r\n", {0, 400}),
    (b"GET / HTTP/9.9\r\n\r\n", {0, 400, 505}),
    (_classify(b'{"text": '), {400}),
    (_classify(b'{"text": 5}'), {422}),
    (_classify(b'{"text": "\xff"}'), {400}),
    (_classify(b"[" * 100_000), {422}),
    (_classify(b'{"text": "a", "top_k": -1}'), {422}),
    (_classify(gzip.compress(b"{}")[:-5], "content-encoding: gzip"), {400}),
    (_classify(gzip.compress(b" " * 60_000_000), "content-encoding: gzip"), {413}),
    (_classify(b"", "content-length: 99999999999").replace(b"content-length: 0\r\n", b""), {413}),
    (request_bytes("PUT", "/v1/classify", {}), {405}),
    (request_bytes("GET", "/nowhere", None), {404}),
    (b"PUT /v1/active HTTP/1.1\r\nhost: k\xc3\xb6ln\r\ncontent-length: 0\r\n\r\n", {400}),
]
