"""Starts and stops a server for a measurement."""

import contextlib
import os
import pathlib
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import IO

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "target/release/ressort"

Process = subprocess.Popen[str]


@contextlib.contextmanager
def serving(*flags: str, log: IO[str] | None = None, binary: pathlib.Path = BINARY) -> Iterator[tuple[int, Process]]:
    """A ready server on a free port, with the cache off; gives (port, process). `log` gets what it logs."""
    command = [str(binary), "serve", "--port", "0", "--cache-mb", "0", "--providers", "cpu", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log or subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        # The server prints its port once its models answer.
        line = process.stdout.readline()
        if not (match := re.search(r"http://127\.0\.0\.1:(\d+)", line)):
            raise SystemExit(f"the server did not start; build it (cargo build --release) and try: {' '.join(command)}")
        yield int(match[1]), process
    finally:
        process.terminate()
        process.wait()


def resident_bytes(process: subprocess.Popen) -> int:
    return status_bytes(process, "VmRSS")


def status_bytes(process: subprocess.Popen, name: str) -> int:
    """The line `name` of /proc/PID/status, for instance `VmHWM`."""
    return parse_status_bytes(pathlib.Path(f"/proc/{process.pid}/status").read_text(), name)


def parse_status_bytes(status: str, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    if not match:
        raise SystemExit(f"/proc has no {name} of the server; the measurement needs Linux")
    return int(match[1]) * 1024


def cpu_seconds(process: subprocess.Popen) -> float:
    """Processor time of the process, on all cores."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def n_threads(process: subprocess.Popen) -> int:
    return len(os.listdir(f"/proc/{process.pid}/task"))


def n_descriptors(process: subprocess.Popen) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def seconds_to_ready(model: pathlib.Path) -> float:
    """From the start of the process to its first answer of 200 from /health/ready."""
    started = time.perf_counter()
    with serving("--model", str(model)) as (port, _):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready").close()
        return time.perf_counter() - started
