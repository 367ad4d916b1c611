"""Kills one of two Ray workers in the middle of a job, and compares the rows with those of a single run.

    python scripts/bench/kill_ray.py RESSORT MODEL INPUT.parquet...

Takes several files, so that both workers get some. Ends with 1 where rows are missing, doubled or different.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCRIPT = Path(__file__).parents[1] / "score_ray.py"


def workers(model: str) -> list[int]:
    """Processes of `ressort score` that were started by actors."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = cmdline.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"arrow-stream" in arguments and model.encode() in arguments and b"score" in arguments:
            found.append(int(cmdline.parent.name))
    return found


def rows(table: pa.Table) -> list[dict]:
    """Sorted by id, since Ray returns blocks in the order of completion."""
    return sorted(table.to_pylist(), key=lambda row: row["id"])


def n_lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def main(ressort: str, model: str, *sources: str) -> int:
    flags = ["--model", model, "--providers", "cpu", "--streams", "1"]
    with tempfile.TemporaryDirectory() as folder:
        single = f"{folder}/single.parquet"
        code = subprocess.run([ressort, "score", *sources, "--output", single, *flags], check=False).returncode
        assert code in (0, 3), f"the single run ended with {code}"
        command = [sys.executable, str(SCRIPT), *sources, "--output", f"{folder}/ray", "--ressort", ressort]
        job = subprocess.Popen([*command, "--workers", "2", "--cpus", "0.5", "--batch-size", "64", "--", *flags])
        killed = None
        while job.poll() is None and killed is None:
            found = workers(model)
            if found:
                # The worker must have taken some batches.
                time.sleep(2.0)
                killed = found[0]
                subprocess.run(["kill", "-KILL", str(killed)], check=False)
            time.sleep(0.05)
        assert job.wait() in (0, 3), f"the job ended with {job.returncode}"
        assert killed is not None, "the job ended before a worker could be killed; take a larger input"
        expected, found = pq.read_table(single), pq.read_table(f"{folder}/ray/rows")
        n_failed = sum(n_lines(path) for path in Path(f"{folder}/ray/errors").glob("*.jsonl"))
        n_expected = n_lines(Path(f"{single}.errors.jsonl"))
        same = rows(expected) == rows(found) and n_failed == n_expected
        print(f"killed {killed}: {found.num_rows} rows, {n_failed} failed; identical to the single run: {same}")
        return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
