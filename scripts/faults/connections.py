"""Clients that harm a server: half heads, files that run out, large answers, and a stop with a full queue."""

import http.client
import json
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from scripts.bench.server import n_descriptors, status_bytes

MAX_MEMORY_MB = 600
HALF_HEAD = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n"


class Server:
    """A server on a free port of the loopback, ended with the scene."""

    def __init__(self, binary: str, model: str, *flags: str, n_files: int = 4096) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.log = Path(self.folder.name) / "log"
        command = [binary, "serve", "--port", "0", "--model", f"tests/models/{model}", "--providers", "cpu", *flags]
        shell = ["bash", "-c", f'ulimit -n {n_files}; exec "$@"', "bash", *command]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(shell, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http://"))
        host, port = url.removeprefix("http://").split(":")
        self.address = (host, int(port))

    def half_heads(self, n: int) -> list[socket.socket]:
        clients = [socket.create_connection(self.address) for _ in range(n)]
        for client in clients:
            client.sendall(HALF_HEAD)
        return clients

    def is_live(self) -> bool:
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200

    def classify(self, body: bytes) -> tuple[int, bytes]:
        """Gives the status and the end of the answer, and keeps nothing else of it."""
        connection = http.client.HTTPConnection(*self.address, timeout=600)
        connection.request("POST", "/v1/classify", body, {"content-type": "application/json"})
        response = connection.getresponse()
        end = b""
        while piece := response.read(1 << 20):
            end = (end + piece)[-1000:]
        return response.status, end

    def memory_mb(self, key: str) -> int:
        return status_bytes(self.process, key) // 1_000_000

    def n_logged(self, message: str) -> int:
        return self.log.read_text().count(message)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def half_heads(binary: str) -> None:
    server = Server(binary, "lexicon-ner", n_files=512)
    clients = server.half_heads(500)
    assert server.is_live(), "500 half heads keep a client out"
    assert server.n_logged("the limit of connections is reached") == 1
    del clients
    server.end()


def files_run_out(binary: str) -> None:
    server = Server(binary, "lexicon-ner")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (n_descriptors(server.process) + 10, 4096))
    clients = server.half_heads(100)
    assert server.is_live(), "a server without descriptors keeps a client out"
    assert server.n_logged("a connection cannot be accepted") >= 1
    del clients
    server.end()


# Shorter than the `Retry-After` of the server, so that the four clients press for memory.
RETRY_S = 0.2


def large_answers(binary: str) -> None:
    server = Server(binary, "lexicon-ner", "--timeout-s", "600")
    text = ("Berlin Angela Merkel " * 1600)[:33_000]
    body = json.dumps({"documents": [{"text": text}] * 1000}).encode()
    answers: list[tuple[int, bytes]] = []

    def send() -> None:
        # What does not fit into the memory for requests is refused, and sent again.
        while (answer := server.classify(body))[0] == 503:
            time.sleep(RETRY_S)
        answers.append(answer)

    clients = [threading.Thread(target=send) for _ in range(4)]
    for client in clients:
        client.start()
    slowest = 0.0
    while any(client.is_alive() for client in clients):
        started = time.monotonic()
        assert server.is_live()
        slowest = max(slowest, time.monotonic() - started)
        time.sleep(0.1)
    assert [status for status, _ in answers] == [200] * 4
    assert all(b'],"models":' in end for _, end in answers), "an answer is cut off"
    peak, after = server.memory_mb("VmHWM"), server.memory_mb("VmRSS")
    print(f"  memory: at most {peak} MB, {after} MB afterwards; slowest health check {slowest:.2f} s")
    assert peak < MAX_MEMORY_MB
    server.end()


def stop_with_a_full_queue(binary: str) -> None:
    grace_period_s = 3
    server = Server(binary, "bert-cased-ner", "--grace-period-s", str(grace_period_s))
    sentence = "Angela Merkel reiste nach Paris. "
    documents = [{"text": f"{n} {sentence * 300}"} for n in range(300)]
    body = json.dumps({"documents": documents}).encode()
    answers: list[tuple[int, bytes]] = []
    clients = [threading.Thread(target=lambda: answers.append(server.classify(body))) for _ in range(16)]
    for client in clients:
        client.start()
    while server.n_logged("request method") == 0 and not busy(server):
        time.sleep(0.1)
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(timeout=60)
    elapsed = time.monotonic() - started
    for client in clients:
        client.join()
    print(f"  ended after {elapsed:.2f} s with code {code}; statuses {sorted(status for status, _ in answers)}")
    assert code == 0
    assert elapsed < grace_period_s + 0.5
    assert len(answers) == len(clients), "a request got no answer"
    assert all(status == 503 or b'],"models":' in end for status, end in answers)


def busy(server: Server) -> bool:
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return any(line.startswith("ressort_queued_windows") and not line.endswith(" 0") for line in lines)


SCENES: list[Callable[[str], None]] = [half_heads, files_run_out, large_answers, stop_with_a_full_queue]

if __name__ == "__main__":
    for scene in SCENES:
        print(scene.__name__, flush=True)
        scene(sys.argv[1])
