"""What two heads cost against one: a two-headed model and its two halves, measured alternately through the service.

    python -m scripts.bench.heads MODEL

A half is a copy of the model whose graph has one of the two outputs. Prints the time of a document with both heads as a
multiple of the time with one.
"""

import contextlib
import pathlib
import re
import shutil
import statistics
import sys
import tempfile

import onnx
import onnx.utils

from . import load, server, texts

N_DOCUMENTS, ROUNDS, N_CLIENTS = 200, 5, 32
TASKS = ("topics", "entities")


def main() -> None:
    model = pathlib.Path(sys.argv[1])
    documents = texts.make_texts(N_DOCUMENTS, 75.0, 2)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folders = {"both": model} | {task: _half(model, task, pathlib.Path(folder) / task) for task in TASKS}
        servers = {name: stack.enter_context(server.serving("--model", f"m={path}")) for name, path in folders.items()}
        seconds, worked = {name: [] for name in servers}, {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, (port, process) in servers.items():
                before = server.cpu_seconds(process)
                seconds[name].append(load.run_load(port, documents, N_CLIENTS).seconds)
                worked[name].append(server.cpu_seconds(process) - before)
    for kind, by_name in (("elapsed time", seconds), ("processor time", worked)):
        ms = {name: statistics.median(rounds) / N_DOCUMENTS * 1000 for name, rounds in by_name.items()}
        ratios = ", ".join(f"{ms['both'] / ms[task]:.3f} times {task} alone ({ms[task]:.1f} ms)" for task in TASKS)
        print(f"{kind}: {ms['both']:.1f} ms a document for both, {ratios}")


def _half(model: pathlib.Path, task: str, folder: pathlib.Path) -> pathlib.Path:
    """A copy of the model with one head."""
    shutil.copytree(model, folder)
    manifest = (folder / "ressort.toml").read_text()
    for other in {*TASKS} - {task}:
        # A section ends at the next line that begins one.
        manifest = re.sub(rf"^\[{other}\]\n.*?(?=^\[|\Z)", "", manifest, flags=re.DOTALL | re.MULTILINE)
    manifest = re.sub(r"^\[\[golden\]\]\n.*?(?=^\[|\Z)", "", manifest, flags=re.DOTALL | re.MULTILINE)
    (folder / "ressort.toml").write_text(manifest)
    output = re.search(rf"^\[{task}\]\n.*?^output = \"(.+?)\"", manifest, flags=re.DOTALL | re.MULTILINE)
    if not output:
        raise SystemExit(f"{model}/ressort.toml: [{task}] names no output; take a model with topics and entities")
    graph = onnx.load(folder / "model.onnx")
    inputs = [given.name for given in graph.graph.input]
    half = onnx.utils.Extractor(graph).extract_model(inputs, [output[1]])
    onnx.save_model(half, folder / "model.onnx")
    return folder


if __name__ == "__main__":
    main()
