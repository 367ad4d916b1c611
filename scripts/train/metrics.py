"""The metrics: strict span F1 of entities; P@1, micro- and macro-F1 and calibration error of topics.

They equal those of `ressort evaluate`; a test compares both with tests/reference/metrics.json."""

from dataclasses import dataclass

import numpy as np
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2


def span_f1(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, float]:
    """Strict span F1 in percent by label, `micro` among them, by seqeval in strict IOB2."""
    report = classification_report(gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    return {
        "micro" if label == "micro avg" else label: 100 * row["f1-score"]
        for label, row in report.items()
        if label == "micro avg" or " avg" not in label
    }


# The columns of `TopicMetrics` as a string, after a first column.
METRICS_HEAD = "| n | P@1 | micro F1 | macro F1 | ECE best | ECE all |\n|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class TopicMetrics:
    """Fractions. `macro_f1` is over the labels that occur; `ece_top` takes the best label of each document, `ece_all`
    every score."""

    n: int
    p_at_1: float
    micro_f1: float
    macro_f1: float
    ece_top: float
    ece_all: float

    def __str__(self) -> str:
        return (
            f"{self.n:5} | {self.p_at_1:.3f} | {self.micro_f1:.3f} | {self.macro_f1:.3f} | "
            f"{self.ece_top:.3f} | {self.ece_all:.3f}"
        )


def topic_metrics(targets: np.ndarray, scores: np.ndarray, thresholds: np.ndarray) -> TopicMetrics:
    """For `[documents, topics]` targets (0 or 1) and scores. Documents without any topic don't count for P@1."""
    accepted = scores >= thresholds
    best = scores.argmax(1)
    hit = targets[np.arange(len(targets)), best]
    some = targets.sum(1) > 0
    present = targets.sum(0) > 0
    by_label = label_f1(targets, accepted)
    return TopicMetrics(
        n=len(targets),
        p_at_1=float(hit[some].mean()) if some.any() else 0.0,
        micro_f1=float(f1(targets, accepted)),
        macro_f1=float(by_label[present].mean()) if present.any() else 0.0,
        ece_top=calibration_error(hit, scores.max(1)),
        ece_all=calibration_error(targets.ravel(), scores.ravel()),
    )


def f1(targets: np.ndarray, accepted: np.ndarray) -> float:
    both = (targets * accepted).sum()
    return 2 * both / max(targets.sum() + accepted.sum(), 1e-9)


def label_f1(targets: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    return np.array([f1(targets[:, index], accepted[:, index]) for index in range(targets.shape[1])])


def calibration_error(hits: np.ndarray, scores: np.ndarray, n_bins: int = 10) -> float:
    """Expected calibration error. A bin holds the scores above its lower edge, up to and including its upper edge."""
    bins = np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], scores)
    error = sum(
        abs(hits[bins == index].mean() - scores[bins == index].mean()) * (bins == index).mean()
        for index in np.unique(bins)
    )
    return float(error)
