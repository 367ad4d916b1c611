"""Writes tests/reference/metrics.json: entity and topic metrics as seqeval, nervaluate and scikit-learn compute them.

pip install -r scripts/reference/metrics-requirements.txt
python -m scripts.reference.make_metrics          # writes the file
python -m scripts.reference.make_metrics --check  # recomputes and compares
"""

import argparse
import json
import random
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nervaluate import Evaluator
from scipy.stats import binomtest
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
)

TARGET = Path(__file__).parents[2] / "tests" / "reference" / "metrics.json"
PACKAGES = ["seqeval", "nervaluate", "scikit-learn", "scipy", "numpy"]
ENTITY_LABELS = ["PER", "LOC", "ORG", "OTH"]
TOPIC_LABELS = ["Kultur", "Politik", "Sport", "Umwelt", "Wirtschaft"]

Span = tuple[int, int, str]  # token indices, half-open


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the stored values instead of writing them")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    values = {
        "entities": entity_cases(),
        "topics": topic_cases(),
        "mcnemar": mcnemar_cases(),
        "comparison": comparison_case(),
    }
    if arguments.check:
        stored = json.loads(TARGET.read_text())
        same = close(values, {key: stored[key] for key in values})
        print("the stored values hold" if same else "the stored values differ from those computed")
        return 0 if same else 1
    made_with = {package: version(package) for package in PACKAGES}
    TARGET.write_text(json.dumps({"made_with": made_with, **values}, separators=(",", ":")) + "\n")
    return 0


