"""Scores files on a Ray cluster, where one machine is not enough: `ressort score` on Ray Data.

    pip install -r scripts/ray-requirements.txt
    python scripts/score_ray.py s3://bucket/archive --output s3://bucket/scored --model models/ressort

Partitions of the input go to workers, each of which keeps one `ressort score` open over Arrow IPC on standard input and
output, so that its model is loaded once. As many workers start as the cluster can hold. Ray retries the batches of a
lost worker or machine. The rows are those of a single run, but not always in the input's order (an id identifies them);
rows that cannot be scored go to OUTPUT/errors. The options of `ressort score` have the same names here. Ray's file
systems read and write the paths, also on object storage. The binary and the model folder must exist on every machine.

Exit codes are those of `ressort score`: 0 all rows scored, 1 failed, 2 bad usage, 3 some rows could not be scored.
"""

import argparse
import glob
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.json
import ray
import ray.data
from score_ray_plan import Node, UsageError, chosen_format, format_of, n_workers, parse

WRITERS = {"parquet": "write_parquet", "jsonl": "write_json"}

# Few enough that the blocks of a small input reach every worker, and that the loss of one repeats little work.
BATCHES_PER_BLOCK = 8

# Bytes at the start of a file that tell its columns.
N_SNIFFED = 1 << 20

PROGRESS_INTERVAL_S = 10.0


class Progress:
    """Counts over all workers. A batch that is repeated counts once."""

    def __init__(self) -> None:
        self.batches: dict[str, tuple[int, int]] = {}

    def add(self, batch: str, n_scored: int, n_failed: int) -> None:
        self.batches[batch] = (n_scored, n_failed)

    def counts(self) -> tuple[int, int]:
        """Rows that were scored, and rows that could not be."""
        return sum(n for n, _ in self.batches.values()), sum(n for _, n in self.batches.values())


class Session:
    """One running `ressort score` for rows of one schema."""

    def __init__(self, command: list[str], schema: pa.Schema) -> None:
        self.schema, self.reader = schema, None
        self.keeps_errors = "--keep-errors" in command
        # Both files live as long as the process.
        self.log = tempfile.NamedTemporaryFile(prefix="ressort-", suffix=".log")  # noqa: SIM115
        failed = tempfile.NamedTemporaryFile(prefix="ressort-", suffix=".errors.jsonl")  # noqa: SIM115
        command = [*command, "--errors", failed.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.failed_lines = failed
        self.writer = pa.ipc.new_stream(self.process.stdin, schema)

    def score(self, rows: pa.Table) -> tuple[pa.Table, list[bytes]]:
        """Sends a batch and reads answers until each of its rows is scored or listed as failed."""
        assert self.process.stdin is not None
        for part in rows.to_batches():
            self.writer.write_batch(part)
        self.process.stdin.flush()
        self.reader = self.reader or pa.ipc.open_stream(self.process.stdout)
        scored, failed = [], []
        # Failed rows are listed before the scored rows of their block are written.
        n_answered = 0
        while n_answered < rows.num_rows:
            scored.append(self.reader.read_next_batch())
            failed += self.failed_lines.readlines()
            n_rows = sum(part.num_rows for part in scored)
            n_answered = n_rows if self.keeps_errors else n_rows + len(failed)
        return pa.Table.from_batches(scored, self.reader.schema), failed

    def close(self) -> None:
        """Ends the process, which frees its model."""
        self.process.kill()
        self.process.wait()

    def failure(self) -> RuntimeError:
        """Ends the actor if its `ressort` was killed, so that Ray restarts both; any other exit is a failure."""
        code = self.process.wait()
        if code < 0:
            os._exit(1)
        message = Path(self.log.name).read_text(encoding="utf-8", errors="replace")
        return RuntimeError(f"`ressort score` ended with {code}: {message}")


class Scorer:
    """A worker: one `ressort score`, fed with batches."""

    def __init__(self, ressort: str, flags: list[str], errors: str, progress: ray.actor.ActorHandle) -> None:
        self.command = [ressort, "score", "-", "--format", "arrow-stream", "--output", "-", *flags]
        self.errors, self.progress = errors, progress
        self.session: Session | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The scored rows of a batch; rows that cannot be scored go to a separate file."""
        rows = batch.combine_chunks()
        if self.session is not None and rows.schema != self.session.schema:
            self.session.close()
            self.session = None
        session = self.session = self.session or Session(self.command, rows.schema)
        try:
            scored, failed = session.score(rows)
        except (OSError, pa.ArrowInvalid, StopIteration) as error:
            raise session.failure() from error
        name = digest(rows)
        if failed:
            self._write_errors(name, failed)
        self.progress.add.remote(name, rows.num_rows - len(failed), len(failed))
        return scored

    def _write_errors(self, name: str, failed: list[bytes]) -> None:
        """Named after the batch, so that a repeated batch replaces its file."""
        files, path = file_system(self.errors)
        files.create_dir(path, recursive=True)
        with files.open_output_stream(f"{path}/{name}.jsonl") as file:
            file.write(b"".join(failed))


def digest(rows: pa.Table) -> str:
    """A name for a batch by its content."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]


def file_system(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    if "://" in path:
        return pyarrow.fs.FileSystem.from_uri(path)
    return pyarrow.fs.LocalFileSystem(), os.path.abspath(path)


def files_of(inputs: list[str], format: str | None) -> list[str]:
    """The files that paths, patterns and folders name; without a `format`, folders give those of known extensions."""
    found = []
    for given in inputs:
        matches = sorted(glob.glob(given, recursive=True)) if "://" not in given and not os.path.exists(given) else []
        for one in matches or [given]:
            files, path = file_system(one)
            info = files.get_file_info(path)
            if info.type == pyarrow.fs.FileType.NotFound:
                raise UsageError(f"{one}: no such file or folder")
            if info.type == pyarrow.fs.FileType.File:
                found.append(one)
                continue
            below = files.get_file_info(pyarrow.fs.FileSelector(path, recursive=True))
            names = sorted(entry.path for entry in below if entry.type == pyarrow.fs.FileType.File)
            scheme = f"{one.split('://')[0]}://" if "://" in one else ""
            found += [f"{scheme}{name}" for name in names if format is not None or format_of(name) is not None]
    return found


def start_of(path: str) -> bytes:
    """The first lines of a file, without compression."""
    files, name = file_system(path)
    with files.open_input_stream(name) as file:
        start = file.read(N_SNIFFED)
    whole_lines = start.rpartition(b"\n")[0]
    return whole_lines or start


def dataset(paths: list[str], format: str, options: argparse.Namespace) -> ray.data.Dataset:
    """The rows of the input, with the values as `ressort score` reads them: nothing is guessed from a text."""
    if format == "parquet":
        return ray.data.read_parquet(paths)
    if format == "jsonl":
        schema = pyarrow.json.read_json(io.BytesIO(start_of(paths[0]))).schema
        # Texts that look like times stay texts.
        texts = [field.with_type(pa.string()) for field in schema if pa.types.is_timestamp(field.type)]
        parse_options = pyarrow.json.ParseOptions(explicit_schema=pa.schema(texts) if texts else None)
        return ray.data.read_json(paths, file_extensions=None, parse_options=parse_options)
    delimiter = (options.delimiter or ("\t" if format == "tsv" else ",")).replace("\\t", "\t")
    parse_options = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    read_options = pyarrow.csv.ReadOptions(encoding=options.encoding)
    start = io.BytesIO(start_of(paths[0]))
    header = pyarrow.csv.open_csv(start, read_options=read_options, parse_options=parse_options).schema.names
    texts = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()))
    return ray.data.read_csv(
        paths, file_extensions=None, parse_options=parse_options, read_options=read_options, convert_options=texts
    )


