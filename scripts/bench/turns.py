"""Compares model folders, and builds of the service, over HTTP in turns on one machine.

    python -m scripts.bench.turns models/ressort NEW_FOLDER [BINARY@FOLDER ...] [--texts FILE]

Each side is a folder, or a build of `ressort` and a folder. FILE has JSON lines with a `text` each, gzipped or not;
without it the texts are made up. Prints documents/s and processor time a document. Each is followed by how many times
better it is than the first side's, as the median over the rounds.
"""

import argparse
import contextlib
import gzip
import json
import pathlib
import statistics
from itertools import islice

from . import load, server, texts

N_CLIENTS = 8
WARM_UP = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sides", nargs="+", metavar="[BINARY@]FOLDER")
    parser.add_argument("--texts", type=pathlib.Path, help="JSON lines with a text each")
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    documents = read_texts(arguments.texts, arguments.documents)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serve(side)) for side in arguments.sides]
        for port, _ in servers:
            load.run_load(port, documents[:WARM_UP], N_CLIENTS)
        rounds = [[measure(port, process, documents) for port, process in servers] for _ in range(arguments.rounds)]
    for side, results in zip(arguments.sides, zip(*rounds, strict=True), strict=True):
        per_second, milliseconds = (statistics.median(values) for values in zip(*results, strict=True))
        faster = statistics.median(of[0] / first[0] for of, (first, *_) in zip(results, rounds, strict=True))
        less = statistics.median(first[1] / of[1] for of, (first, *_) in zip(results, rounds, strict=True))
        print(f"{side}: {per_second:.1f} documents/s ({faster:.3f}), {milliseconds:.2f} ms each ({less:.3f})")


def read_texts(file: pathlib.Path | None, n_texts: int) -> list[str]:
    if file is None:
        return texts.make_texts(n_texts, 75.0, 2)
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in islice(lines, n_texts)]


def serve(side: str) -> contextlib.AbstractContextManager[tuple[int, server.Process]]:
    binary, _, folder = side.rpartition("@")
    return server.serving("--model", f"m={folder}", binary=pathlib.Path(binary) if binary else server.BINARY)


def measure(port: int, process: server.Process, documents: list[str]) -> tuple[float, float]:
    """Documents/s, and milliseconds of processor time a document."""
    before = server.cpu_seconds(process)
    answered = load.run_load(port, documents, N_CLIENTS)
    if set(answered.statuses) != {200}:
        raise SystemExit(f"not all documents were answered: {answered.statuses}")
    return answered.per_second(), (server.cpu_seconds(process) - before) / len(documents) * 1000


if __name__ == "__main__":
    main()
