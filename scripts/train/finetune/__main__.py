"""A fine-tune of any checkpoint, from a Hugging Face folder and labelled text to a folder that `ressort` serves:

    python -m scripts.train.finetune --config FILE

`example.toml` in this folder is a configuration with every key. After a crash, the same command resumes."""

import argparse
import json
from pathlib import Path

from .base import open_base
from .documents import Dataset, read_dataset
from .examples import write_examples
from .folder import Result, check_output, write_folder, write_graph, write_int8
from .measure import calibrate, read_dev, report
from .model import train_model, trained_model
from .settings import Settings, read_settings

CHECKPOINT_SUFFIXES = (".json", ".safetensors", ".bin")
N_CALIBRATION_TEXTS = 800
N_CHECKED_TEXTS = 8  # of dev, on which the graph is compared with PyTorch


def main() -> None:
    arguments = parse_arguments()
    fine_tune(arguments.config, arguments.restart)


def fine_tune(config: Path, restart: bool = False) -> None:
    settings = read_settings(config)
    check_output(settings.paths.output)
    dataset = read_dataset(settings)
    base = open_base(settings.paths.checkpoint, settings.training.max_length)
    claim_work_folder(settings, dataset, restart)
    if not settings.paths.trained.exists():
        if not settings.paths.examples.exists():
            write_examples(settings, dataset.train, dataset.labels, base.tokenizer)
        train_model(settings, base, dataset.labels)
    model = trained_model(settings, base, dataset.labels)
    texts = [document.text for document in dataset.dev[:N_CHECKED_TEXTS]]
    graphs = {"full precision": write_graph(settings, base, model, dataset.labels, texts)}
    if settings.export.int8:
        texts = [document.text for document in dataset.train[:N_CALIBRATION_TEXTS]]
        graphs["int8"] = write_int8(settings, base, texts)
    answers = {name: read_dev(file, settings, base, dataset.labels, dataset.dev) for name, file in graphs.items()}
    report(settings, dataset.labels, answers)
    served = list(graphs)[-1]
    print(f"\n{settings.paths.output}, {served}")
    write_folder(settings, base, model, dataset.labels, Result(graphs[served], calibrate(settings, answers[served])))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--restart", action="store_true", help="discard the training in the work folder")
    return parser.parse_args()


def claim_work_folder(settings: Settings, dataset: Dataset, restart: bool) -> None:
    """Records the inputs of the training. A training with other inputs in the work folder is an error."""
    paths = settings.paths
    paths.work.mkdir(parents=True, exist_ok=True)
    made_of = training_inputs(settings, dataset)
    before = json.loads(paths.made_of.read_text()) if paths.made_of.exists() and not restart else made_of
    changed = sorted(key for key in made_of if made_of[key] != before.get(key))
    if changed:
        raise SystemExit(
            f"{paths.work}: holds a training with other {', '.join(changed)}; --restart discards it, or name another "
            "folder in [paths] work"
        )
    if restart or not paths.made_of.exists():
        for file in (paths.examples, paths.training_checkpoint, paths.trained):
            file.unlink(missing_ok=True)
        paths.made_of.write_text(json.dumps(made_of, indent=1))


def training_inputs(settings: Settings, dataset: Dataset) -> dict:
    """Everything that the weights depend on, as JSON. Dev, export and calibration may change after a training."""
    pace = ("threads", "checkpoint_minutes")
    training = {f"training.{key}": value for key, value in vars(settings.training).items() if key not in pace}
    checkpoint = [file for file in sorted(settings.paths.checkpoint.iterdir()) if file.suffix in CHECKPOINT_SUFFIXES]
    topics = {f"topics.{key}": value for key, value in vars(settings.topics).items()} if settings.topics else {}
    files = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in [*settings.paths.train, *checkpoint]]
    labels = [dataset.labels.entities, dataset.labels.topics]
    return {"seed": settings.seed, "labels": labels, "files": files, **training, **topics}


if __name__ == "__main__":
    main()
