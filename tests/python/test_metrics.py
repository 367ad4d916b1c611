"""The training's metrics against tests/reference/metrics.json, which the service is compared with too."""

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.reference.make_metrics import offsets, tags
from scripts.train.metrics import calibration_error, span_f1, topic_metrics

REFERENCE = json.loads((Path(__file__).parents[1] / "reference/metrics.json").read_text())
TOPIC_CASES = {case["name"]: case for case in REFERENCE["topics"]}


@pytest.mark.parametrize("name", TOPIC_CASES)
def test_topic_metrics_equal_the_reference_of_the_service(name: str) -> None:
    case = TOPIC_CASES[name]
    found = topic_metrics(np.array(case["gold"]), np.array(case["scores"]), np.array(case["threshold"]))
    expected = case["figures"]
    assert found.n == len(case["gold"])
    assert found.p_at_1 == pytest.approx(expected["precision_at_1"])
    assert found.micro_f1 == pytest.approx(expected["micro_f1"])
    assert found.macro_f1 == pytest.approx(expected["macro_f1"])
    assert found.ece_top == pytest.approx(expected["ece"])
    assert found.ece_all == pytest.approx(expected["ece_all"])


@pytest.mark.parametrize("score", [0.1, 0.5, 0.9])
def test_a_score_on_an_edge_belongs_to_the_lower_bin(score: float) -> None:
    # In one bin with the score below, a hit and a miss balance; in two bins they don't.
    hits, scores = np.array([1, 0]), np.array([score, score - 0.05])
    assert calibration_error(hits, scores) == pytest.approx(abs(0.5 - (score - 0.025)))


def test_metrics_without_any_gold_topic_are_zero_and_not_nan() -> None:
    found = topic_metrics(np.zeros((2, 3), int), np.full((2, 3), 0.2), np.array(0.5))
    assert (found.p_at_1, found.micro_f1, found.macro_f1) == (0, 0, 0)


def test_span_f1_is_strict_and_by_label() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    predicted = [["B-PER", "O", "O", "B-LOC"]]
    assert span_f1(gold, predicted) == {"PER": 0, "LOC": 100, "micro": 50}


def test_offsets_of_a_span_count_the_spaces_between_tokens() -> None:
    assert offsets([3, 5, 1], (1, 3, "PER")) == {"start": 4, "end": 11, "label": "PER"}
    assert tags(4, [(1, 3, "PER")]) == ["O", "B-PER", "I-PER", "O"]
