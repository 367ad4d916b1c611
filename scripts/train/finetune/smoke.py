"""Tests the fine-tune from end to end on tiny random checkpoints: each learns sentences made from patterns and is
served; the first is killed and resumes.

    python -m scripts.train.finetune.smoke [FAMILY …]

With a built `ressort`, its metrics on dev must equal those that the fine-tune printed. Some seconds each."""

import argparse
import contextlib
import functools
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers

from scripts.reference import families
from scripts.reference.corpus import DAYS, ORGANISATIONS, PATTERNS, PERSONS, PLACES, TOPICS

from ..config import REPOSITORY
from .__main__ import fine_tune

TOPIC_LABELS = ["Haushalt", "Wirtschaft \\ Steuern", 'das "Recht"', "Klima", "Gesundheit", "Sport"]
TOPICAL_PATTERNS = [pattern for pattern in PATTERNS if "{topic}" in pattern]
WITH_HEADS, BARE = True, False


@dataclass(frozen=True)
class Case:
    """A family of scripts/reference, with a head to drop or without; the tasks that it learns, and whether in int8."""

    family: str
    has_head: bool
    sections: str
    int8: bool = False


BOTH = "[entities]\n[topics]\n"
CASES = [
    Case("bert-cased", BARE, BOTH, int8=True),
    Case("xlmr", WITH_HEADS, "[entities]\n", int8=True),
    Case("roberta", BARE, BOTH),
    Case("distilbert", WITH_HEADS, "[topics]\n", int8=True),
    Case("electra", WITH_HEADS, '[entities]\n[topics]\nproblem_type = "single_label"\n', int8=True),
    Case("deberta", BARE, BOTH, int8=True),
    Case("modernbert", BARE, BOTH, int8=True),
]

