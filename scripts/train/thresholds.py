"""Chooses the temperature and the thresholds of topic scores, on gold targets and logits."""

import math
from collections.abc import Callable

import numpy as np

from .decode import sigmoid, softmax

GRID = np.arange(0.10, 0.81, 0.01)
TEMPERATURES = np.arange(0.5, 2.51, 0.02)
# The weighted positives of a label at which its threshold is the mean of the label's best one and the common one.
LEANING = 8.0
# The gain in F1 that a threshold needs to differ from the common one: this times the square of the difference.
STEADINESS = 0.5
# The least threshold: below it, F1 on dev gains by labels that most readers would call wrong.
FLOOR = 0.30


def choose_temperature(targets: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> float:
    """The temperature with the least binary cross entropy."""

    def loss(temperature: float) -> float:
        score = np.clip(sigmoid(logits, temperature), 1e-6, 1 - 1e-6)
        losses = -(targets * np.log(score) + (1 - targets) * np.log(1 - score))
        return float((losses.sum(1) * weights).sum())

    return _least(loss)


def choose_softmax_temperature(targets: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> float:
    """The temperature with the least cross entropy, for a model with one topic a document."""

    def loss(temperature: float) -> float:
        of_gold = (softmax(logits, temperature) * targets).sum(1)
        return float(-(np.log(np.clip(of_gold, 1e-6, 1)) * weights).sum())

    return _least(loss)


def _least(loss: Callable[[float], float]) -> float:
    return float(min(TEMPERATURES, key=loss))


def choose_thresholds(targets: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For each label the threshold with the best F1, pulled towards the one that is best for all labels together.

    None is below `FLOOR`."""

    def best(columns: slice, near: float | None = None) -> float:
        f1 = np.array([_weighted_f1(targets[:, columns], score[:, columns] >= t, weights) for t in GRID])
        if near is not None:
            # F1 is ragged over few documents: where it is nearly flat, the common threshold is the steadier choice.
            f1 = f1 - STEADINESS * (GRID - near) ** 2
        return float(GRID[f1.argmax()])

    common = best(slice(None))
    n = (targets * weights[:, None]).sum(0)
    own = np.array([best(slice(i, i + 1), common) if n[i] else common for i in range(targets.shape[1])])
    return np.maximum((own * n + common * LEANING) / (n + LEANING), FLOOR)


def lower_for_recall(
    thresholds: np.ndarray, targets: np.ndarray, score: np.ndarray, recalls: dict[int, float]
) -> np.ndarray:
    """The thresholds, those of the labels in `recalls` low enough for that recall. None is lowered below `FLOOR`."""
    lowered = thresholds.copy()
    for label, recall in recalls.items():
        of_gold = np.sort(score[targets[:, label] > 0, label])[::-1]
        if len(of_gold):
            n_found = max(math.ceil(recall * len(of_gold)), 1)
            # Thresholds are written with two decimals.
            enough = math.floor(of_gold[n_found - 1] * 100) / 100
            lowered[label] = max(min(lowered[label], enough), FLOOR)
    return lowered


def _weighted_f1(targets: np.ndarray, accepted: np.ndarray, weights: np.ndarray) -> float:
    column = weights[:, None]
    both = (targets * accepted * column).sum()
    return 2 * both / max((targets * column).sum() + (accepted * column).sum(), 1e-9)


def held_out_thresholds(targets: np.ndarray, score: np.ndarray, n_folds: int = 5) -> np.ndarray:
    """For each document the thresholds that the other folds would choose, `[documents, topics]`."""
    folds = np.arange(len(targets)) % n_folds
    thresholds = np.zeros_like(score)
    for fold in range(n_folds):
        others = folds != fold
        thresholds[~others] = choose_thresholds(targets[others], score[others], np.ones(others.sum()))
    return thresholds
