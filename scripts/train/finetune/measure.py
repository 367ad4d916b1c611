"""Metrics on dev by ONNX Runtime, as the service computes: span F1 of entities; P@1, micro- and macro-F1 of topics."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..decode import TagDecoder, found_tags, sigmoid, softmax
from ..inference import GraphRun, WindowReader
from ..metrics import METRICS_HEAD, TopicMetrics, label_f1, span_f1, topic_metrics
from ..thresholds import choose_softmax_temperature, choose_temperature, choose_thresholds, held_out_thresholds
from ..windows import Window
from .base import Base
from .documents import Document, Labels
from .examples import gold_words, topic_target
from .model import output_names
from .settings import Settings


@dataclass(frozen=True)
class Answers:
    """One graph on dev: gold and found tags of documents with entities, targets and logits of those with topics."""

    gold: list[list[str]]
    found: list[list[str]]
    targets: np.ndarray  # [documents, topics]
    logits: np.ndarray


@dataclass(frozen=True)
class Calibrated:
    """Thresholds apply to the score after temperature."""

    temperature: float
    thresholds: np.ndarray


def read_dev(graph: Path, settings: Settings, base: Base, labels: Labels, dev: list[Document]) -> Answers:
    """One text a run: with dynamic int8 a result depends on the rest of the batch."""
    names = output_names(labels)
    window = Window(settings.training.max_length, settings.export.stride)
    reader = WindowReader(GraphRun(graph, names), base.tokenizer, window)
    decoder = TagDecoder(labels.tags)
    gold, found, targets, logits = [], [], [], []
    for document in dev:
        encoding, outputs = reader.read(document.text)
        by_name = dict(zip(names, outputs, strict=True))
        if document.entities is not None:
            words = gold_words(document)
            gold.append(words.tags)
            found.append(found_tags(decoder, encoding, by_name["entity_logits"], words))
        if document.topics is not None:
            targets.append(topic_target(document, labels.topics))
            tokens = by_name["topic_logits"]
            logits.append(tokens.mean(0) if len(tokens) else np.zeros(len(labels.topics)))
    return Answers(gold, found, np.array(targets), np.array(logits))


def calibrate(settings: Settings, answers: Answers) -> Calibrated:
    n_topics = answers.logits.shape[1] if answers.logits.ndim == 2 else 0
    temperature, thresholds = 1.0, np.full(n_topics, 0.5)
    if not n_topics:
        return Calibrated(temperature, thresholds)
    even = np.ones(len(answers.targets))
    if settings.calibration.temperature:
        choose = choose_softmax_temperature if settings.is_single_label else choose_temperature
        temperature = round(float(choose(answers.targets, answers.logits, even)), 3)
    if settings.calibration.thresholds and not settings.is_single_label:
        thresholds = choose_thresholds(answers.targets, sigmoid(answers.logits, temperature), even).round(2)
    return Calibrated(temperature, thresholds)


def report(settings: Settings, labels: Labels, answers: dict[str, Answers]) -> None:
    """Prints the metrics of each graph, by the name of its precision, then those of the last by label."""
    name, last = list(answers.items())[-1]
    if labels.entities:
        print_entities({name: span_f1(one.gold, one.found) for name, one in answers.items()}, labels)
    if labels.topics:
        print(f"\n| topics {METRICS_HEAD}")
        calibrated = {name: calibrate(settings, one) for name, one in answers.items()}
        for graph, one in answers.items():
            print(f"| {graph} | {metrics(settings, one, calibrated[graph])} |")
        if settings.calibration.thresholds and not settings.is_single_label:
            # Thresholds look too good on the documents that they were chosen on; those of other folds don't.
            held_out = held_out_thresholds(last.targets, sigmoid(last.logits, calibrated[name].temperature))
            print(f"| {name}, thresholds from other folds | {metrics(settings, last, calibrated[name], held_out)} |")
        print_topics(settings, labels, last, calibrated[name])


def print_entities(by_graph: dict[str, dict], labels: Labels) -> None:
    print(f"\n| strict span F1 | {' | '.join(by_graph)} |\n|---|{'---|' * len(by_graph)}")
    for label in ["micro", *labels.entities]:
        print(f"| {label} | {' | '.join(f'{f1.get(label, 0.0):.2f}' for f1 in by_graph.values())} |")


def print_topics(settings: Settings, labels: Labels, answers: Answers, calibrated: Calibrated) -> None:
    score, thresholds = _scores(settings, answers, calibrated)
    print(f"\ntemperature {calibrated.temperature:.3f}\n\n| topic | n | threshold | F1 |\n|---|---|---|---|")
    f1 = label_f1(answers.targets, score >= thresholds)
    for index, label in enumerate(labels.topics):
        threshold = "best" if settings.is_single_label else f"{calibrated.thresholds[index]:.2f}"
        print(f"| {label} | {answers.targets[:, index].sum():.0f} | {threshold} | {f1[index]:.2f} |")


def metrics(
    settings: Settings, answers: Answers, calibrated: Calibrated, held_out: np.ndarray | None = None
) -> TopicMetrics:
    score, thresholds = _scores(settings, answers, calibrated)
    return topic_metrics(answers.targets, score, thresholds if held_out is None else held_out)


def _scores(settings: Settings, answers: Answers, calibrated: Calibrated) -> tuple[np.ndarray, np.ndarray]:
    """Scores and their thresholds; a single-label model accepts the best score."""
    if settings.is_single_label:
        score = softmax(answers.logits, calibrated.temperature)
        return score, score.max(1, keepdims=True)
    return sigmoid(answers.logits, calibrated.temperature), calibrated.thresholds
