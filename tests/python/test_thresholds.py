"""The choice of temperature and thresholds."""

import numpy as np
import pytest

from scripts.train.decode import sigmoid, softmax
from scripts.train.thresholds import (
    choose_softmax_temperature,
    choose_temperature,
    choose_thresholds,
    held_out_thresholds,
    lower_for_recall,
)


def ones(n: int) -> np.ndarray:
    return np.ones(n)


def test_the_temperature_undoes_a_scaling_of_the_logits() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (4000, 5))
    targets = (rng.random(logits.shape) < sigmoid(logits, 1.0)).astype(float)
    assert choose_temperature(targets, logits, ones(4000)) == pytest.approx(1.0, abs=0.1)
    assert choose_temperature(targets, logits * 2, ones(4000)) == pytest.approx(2.0, abs=0.2)


def test_the_softmax_temperature_undoes_a_scaling_of_the_logits() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (4000, 5))
    shares = softmax(logits, 1.0)
    targets = np.array([rng.multinomial(1, row / row.sum()) for row in shares])
    assert shares.sum(1) == pytest.approx(1.0)
    assert choose_softmax_temperature(targets, logits * 1.5, ones(4000)) == pytest.approx(1.5, abs=0.2)


def test_a_common_label_gets_its_own_threshold_and_a_rare_one_leans_on_the_common_one() -> None:
    # Both labels separate at 0.3; almost all positives belong to the first.
    n = 400
    targets = np.zeros((n, 2))
    targets[:200, 0] = targets[0, 1] = 1
    score = np.where(targets == 1, 0.75, 0.05)
    score[200:, 0] = 0.6  # the first label needs a threshold above 0.6
    chosen = choose_thresholds(targets, score, ones(n))
    assert 0.6 < chosen[0] <= 0.75
    assert chosen[1] == pytest.approx(chosen[0], abs=0.05)


def test_a_label_without_examples_takes_the_common_threshold() -> None:
    targets = np.array([[1, 0], [0, 0]] * 50)
    score = np.where(targets == 1, 0.55, 0.35)
    chosen = choose_thresholds(targets, score, ones(100))
    assert chosen[1] == pytest.approx(chosen[0])


def test_a_document_of_weight_zero_does_not_count() -> None:
    targets = np.array([[1], [0]] * 20 + [[1]] * 40)
    score = np.array([[0.6], [0.4]] * 20 + [[0.2]] * 40)
    weights = np.array([1.0] * 40 + [0.0] * 40)
    assert choose_thresholds(targets, score, weights)[0] > 0.4


def test_held_out_thresholds_ignore_the_own_fold() -> None:
    targets = np.array([[1], [0]] * 25)
    score = np.where(targets == 1, 0.7, 0.3)
    changed = targets.copy()
    changed[0] = 0  # document 0 is in fold 0
    before, after = held_out_thresholds(targets, score), held_out_thresholds(changed, score)
    own_fold = np.arange(50) % 5 == 0
    assert (before[own_fold] == after[own_fold]).all()
    assert before.shape == score.shape
    assert ((before > 0.3) & (before <= 0.7)).all()


def test_a_threshold_is_lowered_until_enough_is_found() -> None:
    targets = np.array([[1, 1, 1]] * 4 + [[0, 0, 0]], float)
    score = np.array([[0.9, 0.2, 0.9], [0.7, 0.2, 0.9], [0.456, 0.2, 0.9], [0.1, 0.2, 0.9], [0.6, 0.6, 0.6]])
    thresholds = lower_for_recall(np.array([0.6, 0.5, 0.6]), targets, score, {0: 0.75, 1: 0.75, 2: 0.75})
    assert thresholds.tolist() == [0.45, 0.3, 0.6], "enough, not below the floor, and none is raised"
    unused = lower_for_recall(np.array([0.6]), np.zeros((2, 1)), np.array([[0.1], [0.2]]), {0: 0.75})
    assert unused.tolist() == [0.6], "no document has the label"
