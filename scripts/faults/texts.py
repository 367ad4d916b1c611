"""Clients that send large texts: some leave, some are bulk jobs, some send what expands. Others must not notice."""

import gzip
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable

from scripts.bench.server import cpu_seconds

from .connections import MAX_MEMORY_MB, Server

MODEL = "../../models/ressort"
LINE = json.dumps({"text": "Angela Merkel sprach am Montag in Berlin."}).encode()
GERMAN = "Die Regierung in Berlin berät am Dienstag mit Angela Merkel und der Deutschen Bank über den Haushalt. "
ARABIC = "\ufdfa"
# One run of the longest window, and one piece of a text that cannot be cut.
PIECE_S = 0.25
# Between two lines of one client, so that the lines themselves are no load.
PAUSE_S = 0.02
# After the last client has left: for work under way to end, then for work that should not be there to show.
SETTLE_S, WATCH_S = 1, 2


def document(n_characters: int, text: str) -> dict[str, str]:
    return {"text": (text * (n_characters // len(text) + 1))[:n_characters]}


def german_body(n_mb: int, priority: str = "normal") -> bytes:
    documents = [document(195_000, f"{n} {GERMAN}") for n in range(n_mb * 5)]
    return json.dumps({"documents": documents, "priority": priority}, ensure_ascii=False).encode()


def seconds_for_a_line(server: Server) -> tuple[float, int]:
    started = time.monotonic()
    status, _ = server.classify(LINE)
    return time.monotonic() - started, status


def p99(durations: list[float]) -> float:
    return sorted(durations)[int(len(durations) * 0.99)]


def send_and_leave(server: Server, body: bytes, after_s: float) -> None:
    with socket.create_connection(server.address) as client:
        client.settimeout(after_s)
        head = "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\n\r\n"
        until = time.monotonic() + after_s
        try:
            client.sendall(head.encode() + body)
            while time.monotonic() < until and client.recv(1 << 16):
                pass
        except OSError:
            # It was refused, or it leaves.
            pass


def others_do_not_notice(binary: str, attack: Callable[[Server], list[threading.Thread]]) -> None:
    server = Server(binary, MODEL, "--cache-mb", "0")
    quiet = p99([seconds_for_a_line(server)[0] for _ in range(100)])
    clients = attack(server)
    for client in clients:
        client.start()
    durations, statuses = [], set()
    while any(client.is_alive() for client in clients):
        duration, status = seconds_for_a_line(server)
        durations.append(duration)
        statuses.add(status)
        time.sleep(PAUSE_S)
    busy, bound = p99(durations), 2 * quiet + PIECE_S
    time.sleep(SETTLE_S)
    cpu = cpu_seconds(server.process)
    time.sleep(WATCH_S)
    idle = cpu_seconds(server.process) - cpu
    peak, after = server.memory_mb("VmHWM"), server.memory_mb("VmRSS")
    print(
        f"  one line: p99 {quiet:.3f} s quiet, {busy:.3f} s busy (of {len(durations)}), {max(durations):.3f} s at most;"
        f" memory {peak} MB at most, {after} MB after; {idle:.2f} CPU seconds of work for nobody"
    )
    assert statuses == {200}, statuses
    assert busy < bound, f"more than {bound:.3f} s"
    assert peak < MAX_MEMORY_MB
    assert idle < 0.5
    server.end()


def clients_that_leave(binary: str) -> None:
    body = german_body(8)
    others_do_not_notice(
        binary, lambda server: [threading.Thread(target=send_and_leave, args=(server, body, 8.0)) for _ in range(32)]
    )


def bulk_jobs(binary: str) -> None:
    body = german_body(8, "bulk")
    others_do_not_notice(
        binary, lambda server: [threading.Thread(target=send_and_leave, args=(server, body, 12.0)) for _ in range(16)]
    )


def characters_that_expand(binary: str) -> None:
    body = json.dumps({"documents": [document(198_000, ARABIC)] * 32}, ensure_ascii=False).encode()

    def attack(server: Server) -> list[threading.Thread]:
        def send() -> None:
            status, end = server.classify(body)
            assert (status, b"U+FDFA" in end) == (200, True), end

        return [threading.Thread(target=send)]

    others_do_not_notice(binary, attack)


def empty_parts(binary: str) -> None:
    body = gzip.compress(b"", 9, mtime=0) * 1_500_000

    def attack(server: Server) -> list[threading.Thread]:
        def send() -> None:
            connection = http.client.HTTPConnection(*server.address, timeout=8)
            headers = {"content-type": "application/json", "content-encoding": "gzip"}
            try:
                connection.request("POST", "/v1/classify", body, headers)
                connection.getresponse().read()
            except OSError:
                pass
            connection.close()

        return [threading.Thread(target=send) for _ in range(4)]

    others_do_not_notice(binary, attack)


SCENES: list[Callable[[str], None]] = [clients_that_leave, bulk_jobs, characters_that_expand, empty_parts]

if __name__ == "__main__":
    chosen = sys.argv[2:]
    for scene in SCENES:
        if not chosen or scene.__name__ in chosen:
            print(scene.__name__, flush=True)
            scene(sys.argv[1])
