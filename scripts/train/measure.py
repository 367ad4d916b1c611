"""The metrics of trainings before export, in full precision and as the service reads: to choose between them.

    python -m scripts.train.measure --config scripts/train/news.toml ressort-german,news-teacher-1 news-teacher-2

Each argument is one model, the mean of the trainings that it names."""

import argparse

import numpy as np
import torch
from tokenizers import Tokenizer

from .config import Config, parse_arguments
from .devsets import news_topics, topic_set
from .entities import tag_words
from .evaluate import measure_entities, measure_news, topic_metrics_of
from .inference import Predictor
from .manifest import Manifest
from .model import TwoHeads, mean_weights, trained_model
from .records import read_records
from .truecase import read_truecaser


def main() -> None:
    config, arguments = parse_arguments(__doc__, _add_options)
    for names in arguments.models:
        predictor = load(config, names.split(","))
        sentences = [tag_words(record) for record in read_records(config.paths.data, "entities/germeval2014.dev")]
        germeval = measure_entities(predictor, sentences[:: arguments.every])
        print(f"{names}: GermEval dev {germeval['micro']:.2f}", flush=True)
        by_genre = measure_news(predictor)
        print(f"{names}: news dev {by_genre.pop('all'):.2f}; " + ", ".join(f"{g} {f:.0f}" for g, f in by_genre.items()))
        print(f"{names}: denews.de.dev {topic_metrics_of(predictor, *topic_set(config, 'denews.de.dev'))}")
        print(f"{names}: news dev topics {topic_metrics_of(predictor, *news_topics())}", flush=True)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", help="trainings; names joined by commas are averaged")
    parser.add_argument("--every", type=int, default=1, help="take every n-th sentence of GermEval only")


def load(config: Config, names: list[str]) -> Predictor:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = trained_model(config, mean_weights([config.paths.trained_by(name) for name in names])).to(device)
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    export = config.export
    manifest = Manifest(
        "",
        export.max_length,
        export.stride,
        lead_tokens=export.lead_tokens,
        part_tokens=export.part_tokens,
        one_label_per_name=export.one_label_per_name,
    )
    return Predictor(manifest, read_truecaser(config.paths.truecase), tokenizer, TorchRun(model, device))


class TorchRun:
    def __init__(self, model: TwoHeads, device: torch.device):
        self._model, self._device = model, device

    @torch.inference_mode()
    def __call__(self, ids: np.ndarray) -> list[np.ndarray]:
        given = torch.from_numpy(ids).to(self._device)
        return [logits.float().cpu().numpy() for logits in self._model(given, torch.ones_like(given))]


if __name__ == "__main__":
    main()
