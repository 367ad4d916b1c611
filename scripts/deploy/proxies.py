"""Runs a proxy with its example from deploy/ in front of a server, and checks what must pass through it."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.deploy.server import Server, free_port, wait_for

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/ressort.conf;
}}
"""
MIB = 1 << 20
# As in the examples. Clients name the proxy by it, and the proxy passes it on.
NAME = "ressort.example.com"


def make_certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}"]
    files = ["-keyout", f"{folder}/ressort.key", "-out", f"{folder}/ressort.crt"]
    subprocess.run(
        [*command, *files, "-addext", f"subjectAltName=DNS:{NAME},DNS:localhost"], check=True, capture_output=True
    )


def command_of(proxy: str, folder: Path, port: int, upstream: int) -> list[str]:
    """Writes the example for these ports, and gives the command that runs it."""
    if proxy == "nginx":
        example = Path("deploy/nginx/ressort.conf").read_text()
        example = example.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}").replace(
            "listen 443", f"listen 127.0.0.1:{port}"
        )
        (folder / "ressort.conf").write_text(example.replace("/etc/nginx/", f"{folder}/"))
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
        return ["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
    example = Path("deploy/caddy/Caddyfile").read_text().replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    certificate = f"https://{NAME}:{port} {{\n\ttls {folder}/ressort.crt {folder}/ressort.key\n"
    example = example.replace(f"{NAME} {{", certificate)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{example}")
    return ["caddy", "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


class Client:
    """curl, which trusts the certificate of the proxy."""

    def __init__(self, folder: Path, port: int) -> None:
        self.curl = ["curl", "--silent", "--cacert", f"{folder}/ressort.crt", "--resolve", f"{NAME}:{port}:127.0.0.1"]
        self.url = f"https://{NAME}:{port}"

    def status(self, path: str, *flags: str, body: bytes = b"") -> tuple[int, str]:
        """The status of an answer and its body."""
        command = [*self.curl, "--write-out", "\\n%{http_code}", self.url + path, *flags]
        output = subprocess.run(command, input=body, capture_output=True, check=False).stdout.decode()
        answer, _, status = output.rpartition("\n")
        return int(status), answer

    def classify(self, body: bytes) -> tuple[int, str]:
        return self.status("/v1/classify", "-H", "content-type: application/json", "--data-binary", "@-", body=body)

    def lines(self) -> list[str]:
        """The answers to two lines, of which the second is sent when the first is answered."""
        flags = [
            "-X",
            "POST",
            "-H",
            "content-type: application/x-ndjson",
            "-H",
            "accept: application/x-ndjson",
            "-T",
            ".",
            "-N",
        ]
        process = subprocess.Popen(
            [*self.curl, *flags, self.url + "/v1/classify"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for text in ["Berlin", "Hamburg"]:
            process.stdin.write(json.dumps({"id": text, "text": text}).encode() + b"\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline())["id"])
        process.stdin.close()
        process.wait(30)
        return answers


def padded(n_bytes: int) -> bytes:
    """A request of so many bytes with a short text."""
    body = b'{"text": "Berlin"}'
    return body + b" " * (n_bytes - len(body))


def expect(answer: tuple[int, str], status: int, part: str) -> None:
    assert answer[0] == status, answer
    assert part in answer[1], answer


def check(client: Client) -> None:
    expect(client.classify(padded(100)), 200, "entities")
    # The page that the proxy serves is the server's own; pages of others are refused.
    own = ["-H", f"origin: {client.url}", "-H", "sec-fetch-site: same-origin"]
    expect(client.status("/v1/models", *own), 200, "models")
    expect(client.status("/v1/models", "-H", "origin: https://evil.example"), 403, "--cors-origin")
    assert client.classify(padded(30 * MIB))[0] == 200, "30 MiB must pass"
    expect(client.classify(padded(32 * MIB + 1000)), 413, "body_too_large")
    expect(client.classify(padded(40 * MIB)), 413, "")
    assert client.lines() == ["Berlin", "Hamburg"]
    expect(client.status("/metrics"), 200, "ressort_requests_total")
    expect(client.status("/metrics", "--interface", "127.0.0.2"), 403, "")
    # The proxy's id replaces that of a client.
    _, head = client.status("/health/ready", "--include", "-H", "x-request-id: from-client")
    assert "x-request-id: " in head.lower(), head
    assert "from-client" not in head, head


def main(proxy: str, binary: str) -> None:
    with tempfile.TemporaryDirectory() as name, Server(binary, "--allowed-host", NAME) as server:
        folder, port = Path(name), free_port()
        # nginx drops its rights, and its workers write below the folder.
        folder.chmod(0o755)
        make_certificate(folder)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command_of(proxy, folder, port, server.port), stdout=log, stderr=log)
        client = Client(folder, port)
        try:
            wait_for(proxy, lambda: client.status("/health/ready")[0] == 200)
            check(client)
        except BaseException:
            print((folder / "log").read_text(), file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait()
    print(f"{proxy}: bodies, lines, refusals, ids and metrics pass")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
