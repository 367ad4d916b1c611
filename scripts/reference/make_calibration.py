"""Writes tests/reference/calibration.json: the ECE of scores on the edges of bins, by scikit-learn's bins.

pip install -r scripts/reference/metrics-requirements.txt
python -m scripts.reference.make_calibration
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve

TARGET = Path(__file__).parents[2] / "tests" / "reference" / "calibration.json"
EDGES = np.linspace(0, 1, 11)
CASES = {
    "every edge": EDGES,
    "every edge, as it is written": np.arange(11) / 10,
    "below, on and above every edge": np.concatenate(
        [np.nextafter(EDGES[1:], 0), EDGES[1:], np.nextafter(EDGES[:-1], 1)]
    ),
    "0 and 1 only": np.array([0.0, 0.0, 1.0, 1.0]),
}


def main() -> None:
    cases = [case(name, scores) for name, scores in CASES.items()]
    made_with = {package: version(package) for package in ["scikit-learn", "numpy"]}
    TARGET.write_text(json.dumps({"made_with": made_with, "cases": cases}, separators=(",", ":")) + "\n")


def case(name: str, scores: np.ndarray) -> dict[str, object]:
    hits = np.arange(len(scores)) % 3 == 0
    right, mean = calibration_curve(hits, scores, n_bins=10, strategy="uniform")
    sizes = np.bincount(np.searchsorted(EDGES[1:-1], scores), minlength=10)
    ece = (np.abs(right - mean) * sizes[sizes > 0]).sum() / sizes.sum()
    return {
        "name": name,
        "scores": scores.tolist(),
        "hits": hits.tolist(),
        "bin_sizes": sizes.tolist(),
        "ece": float(ece),
    }


if __name__ == "__main__":
    main()
