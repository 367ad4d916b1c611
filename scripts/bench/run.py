"""The whole measurement in one run: the service at several numbers of clients, the ceiling, and the pipeline.

    python -m scripts.bench.run --model FOLDER [--checkpoint FOLDER --task text-classification] [--out DIR]

Writes results.json, table.md and plot.svg to the folder DIR.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

from . import ceiling, load, plot, server, texts

CLIENTS = (1, 8, 32, 128)


def main() -> None:
    arguments = _parse()
    documents = texts.make_texts(arguments.documents, arguments.mean_words, arguments.seed)
    n_streams = arguments.streams or len(os.sched_getaffinity(0))
    results = {"model": str(arguments.model), "documents": len(documents), "streams": n_streams}
    results["ready_s"] = min(server.seconds_to_ready(arguments.model) for _ in range(3))
    results |= _service(arguments.model, documents, n_streams)
    if arguments.checkpoint:
        from . import pipeline

        results["pipeline"] = pipeline.measure(arguments.checkpoint, arguments.task, documents)
    table = _table(results)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1))
    (arguments.out / "table.md").write_text(table)
    (arguments.out / "plot.svg").write_text(plot.bars(f"documents a second: {arguments.model}", _bars(results)))
    print(table)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument(
        "--checkpoint", type=pathlib.Path, help="the PyTorch checkpoint of the same model, for the pipeline"
    )
    parser.add_argument(
        "--task", default="text-classification", choices=("text-classification", "token-classification")
    )
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("bench-results"))
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--mean-words", type=float, default=75.0, help="about 117 tokens")
    parser.add_argument("--streams", type=int, help="default: the cores that this process may use")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _service(model: pathlib.Path, documents: list[str], n_streams: int) -> dict:
    """Alternates service and ceiling, since machines drift: a row is compared with the ceiling before and after it."""
    raw = ceiling.Ceiling(model, n_streams, documents[: max(len(documents) // 4, 1)])
    with server.serving("--model", f"bench={model}", "--streams", str(n_streams)) as (port, process):
        memory = {"started": server.resident_bytes(process) / 1e6}
        load.run_load(port, documents[:50], 8)
        passes, rows = [raw.measure(documents)], []
        for n_clients in CLIENTS:
            row = _row(port, process, documents, n_clients)
            passes.append(raw.measure(documents))
            nearest = statistics.mean(one["documents_per_second"] for one in passes[-2:])
            rows.append({**row, "of_ceiling": row["documents_per_second"] / nearest})
        memory["after"] = server.resident_bytes(process) / 1e6
    means = {name: statistics.mean(each[name] for each in passes) for name in passes[0]}
    return {
        "ceiling": {**means, "setting": raw.setting.name, "tried": raw.tried, "passes": passes},
        "service": rows,
        "memory_mb": memory,
    }


def _row(port: int, process: subprocess.Popen, documents: list[str], n_clients: int) -> dict:
    worked = server.cpu_seconds(process)
    measured = load.run_load(port, documents, n_clients)
    worked = server.cpu_seconds(process) - worked
    tokens = sum(answer["usage"]["tokens"] for answer in measured.answers)
    return {
        "clients": n_clients,
        "documents_per_second": measured.per_second(),
        "tokens_per_second": tokens / measured.seconds,
        "cpu_ms_per_document": worked / len(documents) * 1000,
        "statuses": measured.statuses,
        **{f"p{share}_ms": measured.percentile_ms(share / 100) for share in (50, 95, 99)},
    }


def _table(results: dict) -> str:
    raw = results["ceiling"]
    lines = [
        f"{results['model']}: {results['documents']} documents, {results['streams']} streams",
        "",
        "| | documents/s | of the ceiling | tokens/s | CPU ms a document | p50 ms | p95 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|",
        _line(f"ONNX Runtime in a loop (ceiling: {raw['setting']})", raw | {"of_ceiling": 1.0}),
    ]
    lines += [_line(f"ressort, {row['clients']} clients", row) for row in results["service"]]
    for row in results.get("pipeline", []):
        share = row["documents_per_second"] / raw["documents_per_second"]
        name = f"transformers pipeline, fp32, {row['order']}, batch {row['batch_size']}"
        lines.append(_line(name, row | {"of_ceiling": share}))
    started, after = (results["memory_mb"][when] for when in ("started", "after"))
    lines += ["", f"Start to ready: {results['ready_s']:.2f} s."]
    lines += [f"Resident memory: {started:.0f} MB started, {after:.0f} MB after all runs."]
    return "\n".join(lines) + "\n"


def _line(name: str, row: dict) -> str:
    """A row of the table; a value that it lacks stays empty."""
    columns = {"documents_per_second": ".1f", "of_ceiling": ".2f"}
    columns |= {"tokens_per_second": ".0f", "cpu_ms_per_document": ".1f"}
    columns |= dict.fromkeys(("p50_ms", "p95_ms", "p99_ms"), ".0f")
    cells = [format(row[column], form) if column in row else "" for column, form in columns.items()]
    return f"| {name} | {' | '.join(cells)} |"


def _bars(results: dict) -> list[tuple[str, float]]:
    bars = [("ceiling", results["ceiling"]["documents_per_second"])]
    bars += [(f"{row['clients']} clients", row["documents_per_second"]) for row in results["service"]]
    bars += [(f"pipeline, {row['order']}", row["documents_per_second"]) for row in results.get("pipeline", [])]
    return bars


if __name__ == "__main__":
    main()