def report(progress: ray.actor.ActorHandle, ended: threading.Event) -> None:
    """Prints how far the job is, at intervals until it has ended."""
    start = time.monotonic()
    while not ended.wait(PROGRESS_INTERVAL_S):
        n_scored, n_failed = ray.get(progress.counts.remote())
        n_rows = n_scored + n_failed
        rate = n_rows / (time.monotonic() - start)
        print(f"{n_rows} rows, {rate:.1f}/s, {n_failed} errors", file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> int:
    """Scores; gives the exit code."""
    paths = files_of(options.inputs, options.format)
    format, paths = chosen_format(paths, options.format)
    ray.init(ignore_reinit_error=True, log_to_driver=not options.quiet)
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = [Node(node.get("CPU", 0), node.get("GPU", 0)) for node in resources]
    workers = n_workers(nodes, options.cpus, options.gpus, options.workers)
    ray.data.DataContext.get_current().enable_progress_bars = False
    if not options.quiet:
        n_cpus = sum(node.cpus for node in nodes)
        wanted = f" of {options.workers} requested" if options.workers not in (None, workers) else ""
        message = (
            f"{len(paths)} {format} files, {workers} workers{wanted} on {len(nodes)} machines with {n_cpus:g} cores"
        )
        print(message, file=sys.stderr, flush=True)
    rows = dataset(paths, format, options)
    if options.limit is not None:
        rows = rows.limit(options.limit)
    progress = ray.remote(num_cpus=0)(Progress).remote()
    # A small file is read as one block, which would keep one worker busy only.
    blocks = rows.repartition(target_num_rows_per_block=BATCHES_PER_BLOCK * options.batch_size)
    scored = blocks.map_batches(
        Scorer,
        fn_constructor_args=(options.ressort, options.flags, f"{options.output}/errors", progress),
        batch_format="pyarrow",
        batch_size=options.batch_size,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=options.cpus,
        num_gpus=options.gpus,
    )
    ended = threading.Event()
    if not options.quiet:
        threading.Thread(target=report, args=(progress, ended), daemon=True).start()
    getattr(scored, WRITERS[options.output_format])(f"{options.output}/rows")
    ended.set()
    n_scored, n_failed = ray.get(progress.counts.remote())
    if not options.quiet:
        print(f"{n_scored} documents -> {options.output}/rows", file=sys.stderr)
    if n_failed > 0:
        print(f"{n_failed} rows could not be scored: see {options.output}/errors", file=sys.stderr)
    return 3 if n_failed > 0 else 0


def main(arguments: list[str]) -> int:
    options = parse(arguments, (__doc__ or "").split("\n")[0])
    options.ressort = os.path.abspath(options.ressort)
    try:
        return run(options)
    except UsageError as error:
        print(f"score_ray.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
