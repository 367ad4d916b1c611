"""What `score_ray.py` decides before anything runs: options, formats, and how many workers a cluster can hold."""

import argparse
from dataclasses import dataclass

# Extensions by format, as `ressort score` has them.
EXTENSIONS = {"parquet": ("parquet", "pq"), "jsonl": ("jsonl", "ndjson"), "csv": ("csv",), "tsv": ("tsv", "tab")}
COMPRESSIONS = (".gz", ".zst", ".zstd")
OUTPUT_FORMATS = ("parquet", "jsonl")

# Options that `ressort score` takes under the same names, and whether each has a value.
PASSED_ON = {
    "--text-column": True,
    "--title-column": True,
    "--lead-column": True,
    "--id-column": True,
    "--keep-text": False,
    "--keep-errors": False,
    "--max-row-bytes": True,
    "--model": True,
    "--models-dir": True,
    "--topics": True,
    "--entities": True,
    "--providers": True,
    "--require-gpu": False,
    "--streams": True,
    "--max-queued-windows": True,
    "--arithmetic": True,
    "--batching": True,
    "--tasks": True,
    "--top-k": True,
    "--threshold": True,
    "--aggregation": True,
    "--offset-unit": True,
    "--overflow": True,
    "--label-language": True,
    "--labels": True,
    "--derived": True,
    "--group": False,
    "--evidence": False,
    "--max-characters": True,
    "--look-ahead": True,
}

# Cores that stay free of workers, so that blocks are read and written.
IO_CPUS = 1.0


class UsageError(Exception):
    """The request cannot be met; the message says why, and what can."""


@dataclass(frozen=True)
class Node:
    """One machine of the cluster."""

    cpus: float
    gpus: float


def format_of(path: str) -> str | None:
    """The format that the extension of a path tells, compression aside."""
    name = path.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    extension = name.rpartition(".")[2] if "." in name.rpartition("/")[2] else ""
    return next((format for format, extensions in EXTENSIONS.items() if extension in extensions), None)


def chosen_format(paths: list[str], given: str | None) -> tuple[str, list[str]]:
    """The format of the input, and the paths that have it. Files without a known extension are read only if `given`."""
    if not paths:
        raise UsageError("no input file was found; name files, or folders that hold some")
    if given is not None:
        return given, paths
    formats = {path: format_of(path) for path in paths}
    known = sorted({format for format in formats.values() if format is not None})
    if not known:
        raise UsageError(f"{paths[0]}: the extension tells no format; give --format, one of {', '.join(EXTENSIONS)}")
    if len(known) > 1:
        raise UsageError(f"the input has files of several formats ({', '.join(known)}); score each format by itself")
    return known[0], [path for path, format in formats.items() if format == known[0]]


def n_workers(nodes: list[Node], cpus: float, gpus: float, wanted: int | None) -> int:
    """Workers to start: `wanted`, or as many as the cluster can hold, and never more than it can hold."""
    n_cpus, n_gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)

    def fits(node: Node) -> int:
        by_cpus = int(node.cpus / cpus) if cpus > 0 else 1 << 30
        return min(by_cpus, int(node.gpus / gpus)) if gpus > 0 else by_cpus

    by_cpus = int((n_cpus - IO_CPUS) / cpus) if cpus > 0 else 1 << 30
    most = min(sum(fits(node) for node in nodes), by_cpus)
    if most < 1:
        raise UsageError(
            f"the cluster has {n_cpus:g} cores and {n_gpus:g} GPUs on {len(nodes)} machines, and one worker takes "
            f"{cpus:g} cores and {gpus:g} GPUs, with {IO_CPUS:g} core left to read and write; add machines, or give "
            "smaller --cpus or --gpus"
        )
    limit = wanted if wanted is not None else most if cpus > 0 or gpus > 0 else 1
    return min(limit, most)


def parse(arguments: list[str], description: str = "") -> argparse.Namespace:
    """The options; `flags` has those of `ressort score`."""
    parser = argparse.ArgumentParser(
        description=description, usage="%(prog)s INPUT [INPUT ...] --output OUTPUT [OPTION ...]"
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files or folders, local or on object storage")
    parser.add_argument("--output", "-o", required=True, help="a folder: rows/ and errors/ are made in it")
    parser.add_argument("--format", choices=EXTENSIONS, help="format of the input; default: by extension")
    parser.add_argument("--output-format", choices=OUTPUT_FORMATS, default="parquet")
    parser.add_argument("--delimiter", help="separator of the values of a CSV; default: a comma, in a TSV a tabulator")
    parser.add_argument("--encoding", default="utf-8", help="encoding of CSV files")
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N rows only")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--workers", type=int, help="processes with the model in memory; default: as many as fit")
    parser.add_argument("--cpus", type=float, default=1, help="cores of one worker; default: 1")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of one worker; default: 0")
    parser.add_argument("--batch-size", type=int, default=512, help="rows of one batch")
    parser.add_argument("--ressort", default="target/release/ressort", help="the binary, on every machine")
    group = parser.add_argument_group("options of ressort score", "with the meaning that `ressort score --help` tells")
    for name, has_value in PASSED_ON.items():
        if has_value:
            group.add_argument(name, action="append", default=[], metavar="VALUE")
        else:
            group.add_argument(name, action="store_true")
    own, flags = arguments, []
    if "--" in arguments:
        own, flags = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    options = parser.parse_args(own)
    for name, has_value in PASSED_ON.items():
        value = getattr(options, name[2:].replace("-", "_"))
        if has_value:
            flags = [*flags, *(f"{name}={one}" for one in value)]
        elif value:
            flags = [*flags, name]
    if not any(flag.startswith("--streams") for flag in flags):
        flags = [*flags, f"--streams={max(1, int(options.cpus))}"]
    options.flags = flags
    return options
