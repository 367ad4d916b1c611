"""Scores files on a Ray cluster, where one machine is not enough: `ressort score` on Ray Data.

    pip install -r scripts/ray-requirements.txt
    python scripts/score_ray.py s3://bucket/archive --output s3://bucket/scored --workers 8 -- --model models/ressort

Partitions of the input go to actors, each of which keeps one `ressort score` open over Arrow IPC on standard input and
output, so that its model is loaded once. Ray retries the batches of a lost actor or machine. The rows are those of a
single run, but not always in the input's order (an id identifies them); rows that cannot be scored go to OUTPUT/errors.
Arguments after `--` are passed to `ressort score`. Ray's file systems read and write the paths, also on object storage;
the binary and the model folder must exist on every machine.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import ray
import ray.data

READERS = {"parquet": "read_parquet", "jsonl": "read_json", "csv": "read_csv"}
WRITERS = {"parquet": "write_parquet", "jsonl": "write_json"}

# Few enough that the blocks of a small input reach every actor, and that the loss of one repeats little work.
BATCHES_PER_BLOCK = 8


class Session:
    """One running `ressort score` for rows of one schema."""

    def __init__(self, command: list[str], schema: pa.Schema):
        self.schema, self.reader = schema, None
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
        while sum(part.num_rows for part in scored) + len(failed) < rows.num_rows:
            scored.append(self.reader.read_next_batch())
            failed += self.failed_lines.readlines()
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
    """An actor: one `ressort score`, fed with batches."""

    def __init__(self, ressort: str, flags: list[str], errors: str):
        self.command, self.errors = [ressort, "score", "-", "--format", "arrow-stream", "--output", "-", *flags], errors
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
        if failed:
            self._write_errors(rows, failed)
        return scored

    def _write_errors(self, rows: pa.Table, failed: list[bytes]) -> None:
        """Named after the batch, so that a repeated batch replaces its file."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        name = hashlib.sha256(sink.getvalue()).hexdigest()[:16]
        files, path = pyarrow.fs.FileSystem.from_uri(self.errors) if "://" in self.errors else local(self.errors)
        files.create_dir(path, recursive=True)
        with files.open_output_stream(f"{path}/{name}.jsonl") as file:
            file.write(b"".join(failed))


def local(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    return pyarrow.fs.LocalFileSystem(), os.path.abspath(path)


def run(options: argparse.Namespace) -> None:
    rows = getattr(ray.data, READERS[options.format])(options.inputs)
    # A small file is read as one block, which would keep one actor busy only.
    blocks = rows.repartition(target_num_rows_per_block=BATCHES_PER_BLOCK * options.batch_size)
    scored = blocks.map_batches(
        Scorer,
        fn_constructor_args=(options.ressort, options.flags, f"{options.output}/errors"),
        batch_format="pyarrow",
        batch_size=options.batch_size,
        compute=ray.data.ActorPoolStrategy(size=options.workers),
        num_cpus=options.cpus,
        num_gpus=options.gpus,
    )
    getattr(scored, WRITERS[options.output_format])(f"{options.output}/rows")


def parse(arguments: list[str]) -> argparse.Namespace:
    usage = "%(prog)s INPUT [INPUT ...] --output OUTPUT [OPTION ...] [-- FLAG OF ressort score ...]"
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0], usage=usage)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files or folders, local or on object storage")
    parser.add_argument("--output", required=True, help="a folder: rows/ and errors/ are made in it")
    parser.add_argument("--format", choices=READERS, default="parquet")
    parser.add_argument("--output-format", choices=WRITERS, default="parquet")
    parser.add_argument("--workers", type=int, default=2, help="actors, each with the model in memory")
    parser.add_argument(
        "--cpus",
        type=float,
        default=1,
        help="cores of one actor; give `-- --streams` as many, and leave cores for reading and writing",
    )
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of one actor")
    parser.add_argument("--batch-size", type=int, default=512, help="rows of one batch")
    parser.add_argument("--ressort", default="target/release/ressort", help="the binary, on every machine")
    own, flags = arguments, []
    if "--" in arguments:
        own, flags = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    options = parser.parse_args(own)
    options.flags = flags
    options.ressort = os.path.abspath(options.ressort)
    return options


if __name__ == "__main__":
    run(parse(sys.argv[1:]))
