"""Resident memory of a server over many documents of mixed lengths, compared with the size of the model's file.

    python -m scripts.bench.memory MODEL [--documents 20000]

Every document is a different text. Ends with 1 where the last value exceeds three times the file.
"""

import argparse
import pathlib
import sys

from . import load, server, texts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--mean-words", type=float, default=75.0)
    parser.add_argument("--streams", type=int, default=2)
    arguments = parser.parse_args()
    file = max(path.stat().st_size for path in arguments.model.glob("*.onnx"))
    documents = texts.make_texts(arguments.documents, arguments.mean_words, 3)
    step = max(-(-len(documents) // 8), 1)
    with server.serving("--model", f"m={arguments.model}", "--streams", str(arguments.streams)) as (port, process):
        resident = server.resident_bytes(process)
        _show(0, resident, file)
        for begin in range(0, len(documents), step):
            block = documents[begin : begin + step]
            load.run_load(port, block, 16)
            resident = server.resident_bytes(process)
            _show(begin + len(block), resident, file)
    return 0 if resident <= 3 * file else 1


def _show(n_documents: int, resident: int, file: int) -> None:
    times = f"{resident / file:.2f} times the file of {file / 1e6:.0f} MB"
    print(f"{n_documents} documents: {resident / 1e6:.0f} MB, {times}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
