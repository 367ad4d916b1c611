"""Loads the alerts and each query of the dashboard into a real Prometheus that scrapes a server with traffic."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from scripts.deploy.server import Server, free_port, wait_for

DASHBOARD = Path("deploy/grafana/ressort.json")
RULES = Path("deploy/prometheus/ressort.rules.yml")
CONFIG = Path("deploy/prometheus/prometheus.yml")
# There is nothing to show without a shadow model, and without a baseline.
MAY_BE_EMPTY = ("ressort_shadow_documents_total", "ressort_drift_")


def queries() -> Iterator[tuple[str, str]]:
    """The title of each panel with each of its queries, for a dashboard of all instances and models."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            expr: str = target["expr"]
            for variable, value in [("$__rate_interval", "10s"), ("$instance", ".*"), ("$model", ".*")]:
                expr = expr.replace(variable, value)
            yield panel["title"], expr


class Prometheus:
    """A Prometheus with the configuration of deploy/, for one server."""

    def __init__(self, folder: Path, target_port: int) -> None:
        self.port = free_port()
        config = CONFIG.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{target_port}")
        config = config.replace("15s", "1s").replace("[ressort.rules.yml]", f"[{RULES.resolve()}]")
        (folder / "prometheus.yml").write_text(config)
        command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=error",
        ]
        self.process = subprocess.Popen(command)

    def ask(self, path: str, **parameters: str) -> dict:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, query: str) -> list[dict]:
        return self.ask("query", query=query)["result"]


def send_traffic(server: Server) -> None:
    """Sends a text that was not sent before, so that the cache does not answer it, and others."""
    texts = [f"Angela Merkel sprach um {time.monotonic_ns()} in Berlin.", "Der FC Bayern hat gewonnen.", ""]
    assert server.post("/v1/classify", {"documents": [{"text": text} for text in texts]}) == 200
    assert server.post("/v1/classify", {"text": texts[0]}) == 200
    assert server.post("/v1/classify", {"text": 1}) == 422


def check(server: Server, prometheus: Prometheus) -> list[str]:
    """What is wrong, in words."""

    def is_scraped() -> bool:
        send_traffic(server)
        runs = prometheus.value("sum(rate(ressort_batches_total[10s])) > 0")
        return bool(runs) and bool(prometheus.value("count_over_time(up[10s]) >= 8"))

    wait_for("traffic in Prometheus", is_scraped)
    faults = []
    for title, query in queries():
        if not prometheus.value(query) and not any(name in query for name in MAY_BE_EMPTY):
            faults.append(f"panel {title!r} shows nothing: {query}")

    def rules_of_all_groups() -> list[dict]:
        return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    wait_for("rules", lambda: all(rule["health"] == "ok" for rule in rules_of_all_groups()))
    rules = rules_of_all_groups()
    faults += [
        f"alert {rule['name']} is {rule['state']} on a healthy server" for rule in rules if rule["state"] != "inactive"
    ]
    print(f"{len(list(queries()))} queries of the dashboard and {len(rules)} alerts in Prometheus")
    return faults


def main(binary: str) -> None:
    with tempfile.TemporaryDirectory() as folder, Server(binary) as server:
        send_traffic(server)
        lint = subprocess.run(
            ["promtool", "check", "metrics"], input=server.get("/metrics"), check=False, capture_output=True
        )
        faults = (lint.stdout + lint.stderr).decode().splitlines()
        prometheus = Prometheus(Path(folder), server.port)
        try:
            faults += check(server, prometheus)
        finally:
            prometheus.process.terminate()
            prometheus.process.wait()
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main(sys.argv[1])
