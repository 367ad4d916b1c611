"""Replaces both servers of a proxy one by one, as a rolling update does, while clients send requests: none may fail."""

import contextlib
import http.client
import itertools
import json
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from scripts.deploy.proxies import Client, command_of, make_certificate
from scripts.deploy.server import Server, free_port, wait_for

N_CLIENTS = 4
# What `preStop` waits in deploy/kubernetes/ressort.yaml, shorter since all is on one machine.
PAUSE_S = 2
NUMBERS = itertools.count()


class Proxy:
    """nginx with the example of deploy/, for a changing list of servers."""

    def __init__(self, folder: Path, servers: list[Server]) -> None:
        self.folder, self.port = folder, free_port()
        self.command = command_of("nginx", folder, self.port, servers[0].port)
        self.example = (folder / "ressort.conf").read_text()
        self.first = f"server 127.0.0.1:{servers[0].port};"
        self.write(servers)
        self.process = subprocess.Popen(self.command)

    def write(self, servers: list[Server]) -> None:
        listed = " ".join(f"server 127.0.0.1:{server.port};" for server in servers)
        (self.folder / "ressort.conf").write_text(self.example.replace(self.first, listed))

    def use(self, servers: list[Server]) -> None:
        self.write(servers)
        subprocess.run([*self.command, "-s", "reload"], check=True)
        time.sleep(PAUSE_S)


def send_until(stop: threading.Event, port: int, failures: list[str], answered: list[int]) -> None:
    """Sends texts that no cache knows, each over a new connection."""
    # The certificate is of this run, on this machine.
    context = ssl._create_unverified_context()
    while not stop.is_set():
        body = json.dumps({"documents": [{"text": f"Merkel {next(NUMBERS)} in Berlin"} for _ in range(8)]})
        try:
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
            connection.request("POST", "/v1/classify", body, {"content-type": "application/json"})
            response = connection.getresponse()
            results = json.loads(response.read()).get("results", [])
            errors = [result["error"] for result in results if "error" in result]
            if response.status == 200 and len(results) == 8 and not errors:
                answered.append(1)
            else:
                failures.append(f"status {response.status}, {len(results)} results, errors {errors[:1]}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            failures.append(repr(error))


def main(binary: str) -> None:
    failures: list[str] = []
    answered: list[int] = []
    stop = threading.Event()
    servers: list[Server] = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as ended:

        def start() -> None:
            servers.append(ended.enter_context(Server(binary)))

        start()
        start()
        folder = Path(name)
        folder.chmod(0o755)
        make_certificate(folder)
        proxy = Proxy(folder, servers)
        client = Client(folder, proxy.port)
        try:
            wait_for("nginx", lambda: client.status("/health/ready")[0] == 200)
            arguments = (stop, proxy.port, failures, answered)
            clients = [threading.Thread(target=send_until, args=arguments) for _ in range(N_CLIENTS)]
            for thread in clients:
                thread.start()
            for old in servers.copy():
                # A server prints where it listens once its models are loaded.
                start()
                proxy.use(servers)
                servers.remove(old)
                proxy.use(servers)
                old.process.terminate()
                if old.process.wait() != 0:
                    failures.append("a server did not end with 0")
            stop.set()
            for thread in clients:
                thread.join()
        finally:
            stop.set()
            proxy.process.terminate()
            proxy.process.wait()
    if failures or len(answered) < 20:
        sys.exit(f"{len(answered)} requests were answered, {len(failures)} failed: {failures[:5]}")
    print(f"rolling update: {len(answered)} requests were answered, none failed")


if __name__ == "__main__":
    main(sys.argv[1])
