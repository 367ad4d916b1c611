"""All of a measurement in one run: the service at several numbers of clients, the ceiling, and the pipeline.

    python -m scripts.bench.run --model FOLDER [--checkpoint FOLDER --task text-classification] [--out DIR]

Writes results.json, table.md and plot.svg to the folder DIR.
"""

import argparse
import json
import os
import pathlib

from . import ceiling, load, server, texts

CLIENTS = (1, 8, 32, 128)
WIDTH, HEIGHT, MARGIN = 640, 320, 48


def main() -> None:
    arguments = _parse()
    documents = texts.make_texts(arguments.documents, arguments.mean_words, arguments.seed)
    n_streams = arguments.streams or len(os.sched_getaffinity(0))
    # The ceiling is measured before and after the service, since machines drift.
    before = ceiling.measure(arguments.model, documents, n_streams)
    rows, memory = _service(arguments, documents, n_streams)
    after = ceiling.measure(arguments.model, documents, n_streams)
    best = max(before, after, key=lambda figures: figures["documents_per_second"])
    results = {"model": str(arguments.model), "documents": len(documents), "streams": n_streams, "ceiling": best, "service": rows, "memory_mb": memory}
    if arguments.checkpoint:
        from . import pipeline

        results["pipeline"] = pipeline.measure(arguments.checkpoint, arguments.task, documents[: arguments.pipeline_documents])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1))
    table = _table(results)
    (arguments.out / "table.md").write_text(table)
    (arguments.out / "plot.svg").write_text(_plot(results))
    print(table)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--checkpoint", type=pathlib.Path, help="the PyTorch checkpoint of the same model, for the pipeline")
    parser.add_argument("--task", default="text-classification", choices=("text-classification", "token-classification"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("bench-results"))
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--pipeline-documents", type=int, default=100)
    parser.add_argument("--mean-words", type=float, default=75.0, help="about 117 tokens")
    parser.add_argument("--streams", type=int, help="default: the cores that this process may use")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _service(arguments: argparse.Namespace, documents: list[str], n_streams: int) -> tuple[list[dict], dict]:
    with server.serving("--model", f"bench={arguments.model}", "--streams", str(n_streams)) as (port, process):
        memory = {"started": server.resident_bytes(process) / 1e6}
        load.run_load(port, documents[:50], 8)
        rows = [_row(load.run_load(port, documents, n_clients), n_clients) for n_clients in CLIENTS]
        memory["after"] = server.resident_bytes(process) / 1e6
    return rows, memory


def _row(measured: load.Load, n_clients: int) -> dict:
    tokens = sum(answer["usage"]["tokens"] for answer in measured.answers)
    return {
        "clients": n_clients,
        "documents_per_second": measured.per_second(),
        "tokens_per_second": tokens / measured.seconds,
        "statuses": measured.statuses,
        **{f"p{share}_ms": measured.percentile_ms(share / 100) for share in (50, 95, 99)},
    }


def _table(results: dict) -> str:
    ceiling_speed = results["ceiling"]["documents_per_second"]
    lines = [
        f"{results['model']}: {results['documents']} documents, {results['streams']} streams",
        "",
        "| | documents/s | of the ceiling | tokens/s | p50 ms | p95 ms | p99 ms |",
        "|---|---|---|---|---|---|---|",
        f"| ONNX Runtime in a loop (ceiling) | {ceiling_speed:.1f} | 1.00 | {results['ceiling']['tokens_per_second']:.0f} | | | |",
    ]
    for row in results["service"]:
        share = row["documents_per_second"] / ceiling_speed
        lines.append(
            f"| ressort, {row['clients']} clients | {row['documents_per_second']:.1f} | {share:.2f} | {row['tokens_per_second']:.0f} "
            f"| {row['p50_ms']:.0f} | {row['p95_ms']:.0f} | {row['p99_ms']:.0f} |"
        )
    if "pipeline" in results:
        speed = results["pipeline"]["documents_per_second"]
        lines.append(f"| transformers pipeline, batch {results['pipeline']['batch_size']} | {speed:.1f} | {speed / ceiling_speed:.2f} | | | | |")
    memory = results["memory_mb"]
    lines += ["", f"Resident memory: {memory['started']:.0f} MB started, {memory['after']:.0f} MB after all runs."]
    return "\n".join(lines) + "\n"


def _plot(results: dict) -> str:
    """Documents a second as bars, an SVG without anything to load."""
    bars = [("ceiling", results["ceiling"]["documents_per_second"])]
    bars += [(f"{row['clients']} clients", row["documents_per_second"]) for row in results["service"]]
    if "pipeline" in results:
        bars.append(("pipeline", results["pipeline"]["documents_per_second"]))
    top = max(speed for _, speed in bars)
    step = (WIDTH - 2 * MARGIN) / len(bars)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">']
    for number, (name, speed) in enumerate(bars):
        height = (HEIGHT - 2 * MARGIN) * speed / top
        x, y = MARGIN + number * step, HEIGHT - MARGIN - height
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{step * 0.7:.0f}" height="{height:.0f}" fill="#4a6fa5"/>')
        parts.append(f'<text x="{x:.0f}" y="{y - 4:.0f}">{speed:.1f}</text><text x="{x:.0f}" y="{HEIGHT - MARGIN + 16}">{name}</text>')
    parts.append(f'<text x="{MARGIN}" y="16">documents a second: {results["model"]}</text></svg>')
    return "\n".join(parts)


if __name__ == "__main__":
    main()
