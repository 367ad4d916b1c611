"""What the script for Ray decides before anything runs."""

import pytest

from scripts.score_ray_plan import Node, UsageError, chosen_format, format_of, n_workers, parse


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.parquet", "parquet"),
        ("s3://bucket/a.b/c.JSONL.gz", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.csv.zst", "csv"),
        ("a.tsv", "tsv"),
        ("a.json", None),
        ("folder.csv/file", None),
        ("csv", None),
    ],
)
def test_the_extension_tells_the_format(path: str, expected: str | None) -> None:
    assert format_of(path) == expected


def test_a_folder_gives_its_files_of_one_known_format() -> None:
    assert chosen_format(["a.jsonl", "notes.md"], None) == ("jsonl", ["a.jsonl"])
    assert chosen_format(["a.log"], "jsonl") == ("jsonl", ["a.log"])
    for paths, part in [([], "no input file"), (["a.md"], "give --format"), (["a.csv", "b.tsv"], "csv, tsv")]:
        with pytest.raises(UsageError, match=part):
            chosen_format(paths, None)


@pytest.mark.parametrize(
    ("cores", "cpus", "wanted", "expected"),
    [([2], 1, None, 1), ([4], 1, None, 3), ([16], 1, 4, 4), ([2], 1, 2, 1), ([16], 4, None, 3), ([4, 4], 3, None, 2)],
)
def test_as_many_workers_start_as_fit_with_a_core_left(
    cores: list[float], cpus: float, wanted: int | None, expected: int
) -> None:
    assert n_workers([Node(n, 0) for n in cores], cpus, 0, wanted) == expected


def test_a_worker_that_fits_nowhere_is_refused_with_the_numbers() -> None:
    for nodes, cpus, gpus in [([Node(1, 0)], 1, 0), ([Node(8, 0)], 1, 1), ([Node(3, 0), Node(3, 0)], 4, 0)]:
        with pytest.raises(UsageError, match=r"the cluster has \d+ cores and 0 GPUs on \d machines"):
            n_workers(nodes, cpus, gpus, None)


def test_options_of_score_have_their_names_and_are_passed_on() -> None:
    given = ["--text-column", "title", "--text-column", "body", "a.parquet", "--output", "o", "--keep-text"]
    options = parse([*given, "--", "--top-k", "2"])
    assert options.inputs == ["a.parquet"]
    assert options.flags == ["--top-k", "2", "--text-column=title", "--text-column=body", "--keep-text", "--streams=1"]
    assert parse(["a.csv", "-o", "o", "--cpus", "4"]).flags == ["--streams=4"]
