"""Step 9: the metrics of the model card, by ONNX Runtime, one text a run. Dev sets, or with `--test` the test sets."""

import argparse
import time
from pathlib import Path

import numpy as np

from .alter import ALTERATIONS, alter
from .config import Config, parse_arguments
from .decode import sigmoid
from .devsets import document_logits, news_topics, topic_set
from .entities import TaggedText, alter_tagged, join_with, tag_words
from .inference import Predictor
from .labels import ENTITY_CLASSES, TOPICS
from .manifest import GOLDEN
from .markup import read_news
from .metrics import METRICS_HEAD, TopicMetrics, label_f1, span_f1, topic_metrics
from .records import read_records

SIB200_LANGUAGES = ("ces", "dan", "deu", "eng", "fra", "ita", "nld", "pol", "por", "spa", "swe", "tur")
DEV_TOPIC_SETS: dict[str, int | None] = {
    "denews.de.dev": None,
    "denews.en.dev": None,
    "currentevents.dev": None,
    "dip.dev": 1000,
    **{f"sib200.{language}_Latn.dev": None for language in SIB200_LANGUAGES},
}
TEST_TOPIC_SETS: dict[str, int | None] = {"dip.test": 2000}


def main() -> None:
    config, arguments = parse_arguments(__doc__, _add_options)
    predictor = Predictor.load(config.paths.model, arguments.file)
    begin = time.monotonic()
    part = "test" if arguments.test else "dev"
    if arguments.task != "topics":
        evaluate_entities(config, predictor, part, arguments.clean_only)
        if not arguments.test:
            print("\n| own news, dev part | micro F1 |\n|---|---|")
            print("\n".join(f"| {genre} | {f1:.2f} |" for genre, f1 in measure_news(predictor).items()), flush=True)
    if arguments.task != "entities":
        evaluate_topics(config, predictor, TEST_TOPIC_SETS if arguments.test else DEV_TOPIC_SETS)
        if not (arguments.test or arguments.clean_only):
            evaluate_altered_topics(config, predictor)
    check_golden(predictor)
    print(f"\n{time.monotonic() - begin:.0f} s")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", type=Path, help="another graph than the folder's, such as the one in full precision")
    parser.add_argument("--test", action="store_true", help="the test sets: for a final result, not for choosing")
    parser.add_argument("--task", choices=["entities", "topics"], help="only this one")
    parser.add_argument("--clean-only", action="store_true", help="leave the altered texts out")


def evaluate_entities(config: Config, predictor: Predictor, part: str, clean_only: bool) -> None:
    sentences = [tag_words(record) for record in read_records(config.paths.data, f"entities/germeval2014.{part}")]
    clean = measure_entities(predictor, sentences)
    print(f"\nGermEval 2014 {part}, {len(sentences)} sentences: strict span F1 by label\n\n| label | F1 |\n|---|---|")
    for label in ["micro", *ENTITY_CLASSES]:
        print(f"| {label} | {clean.get(label, 0.0):.2f} |")
    if clean_only:
        return
    print("\n| altered | micro F1 | less than clean |\n|---|---|---|")
    for name in ALTERATIONS:
        altered = measure_entities(predictor, [alter_tagged(sentence, name) for sentence in sentences])
        print(f"| {name} | {altered['micro']:.2f} | {clean['micro'] - altered['micro']:.2f} |", flush=True)
    windows = measure_windows(predictor, sentences)
    print(f"| windows of 5 sentences | {windows['micro']:.2f} | {clean['micro'] - windows['micro']:.2f} |")


def measure_entities(predictor: Predictor, sentences: list[TaggedText]) -> dict[str, float]:
    predicted = [predictor.word_tags(sentence) for sentence in sentences]
    return span_f1([sentence.tags for sentence in sentences], predicted)


def measure_news(predictor: Predictor) -> dict[str, float]:
    """Micro F1 on the dev part of our own news, by genre and under `all`."""
    genres: dict[str, list[TaggedText]] = {}
    for news in read_news(part="dev"):
        genres.setdefault(news.genre, []).append(tag_words(news.record()))
    every = [text for texts in genres.values() for text in texts]
    return {name: measure_entities(predictor, texts)["micro"] for name, texts in [("all", every), *genres.items()]}


def topic_metrics_of(predictor: Predictor, texts: list[str], targets: np.ndarray) -> TopicMetrics:
    score = sigmoid(document_logits(predictor, texts), predictor.manifest.temperature)
    return topic_metrics(targets, score, np.array(predictor.manifest.thresholds))


def measure_windows(predictor: Predictor, sentences: list[TaggedText], size: int = 5) -> dict[str, float]:
    """Neighbouring sentences joined, as in an article."""
    groups = [sentences[begin : begin + size] for begin in range(0, len(sentences), size)]
    return measure_entities(predictor, [join_with(group, lambda: " ") for group in groups])


def evaluate_topics(config: Config, predictor: Predictor, sets: dict[str, int | None]) -> None:
    thresholds = np.array(predictor.manifest.thresholds)
    print(f"\n| topics {METRICS_HEAD}")
    german_news = None
    for name, limit in sets.items():
        texts, targets = topic_set(config, name, limit)
        score = sigmoid(document_logits(predictor, texts), predictor.manifest.temperature)
        print(f"| {name} | {topic_metrics(targets, score, thresholds)} |", flush=True)
        if name == "denews.de.dev":
            german_news = targets, score
    if sets is DEV_TOPIC_SETS:
        print(f"| own news, dev part | {topic_metrics_of(predictor, *news_topics())} |", flush=True)
    if german_news:
        print_labels(*german_news, thresholds)


def evaluate_altered_topics(config: Config, predictor: Predictor) -> None:
    thresholds, temperature = np.array(predictor.manifest.thresholds), predictor.manifest.temperature
    texts, targets = topic_set(config, "denews.de.dev")
    print(f"\n| denews.de.dev, altered {METRICS_HEAD}")
    for name in ALTERATIONS:
        score = sigmoid(document_logits(predictor, [alter(text, name).text for text in texts]), temperature)
        print(f"| {name} | {topic_metrics(targets, score, thresholds)} |", flush=True)


def print_labels(targets: np.ndarray, score: np.ndarray, thresholds: np.ndarray) -> None:
    print("\n| denews.de.dev | n | F1 | when best, right |\n|---|---|---|---|")
    by_label = label_f1(targets, score >= thresholds)
    for index, topic in enumerate(TOPICS):
        best = score.argmax(1) == index
        right = f"{targets[best, index].mean():.2f} of {best.sum()}" if best.any() else "never best"
        print(f"| {topic.slug} | {targets[:, index].sum():.0f} | {by_label[index]:.2f} | {right} |")


def check_golden(predictor: Predictor) -> None:
    """Prints which of the manifest's own checks fail."""
    for check in GOLDEN:
        score = predictor.topic_scores(check["text"])
        judged = zip(TOPICS, score, predictor.manifest.thresholds, strict=True)
        accepted = {topic.german for topic, s, threshold in judged if s >= threshold}
        missing = [topic for topic in check["topics"] if topic not in accepted]
        missing += [entity for entity in check["entities"] if entity not in predictor.entities(check["text"])]
        print(f"golden {'FAILS, missing ' + str(missing) if missing else 'holds'}: {check['text']}")


if __name__ == "__main__":
    main()
