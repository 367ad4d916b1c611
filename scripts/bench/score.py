"""`ressort score` against the best raw streams: documents a second on the same documents, in alternating blocks.

    python -m scripts.bench.score --model FOLDER [--documents 5000] [--blocks 10]

Scores a block of documents from one file of JSON lines into another, with start and end of the process. Then ONNX
Runtime runs the windows of the same block in a loop. A second line gives the ratio without the starts, since a run over
an archive starts once.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

from . import ceiling, server, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--blocks", type=int, default=10)
    arguments = parser.parse_args()
    documents = texts.make_texts(arguments.documents, 75.0, 4)
    raw = ceiling.Ceiling(arguments.model, len(os.sched_getaffinity(0)), documents[:100])
    with tempfile.TemporaryDirectory() as folder:
        start = min(_score(arguments.model, documents[:1], pathlib.Path(folder)) for _ in range(3))
        scored = looped = 0.0
        size = -(-len(documents) // arguments.blocks)
        for begin in range(0, len(documents), size):
            block = documents[begin : begin + size]
            scored += _score(arguments.model, block, pathlib.Path(folder))
            looped += len(block) / raw.measure(block)["documents_per_second"]
            print(f"{begin + len(block)} documents: {looped / scored:.3f}", flush=True)
    n, n_starts = len(documents), -(-len(documents) // size)
    running = scored - n_starts * start
    print(f"ressort score {n / scored:.1f} documents/s, raw streams ({raw.setting.name}) {n / looped:.1f}")
    print(f"ratio {looped / scored:.3f}")
    print(f"without {n_starts} starts of {start:.2f} s: {n / running:.1f} documents/s, ratio {looped / running:.3f}")


def _score(model: pathlib.Path, documents: list[str], folder: pathlib.Path) -> float:
    """Seconds of the whole process."""
    source, target = folder / "in.jsonl", folder / "out.jsonl"
    rows = [{"id": str(number), "text": text} for number, text in enumerate(documents)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [
        str(server.ROOT / "target/release/ressort"),
        "score",
        str(source),
        "--output",
        str(target),
        "--overwrite",
    ]
    started = time.perf_counter()
    subprocess.run([*command, "--model", str(model), "--providers", "cpu"], check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    n_rows = len(target.read_text().splitlines())
    if n_rows != len(documents):
        raise SystemExit(f"{n_rows} rows of {len(documents)} were written")
    return seconds


if __name__ == "__main__":
    main()
