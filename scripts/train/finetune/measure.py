"""Figures on dev by ONNX Runtime, as the service reads: strict span F1 of entities; P@1, micro- and macro-F1 of topics."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..calibrate import choose_temperature, choose_thresholds, held_out_thresholds
from ..entities import WORD, TaggedText
from ..inference import GraphReader, TagDecoder, Window, scores, spans
from ..metrics import TopicFigures, label_f1, span_f1, topic_figures
from .base import Base
from .documents import Document, Labels
from .examples import gold_words, topic_target
from .model import output_names
from .settings import Settings


@dataclass(frozen=True)
class Answers:
    """Of one graph on dev: gold and found tags of the documents with entities, targets and logits of those with topics."""

    gold: list
    found: list
    targets: np.ndarray  # [documents, topics]
    logits: np.ndarray


@dataclass(frozen=True)
class Calibrated:
    """Thresholds are on the score after temperature."""

    temperature: float
    thresholds: np.ndarray


def read_dev(graph: Path, settings: Settings, base: Base, labels: Labels, dev: list[Document]) -> Answers:
    """Each text runs alone: with dynamic int8 a result depends on what shares the batch."""
    names = output_names(labels)
    reader = GraphReader(graph, names, base.tokenizer, Window(settings.training.max_length, settings.export.stride))
    decoder = TagDecoder(labels.tags) if labels.tags else None
    gold, found, targets, logits = [], [], [], []
    for document in dev:
        encoding, outputs = reader.read(document.text)
        by_name = dict(zip(names, outputs))
        if document.entities is not None:
            words = gold_words(document)
            gold.append(words.tags)
            found.append(found_tags(decoder, encoding, by_name["entity_logits"], words))
        if document.topics is not None:
            targets.append(topic_target(document, labels.topics))
            tokens = by_name["topic_logits"]
            logits.append(tokens.mean(0) if len(tokens) else np.zeros(len(labels.topics)))
    return Answers(gold, found, np.array(targets), np.array(logits))


def found_tags(decoder: TagDecoder, encoding, logits: np.ndarray, gold: TaggedText) -> list[str]:
    """What is found in the service's words, as tags of the gold words, which may be parts of them."""
    words = [match.span() for match in WORD.finditer(gold.text)]
    served = decoder.word_tags(encoding, logits, TaggedText(gold.text, words, []))
    tags, place = ["O"] * len(gold.words), 0
    for first, last, label in spans(served):
        prefix = "B"
        while gold.words[place][0] < words[first][0]:
            place += 1
        while place < len(gold.words) and gold.words[place][1] <= words[last][1]:
            tags[place], prefix, place = f"{prefix}-{label}", "I", place + 1
    return tags


def calibrate(settings: Settings, answers: Answers) -> Calibrated:
    n_topics = answers.logits.shape[1] if answers.logits.ndim == 2 else 0
    temperature, thresholds = 1.0, np.full(n_topics, 0.5)
    if not n_topics:
        return Calibrated(temperature, thresholds)
    even = np.ones(len(answers.targets))
    if settings.calibration.temperature:
        choose = choose_softmax_temperature if settings.topics.is_single else choose_temperature
        temperature = round(float(choose(answers.targets, answers.logits, even)), 3)
    if settings.calibration.thresholds and not settings.topics.is_single:
        thresholds = choose_thresholds(answers.targets, scores(answers.logits, temperature), even).round(2)
    return Calibrated(temperature, thresholds)


def choose_softmax_temperature(targets: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> float:
    """The one with the least cross entropy."""

    def loss(temperature: float) -> float:
        of_gold = (softmax(logits, temperature) * targets).sum(1)
        return float(-(np.log(np.clip(of_gold, 1e-6, 1)) * weights).sum())

    return min(np.arange(0.5, 2.51, 0.02), key=loss)


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return powers / powers.sum(1, keepdims=True)


def report(settings: Settings, labels: Labels, answers: dict[str, Answers]) -> None:
    """Prints the figures of each graph, by the name of its precision, then those of the last by label."""
    last = list(answers.values())[-1]
    if labels.entities:
        print_entities({name: span_f1(one.gold, one.found) for name, one in answers.items()}, labels)
    if labels.topics:
        print("\n| topics | n | P@1 | micro F1 | macro F1 | ECE best | ECE all |\n|---|---|---|---|---|---|---|")
        for name, one in answers.items():
            calibrated = calibrate(settings, one)
            print(f"| {name} | {figures(settings, one, calibrated)} |")
        if settings.calibration.thresholds and not settings.topics.is_single:
            # Chosen and measured on the same documents thresholds flatter; the other folds' do not.
            held_out = held_out_thresholds(last.targets, scores(last.logits, calibrated.temperature))
            print(f"| {name}, thresholds from other folds | {figures(settings, last, calibrated, held_out)} |")
        print_topics(settings, labels, last, calibrated)


def print_entities(by_graph: dict[str, dict], labels: Labels) -> None:
    print(f"\n| strict span F1 | {' | '.join(by_graph)} |\n|---|{'---|' * len(by_graph)}")
    for label in ["micro", *labels.entities]:
        print(f"| {label} | {' | '.join(f'{f1.get(label, 0.0):.2f}' for f1 in by_graph.values())} |")


def print_topics(settings: Settings, labels: Labels, answers: Answers, calibrated: Calibrated) -> None:
    score, thresholds = _scores(settings, answers, calibrated)
    print(f"\ntemperature {calibrated.temperature:.3f}\n\n| topic | n | threshold | F1 |\n|---|---|---|---|")
    f1 = label_f1(answers.targets, score >= thresholds)
    for index, label in enumerate(labels.topics):
        threshold = "best" if settings.topics.is_single else f"{calibrated.thresholds[index]:.2f}"
        print(f"| {label} | {answers.targets[:, index].sum():.0f} | {threshold} | {f1[index]:.2f} |")


def figures(settings: Settings, answers: Answers, calibrated: Calibrated, held_out=None) -> TopicFigures:
    score, thresholds = _scores(settings, answers, calibrated)
    return topic_figures(answers.targets, score, thresholds if held_out is None else held_out)


def _scores(settings: Settings, answers: Answers, calibrated: Calibrated) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and what they must reach: of a single-label model the best one."""
    if settings.topics.is_single:
        score = softmax(answers.logits, calibrated.temperature)
        return score, score.max(1, keepdims=True)
    return scores(answers.logits, calibrated.temperature), calibrated.thresholds
