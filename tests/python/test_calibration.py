"""The calibration error of scores on the edges of bins equals scikit-learn's, as in Rust."""

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.train.metrics import calibration_error

CASES = json.loads((Path(__file__).parents[1] / "reference" / "calibration.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_score_on_an_edge_is_in_the_lower_bin(case: dict) -> None:
    error = calibration_error(np.array(case["hits"], float), np.array(case["scores"]))
    assert error == pytest.approx(case["ece"], abs=1e-12)
