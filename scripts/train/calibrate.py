"""Step 8: the temperature and the thresholds, chosen on dev sets and written to the folder's `ressort.toml`.

The sets are weighted by the configuration, the German news first. A rare label's threshold leans on the common one."""

import numpy as np

from .config import Config, parse_arguments
from .devsets import document_logits, topic_set
from .inference import Predictor, scores
from .labels import TOPICS
from .metrics import topic_figures

GRID = np.arange(0.10, 0.81, 0.01)
LEANING = 8.0  # a label with so many (weighted) positives takes half of its own best threshold, half of the common one

STEADINESS = 0.5  # how much F1 a threshold must gain to lie away from the common one: this times the distance squared


def main() -> None:
    config, _ = parse_arguments(__doc__)
    predictor = Predictor(config.paths.model)
    targets, logits, weights = calibration_sets(config, predictor)
    temperature = choose_temperature(targets, logits, weights)
    thresholds = choose_thresholds(targets, scores(logits, temperature), weights)
    predictor.manifest.temperature = round(float(temperature), 3)
    predictor.manifest.thresholds = [round(float(threshold), 2) for threshold in thresholds]
    predictor.manifest.write(config.paths.model)
    print(f"temperature {temperature:.3f}")
    for topic, threshold, n in zip(TOPICS, thresholds, (targets * weights[:, None]).sum(0)):
        print(f"{topic.slug:16} threshold {threshold:.2f} ({n:.0f} weighted positives)")
    print(f"denews.de.dev held out, 5 folds: {held_out_figures(config, predictor)}")


def calibration_sets(config: Config, predictor: Predictor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, logits and weights of the documents of all sets."""
    weights = config.calibration.weights
    sets = [
        ("denews.de.dev", None, weights["denews"]),
        ("currentevents.dev", None, weights["currentevents"]),
        ("dip.dev", config.calibration.dip_documents, weights["dip"]),
    ]
    parts = []
    for name, limit, weight in sets:
        texts, targets = topic_set(config, name, limit)
        parts.append((targets, document_logits(predictor, texts), np.full(len(texts), weight)))
    targets, logits, weights = (np.concatenate(arrays) for arrays in zip(*parts))
    return targets, logits, weights


def choose_temperature(targets: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> float:
    """The one with the least binary cross entropy."""

    def loss(temperature: float) -> float:
        score = np.clip(scores(logits, temperature), 1e-6, 1 - 1e-6)
        losses = -(targets * np.log(score) + (1 - targets) * np.log(1 - score))
        return float((losses.sum(1) * weights).sum())

    return min(np.arange(0.5, 2.51, 0.02), key=loss)


def choose_thresholds(targets: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For each label the threshold with the best F1, drawn to the one that is best for all labels together."""

    def best(columns: slice, near: float | None = None) -> float:
        figures = np.array([_weighted_f1(targets[:, columns], score[:, columns] >= t, weights) for t in GRID])
        if near is not None:
            # F1 is ragged over so few documents: where it is nearly flat the common threshold is the steadier choice.
            figures = figures - STEADINESS * (GRID - near) ** 2
        return float(GRID[figures.argmax()])

    common = best(slice(None))
    n = (targets * weights[:, None]).sum(0)
    own = np.array([best(slice(i, i + 1), common) if n[i] else common for i in range(targets.shape[1])])
    return (own * n + common * LEANING) / (n + LEANING)


def _weighted_f1(targets: np.ndarray, accepted: np.ndarray, weights: np.ndarray) -> float:
    column = weights[:, None]
    both = (targets * accepted * column).sum()
    return 2 * both / max((targets * column).sum() + (accepted * column).sum(), 1e-9)


def held_out_figures(config: Config, predictor: Predictor):
    """The figures on German news when each fold's thresholds are chosen on the other folds."""
    texts, targets = topic_set(config, "denews.de.dev")
    score = scores(document_logits(predictor, texts), predictor.manifest.temperature)
    return topic_figures(targets, score, held_out_thresholds(targets, score))


def held_out_thresholds(targets: np.ndarray, score: np.ndarray, n_folds: int = 5) -> np.ndarray:
    """For each document the thresholds that the other folds would choose, `[documents, topics]`."""
    folds = np.arange(len(targets)) % n_folds
    thresholds = np.zeros_like(score)
    for fold in range(n_folds):
        others = folds != fold
        thresholds[~others] = choose_thresholds(targets[others], score[others], np.ones(others.sum()))
    return thresholds


if __name__ == "__main__":
    main()
