"""Starts and stops a server for a measurement."""

import contextlib
import os
import pathlib
import re
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def serving(*flags: str):
    """A server on a free port, with the cache off; gives (port, process). It is ready: the port is named when models answer."""
    binary = ROOT / "target/release/ressort"
    command = [str(binary), "serve", "--port", "0", "--cache-mb", "0", "--providers", "cpu", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = process.stdout.readline()
        if not (match := re.search(r"http://127\.0\.0\.1:(\d+)", line)):
            raise SystemExit(f"the server did not start; build it (cargo build --release) and try: {' '.join(command)}")
        yield int(match[1]), process
    finally:
        process.terminate()
        process.wait()


def resident_bytes(process: subprocess.Popen) -> int:
    """Memory that the process holds."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def cpu_seconds(process: subprocess.Popen) -> float:
    """Time that the process has computed, on all cores."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_to_ready(model: pathlib.Path) -> float:
    """From the start of the process to its first answer of 200 from /health/ready."""
    started = time.perf_counter()
    with serving("--model", str(model)) as (port, _):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready").close()
        return time.perf_counter() - started
