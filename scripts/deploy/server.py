"""A server on a free port of the loopback, for checks of what stands around it."""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

MODEL = "m=tests/models/two-heads"


class Server:
    """`ressort serve`, ended with the `with` block."""

    def __init__(self, binary: str, *flags: str) -> None:
        command = [binary, "serve", "--port", "0", "--model", MODEL, "--providers", "cpu", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        url = next((word for word in line.split() if word.startswith("http://")), None)
        if url is None:
            raise SystemExit(f"the server did not start; try: {' '.join(command)}")
        self.host, _, port = url.removeprefix("http://").rpartition(":")
        self.port = int(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait()

    def post(self, path: str, body: object) -> int:
        """The status of the answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status

    def get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request("GET", path)
        return connection.getresponse().read()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(what: str, condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Waits until the condition holds; one that fails with an error does not hold yet."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{what}: not within {timeout_s} s")
