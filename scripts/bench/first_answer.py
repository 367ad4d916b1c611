"""Time from the start of `ressort serve` to its first answer, and its peak memory, of several binaries in turns.

    python -m scripts.bench.first_answer MODEL [--binary target/release/ressort …] [--tei text-embeddings-router]
        [--rounds 5]

The first answer is that to one short sentence, sent as soon as the server accepts connections. One round that is not
counted brings the files into the page cache. With two binaries, the ratio of their medians is printed too.
`--tei` names a binary of text-embeddings-inference with its ONNX Runtime backend; MODEL must be a classifier then.
"""

import argparse
import json
import pathlib
import re
import socket
import statistics
import subprocess
import time
import urllib.request

from scripts.bench.server import ROOT, status_bytes

TEXT = "Angela Merkel sprach am Montag in München über die Außenpolitik."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--binary", type=pathlib.Path, nargs="+", default=[ROOT / "target/release/ressort"])
    parser.add_argument("--tei", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    binaries = [*arguments.binary, *([arguments.tei] if arguments.tei else [])]
    starts: dict[pathlib.Path, list[tuple[float, int]]] = {binary: [] for binary in binaries}
    for n_done in range(arguments.rounds + 1):
        for binary in binaries:
            measure = tei_first_answer if binary == arguments.tei else first_answer
            start = measure(binary, arguments.model)
            if n_done > 0:
                starts[binary].append(start)
    seconds = {binary: statistics.median(start[0] for start in measured) for binary, measured in starts.items()}
    for binary, measured in starts.items():
        low, high = (choose(start[0] for start in measured) for choose in (min, max))
        peak = statistics.median(start[1] for start in measured) / 1e6
        print(f"{binary}: {seconds[binary]:.2f} s ({low:.2f} to {high:.2f}), at most {peak:.0f} MB")
    first = binaries[0]
    for other in binaries[1:]:
        print(f"{other} / {first}: {seconds[other] / seconds[first]:.2f}")


def first_answer(binary: pathlib.Path, model: pathlib.Path) -> tuple[float, int]:
    """Seconds to the first answer, and the most memory that was resident by then, in bytes."""
    command = [str(binary), "serve", "--port", "0", "--providers", "cpu", "--model", f"m={model}"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not (match := re.search(r"http://127\.0\.0\.1:\d+", line)):
            raise SystemExit(f"the server did not start; try: {' '.join(command)}")
        ask(f"{match[0]}/v1/classify", {"text": TEXT})
        return time.perf_counter() - started, status_bytes(process, "VmHWM")
    finally:
        process.terminate()
        process.wait()


def tei_first_answer(binary: pathlib.Path, model: pathlib.Path) -> tuple[float, int]:
    """The same of text-embeddings-inference, which listens once it can answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(binary), "--model-id", str(model), "--hostname", "127.0.0.1", "--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                # Trying without a pause takes processor time from the start that is measured.
                time.sleep(0.002)
                continue
            ask(f"http://127.0.0.1:{port}/predict", {"inputs": TEXT})
            return time.perf_counter() - started, status_bytes(process, "VmHWM")
        raise SystemExit(f"the server did not start; try: {' '.join(command)}")
    finally:
        process.terminate()
        process.wait()


def ask(url: str, body: dict) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        response.read()


if __name__ == "__main__":
    main()