CONFIGURATION = """\
[paths]
checkpoint = "checkpoint"
train = ["train.jsonl"]
dev = "dev.jsonl"
output = "model"
work = "work"
{sections}
[training]
epochs = 12
max_length = 48
batch_tokens = 512
encoder_lr = 4e-3
head_lr = 1e-2
checkpoint_minutes = 0.001
threads = 1
precision = "fp32"
[export]
stride = 12
int8 = {int8}
"""
NARROWED = 0.1  # the weights of scripts/reference are too wide to train: there every logit must differ
LEARNT = 0.9  # the least value of each metric: the patterns are easy
MAX_DIFFERENCE = 0.005  # between a printed metric and the service's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [case.family for case in CASES]
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--ressort", type=Path, default=REPOSITORY / "target/release/ressort")
    arguments = parser.parse_args()
    if unknown := set(arguments.families) - set(names):
        raise SystemExit(f"unknown {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        chosen = [case for case in CASES if case.family in (arguments.families or names)]
        for case in chosen:
            try_case(case, Path(folder) / case.family, arguments, killed=case is chosen[0])
    print("ok")


def try_case(case: Case, folder: Path, arguments: argparse.Namespace, killed: bool) -> None:
    folder.mkdir()
    rng = random.Random(1)
    write_documents(folder / "train.jsonl", patterned_documents(400, rng))
    write_documents(folder / "dev.jsonl", patterned_documents(60, rng))
    write_checkpoint(case, folder / "checkpoint")
    config = folder / "config.toml"
    config.write_text(CONFIGURATION.format(sections=case.sections, int8=str(case.int8).lower()))
    begin = time.monotonic()
    if killed:
        run_until_checkpoint(config, folder / "work/checkpoint.pt")
    printed = run_finetune(config)
    require("resumed at step" in printed or not killed, "the training did not resume from its checkpoint", printed)
    found = printed_metrics(printed)
    print(f"{case.family}: {time.monotonic() - begin:.0f} s", *(f"{metric} {found[metric]}" for metric in found))
    require(all(min(values) >= LEARNT for values in found.values()), f"{found}: not all {LEARNT}", printed)
    if arguments.ressort.is_file():
        check_service(arguments.ressort, folder, {metric: values[-1] for metric, values in found.items()})
    else:
        print(f"    not served: there is no {arguments.ressort}; cargo build --release")


def printed_metrics(printed: str) -> dict[str, list[float]]:
    """Each metric by its name in `ressort evaluate`: one fraction for each precision, the last for the served one."""
    found = {}
    for name, row in re.findall(r"^\| (micro|full precision|int8) \| (.*) \|$", printed, re.MULTILINE):
        values = [float(value) for value in row.split(" | ")]
        if name == "micro":
            found["entities.micro.f1"] = [value / 100 for value in values]
        else:
            found.setdefault("topics.precision_at_1", []).append(values[1])
            found.setdefault("topics.micro_f1", []).append(values[2])
    return found


def patterned_documents(n: int, rng: random.Random) -> list[dict]:
    """Sentences with their names and their topic. A quarter has no names, a quarter no topic, and every tenth has many
    sentences."""
    return [patterned_document(20 if number % 10 == 0 else 1, number % 4, rng) for number in range(n)]


def patterned_document(n_sentences: int, kind: int, rng: random.Random) -> dict:
    topic, text, entities = rng.randrange(len(TOPICS)), "", []
    for _ in range(n_sentences):
        fillings = {
            "person": rng.choice(PERSONS),
            "place": rng.choice(PLACES),
            "organisation": rng.choice(ORGANISATIONS),
        }
        fillings |= {"day": rng.choice(DAYS), "topic": TOPICS[topic]}
        for literal, field in re.findall(r"([^{]*)(?:\{(\w+)\})?", rng.choice(TOPICAL_PATTERNS)):
            text += literal
            if field in ("person", "place", "organisation"):
                name = fillings[field].removeprefix("die ").removeprefix("der ")
                text += fillings[field].removesuffix(name)
                label = {"person": "PER", "place": "LOC", "organisation": "ORG"}[field]
                entities.append({"start": len(text), "end": len(text) + len(name), "label": label})
                text += name
            elif field:
                text += fillings[field]
        text += "\n"
    document = {"text": text, "entities": entities, "topics": [TOPIC_LABELS[topic]]}
    if kind < 2 and n_sentences == 1:
        document.pop(("entities", "topics")[kind])
    return document


def write_documents(file: Path, documents: list[dict]) -> None:
    file.write_text(
        "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents), encoding="utf-8"
    )


def write_checkpoint(case: Case, folder: Path) -> None:
    tiny = families.TinyModel(case.family, case.family, families.NER, 21, families.BIO)
    model, tokenizer = families.build(tiny)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(NARROWED if weight.dim() > 1 else 1)
    (model if case.has_head else model.base_model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def run_until_checkpoint(config: Path, checkpoint: Path) -> None:
    """Starts the fine-tune and kills it as soon as it has written a checkpoint."""
    command = [sys.executable, "-m", "scripts.train.finetune", "--config", config]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def run_finetune(config: Path) -> str:
    """What the fine-tune prints. It runs in this process: loading PyTorch again takes longer than a tiny training."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            fine_tune(config)
    except SystemExit as error:
        require(False, f"the fine-tune stopped: {error}", printed.getvalue())
    return printed.getvalue()


def check_service(ressort: Path, folder: Path, found: dict[str, float]) -> None:
    """`ressort inspect` accepts the folder, and `ressort evaluate` finds on dev what the fine-tune found."""
    if "ORT_DYLIB_PATH" not in os.environ:
        library = subprocess.run([REPOSITORY / "scripts/onnxruntime.sh"], check=True, capture_output=True, text=True)
        os.environ["ORT_DYLIB_PATH"] = library.stdout.strip()
    inspect = subprocess.run([ressort, "inspect", folder / "model"], check=False, capture_output=True, text=True)
    require(inspect.returncode == 0, "ressort inspect refuses the folder", inspect.stdout + inspect.stderr)
    file = folder / "report.json"
    arguments = ["--data", folder / "dev.jsonl", "--model", folder / "model", "--json", file, "--resamples", "10"]
    evaluate = subprocess.run([ressort, "evaluate", *arguments], check=False, capture_output=True, text=True)
    require(evaluate.returncode == 0, "ressort evaluate failed", evaluate.stdout + evaluate.stderr)
    (model,) = json.loads(file.read_text())["models"]
    for metric, ours in found.items():
        theirs = functools.reduce(dict.__getitem__, metric.split("."), model)
        print(f"    {metric} as served: {theirs:.3f}")
        require(abs(ours - theirs) <= MAX_DIFFERENCE, f"{metric}: the fine-tune has {ours}, the service {theirs}", "")


def require(holds: bool, message: str, output: str) -> None:
    if not holds:
        raise SystemExit(f"{output}\nFAILED: {message}")


if __name__ == "__main__":
    main()