def close(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal, numbers up to rounding."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float):
        return abs(a - b) < 1e-9
    return a == b


# Entities


def entity_cases() -> list[dict]:
    cases = [entity_case(name, documents) for name, documents in adversarial_documents().items()]
    for seed in range(6):
        rng = random.Random(seed)
        documents = [random_document(rng) for _ in range(12)]
        cases.append(entity_case(f"random {seed}", documents))
    return cases


def adversarial_documents() -> dict[str, list[tuple[list[int], list[Span], list[Span]]]]:
    """Documents as (token lengths, gold, predicted)."""
    tokens = [3, 5, 1, 12, 2, 4, 7, 1]
    long = [1, 300, 1, 5]
    return {
        "all right": [(tokens, [(0, 2, "PER")], [(0, 2, "PER")])],
        "nothing predicted": [(tokens, [(0, 2, "PER"), (3, 4, "LOC")], [])],
        "nothing there": [(tokens, [], [(0, 2, "PER"), (3, 4, "LOC")])],
        "neighbours of one label": [(tokens, [(0, 1, "PER"), (1, 2, "PER")], [(0, 2, "PER")])],
        "one split in two": [(tokens, [(0, 4, "PER")], [(0, 2, "PER"), (2, 4, "PER")])],
        "near before right": [(tokens, [(0, 3, "LOC"), (3, 5, "PER")], [(0, 4, "LOC"), (4, 5, "PER")])],
        "one over three": [(tokens, [(0, 1, "PER"), (2, 3, "LOC"), (4, 5, "ORG")], [(0, 5, "ORG")])],
        "three in one": [(tokens, [(0, 5, "ORG")], [(0, 1, "PER"), (2, 3, "ORG"), (4, 5, "ORG")])],
        "wrong label, right place": [(tokens, [(0, 2, "PER"), (3, 4, "LOC")], [(0, 2, "ORG"), (3, 4, "PER")])],
        "label only in gold, label only predicted": [(tokens, [(0, 2, "PER")], [(4, 6, "OTH")])],
        "shifted chain": [(tokens, [(0, 2, "PER"), (2, 4, "PER"), (4, 6, "PER")], [(1, 3, "PER"), (3, 5, "PER")])],
        "a hundredth of a long one": [
            (long, [(0, 2, "PER")], [(0, 1, "PER")]),
            (long, [(1, 4, "LOC")], [(3, 4, "LOC")]),
        ],
        "empty documents among others": [([], [], []), (tokens, [(0, 1, "PER")], [(0, 1, "PER")]), ([4], [], [])],
    }


def random_document(rng: random.Random) -> tuple[list[int], list[Span], list[Span]]:
    lengths = [rng.randint(1, 9) for _ in range(rng.randint(1, 30))]
    gold = random_spans(rng, len(lengths))
    predicted = [disturb(rng, span, len(lengths)) for span in gold if rng.random() < 0.85]
    predicted += random_spans(rng, len(lengths))[:1]
    return lengths, gold, without_overlaps(predicted)


def random_spans(rng: random.Random, n_tokens: int) -> list[Span]:
    spans, at = [], rng.randint(0, 3)
    while at < n_tokens:
        end = min(at + rng.randint(1, 4), n_tokens)
        spans.append((at, end, rng.choice(ENTITY_LABELS)))
        at = end + rng.choice([0, 0, 1, 2, 5])
    return spans


def disturb(rng: random.Random, span: Span, n_tokens: int) -> Span:
    start, end, label = span
    if rng.random() < 0.3:
        start, end = max(0, start + rng.randint(-1, 1)), min(n_tokens, end + rng.randint(-1, 1))
    if rng.random() < 0.2:
        label = rng.choice(ENTITY_LABELS)
    return (start, end, label) if start < end else span


def without_overlaps(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(set(spans)):
        if not kept or kept[-1][1] <= span[0]:
            kept.append(span)
    return kept


def entity_case(name: str, documents: list) -> dict:
    gold = [tags(len(lengths), spans) for lengths, spans, _ in documents]
    predicted = [tags(len(lengths), spans) for lengths, _, spans in documents]
    gold_offsets = [[offsets(lengths, span) for span in spans] for lengths, spans, _ in documents]
    predicted_offsets = [[offsets(lengths, span) for span in spans] for lengths, _, spans in documents]
    return {
        "name": name,
        "gold": gold_offsets,
        "predicted": predicted_offsets,
        "seqeval": seqeval_metrics(gold, predicted),
        "nervaluate": nervaluate_metrics(gold_offsets, predicted_offsets),
    }


def tags(n_tokens: int, spans: list[Span]) -> list[str]:
    row = ["O"] * n_tokens
    for start, end, label in spans:
        row[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return row


def offsets(lengths: list[int], span: Span) -> dict:
    """The span's offsets in a text of tokens with these lengths, separated by single spaces."""
    starts = [sum(lengths[:index]) + index for index in range(len(lengths))]
    start, end, label = span
    return {"start": starts[start], "end": starts[end - 1] + lengths[end - 1], "label": label}


def seqeval_metrics(gold: list[list[str]], predicted: list[list[str]]) -> dict:
    report = classification_report(gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    names = {"micro avg": "micro", "macro avg": "macro"}
    fields = {"precision": "precision", "recall": "recall", "f1": "f1-score", "support": "support"}
    return {
        names.get(label, label): {ours: float(row[theirs]) for ours, theirs in fields.items()}
        for label, row in report.items()
        if label != "weighted avg"
    }


def nervaluate_metrics(gold: list[list[dict]], predicted: list[list[dict]]) -> dict:
    """By scheme: `micro` and each label. nervaluate's ends are inclusive."""

    def inclusive(documents: list[list[dict]]) -> list[list[dict]]:
        return [[{**span, "end": span["end"] - 1} for span in spans] for spans in documents]

    results = Evaluator(inclusive(gold), inclusive(predicted), tags=ENTITY_LABELS, loader="dict").evaluate()
    fields = ["correct", "incorrect", "partial", "missed", "spurious", "precision", "recall", "f1"]

    def row(result: Any) -> dict:
        return {field: getattr(result, field) for field in fields}

    metrics = {}
    for scheme, ours in [("strict", "strict"), ("exact", "exact"), ("partial", "partial"), ("ent_type", "type")]:
        by_label = {label: row(results["entities"][label][scheme]) for label in sorted(results["entities"])}
        metrics[ours] = {"micro": row(results["overall"][scheme]), **by_label}
    return metrics


# Topics


def topic_cases() -> list[dict]:
    one = np.array([[1, 0, 0, 0, 0]])
    cases = [
        topic_case("one document", one, np.array([[0.9, 0.1, 0.2, 0.5, 0.3]])),
        topic_case("certain and wrong", one, np.array([[0.0, 1.0, 0.0, 0.0, 0.0]])),
        topic_case("all scores equal", np.eye(5, dtype=int), np.full((5, 5), 0.5)),
        topic_case(
            "scores on the edges of bins",
            np.eye(5, dtype=int),
            np.linspace(0, 1, 11)[1:].reshape(2, 5)[[0, 1] * 2 + [0]],
        ),
        topic_case("no document has a topic", np.zeros((3, 5), int), np.array([[0.6, 0.1, 0.2, 0.7, 0.3]] * 3)),
        topic_case("nothing accepted", np.eye(5, dtype=int), np.eye(5) * 0.3 + 0.1),
    ]
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = 60
        if seed % 2:
            gold = np.eye(5, dtype=int)[rng.integers(0, 4, n)]
        else:
            gold = (rng.random((n, 5)) < [0.4, 0.1, 0.3, 0.0, 0.2]).astype(int)
        # Single precision, as a model gives them, and few enough digits that some are equal.
        scores = np.clip(0.35 * gold + rng.beta(1, 2, (n, 5)) * 0.8, 0, 1).astype(np.float32).astype(float)
        scores = scores.round(2 if seed < 3 else 9)
        cases.append(topic_case(f"random {seed}", gold, scores))
    return cases


def topic_case(name: str, gold: np.ndarray, scores: np.ndarray) -> dict:
    accepted = (scores >= 0.5).astype(int)
    present = np.flatnonzero(gold.sum(0))
    best = scores.argmax(1)  # the first of equals
    best_hits = gold[np.arange(len(gold)), best]
    micro = precision_recall_fscore_support(gold, accepted, average="micro", zero_division=0)
    macro = (0.0, 0.0, 0.0)
    if len(present):
        macro = precision_recall_fscore_support(gold, accepted, average="macro", labels=present, zero_division=0)
    average_precisions = [average_precision_score(gold[:, label], scores[:, label]) for label in present]
    single = bool((gold.sum(1) == 1).all())
    only = gold.sum(1) == 1
    confusion = np.zeros((5, 5), int)
    if only.any():
        confusion = confusion_matrix(gold[only].argmax(1), best[only], labels=range(5))
    metrics = {
        "accuracy": float(accuracy_score(gold.argmax(1), best)) if single else None,
        "subset_accuracy": float(accuracy_score(gold, accepted)),
        **{f"precision_at_{k}": precision_at(gold, scores, k) for k in (1, 3, 5)},
        **{f"micro_{key}": float(value) for key, value in zip(["precision", "recall", "f1"], micro, strict=False)},
        **{f"macro_{key}": float(value) for key, value in zip(["precision", "recall", "f1"], macro, strict=False)},
        "macro_average_precision": float(np.mean(average_precisions)) if average_precisions else 0.0,
        "micro_average_precision": float(average_precision_score(gold.ravel(), scores.ravel())) if gold.any() else 0.0,
        "log_loss": float(log_loss(gold.ravel(), scores.ravel(), labels=[0, 1])),
        "ece": calibration_error(best_hits, scores.max(1)),
        "ece_all": calibration_error(gold.ravel(), scores.ravel()),
    }
    return {
        "name": name,
        "labels": TOPIC_LABELS,
        "gold": gold.tolist(),
        "scores": scores.tolist(),
        "threshold": 0.5,
        "figures": metrics,
        "confusion": confusion.tolist(),
        "per_label": {
            name: label_metrics(gold[:, label], scores[:, label], accepted[:, label])
            for label, name in enumerate(TOPIC_LABELS)
        },
    }


def precision_at(gold: np.ndarray, scores: np.ndarray, k: int) -> float:
    some = gold.sum(1) > 0
    if not some.any():
        return 0.0
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(gold, order, 1).sum(1)[some].mean() / k)


def calibration_error(hits: np.ndarray, scores: np.ndarray) -> float:
    right, score = calibration_curve(hits, scores, n_bins=10, strategy="uniform")
    edges = np.linspace(0, 1, 11)
    n = np.bincount(np.searchsorted(edges[1:-1], scores), minlength=10)
    return float((np.abs(right - score) * n[n > 0]).sum() / n.sum())


def label_metrics(gold: np.ndarray, scores: np.ndarray, accepted: np.ndarray) -> dict:
    precision, recall, f1, _ = precision_recall_fscore_support(gold, accepted, average="binary", zero_division=0)
    metrics = {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(gold.sum())}
    if not gold.any():
        return {**metrics, "average_precision": None, "best_threshold": None, "best_f1": None}
    thresholds = np.unique(scores)  # rising, so that argmax takes the lowest of equals
    by_threshold = [f1_score(gold, scores >= threshold, zero_division=0) for threshold in thresholds]
    best = int(np.argmax(by_threshold))
    return {
        **metrics,
        "average_precision": float(average_precision_score(gold, scores)),
        "best_threshold": float(thresholds[best]),
        "best_f1": float(by_threshold[best]),
    }


def mcnemar_cases() -> list[dict]:
    pairs = [(0, 0), (1, 0), (0, 6), (3, 9), (40, 60), (700, 640), (2000, 2100)]
    p_values = [float(binomtest(a, a + b).pvalue) if a + b else 1.0 for a, b in pairs]
    return [{"first": a, "second": b, "p_value": p} for (a, b), p in zip(pairs, p_values, strict=True)]


def comparison_case() -> dict:
    """Counts (correct, predicted, gold) of two models on the same documents. The interval of their difference in F1
    comes from 20,000 draws; the p-value is the share of all exchanges with a difference at least as large."""
    rng = np.random.default_rng(5)
    gold = rng.integers(1, 8, 12)
    models = [np.stack([rng.binomial(gold, share), gold + rng.integers(-1, 2, 12), gold], 1) for share in (0.65, 0.85)]
    first, second = models

    def f1(counts: np.ndarray) -> np.ndarray:
        return 2 * counts[..., 0].sum(-1) / (counts[..., 1].sum(-1) + counts[..., 2].sum(-1))

    drawn = rng.integers(0, 12, (20_000, 12))
    low, high = np.quantile(f1(second[drawn]) - f1(first[drawn]), [0.025, 0.975])
    exchanged = (np.arange(2**12)[:, None] >> np.arange(12) & 1).astype(bool)[..., None]
    differences = f1(np.where(exchanged, first, second)) - f1(np.where(exchanged, second, first))
    p_value = float((np.abs(differences) >= abs(differences[0]) - 1e-12).mean())
    return {
        "first": first.tolist(),
        "second": second.tolist(),
        "difference": float(differences[0]),
        "low": float(low),
        "high": float(high),
        "p_value": p_value,
    }


if __name__ == "__main__":
    sys.exit(main())
