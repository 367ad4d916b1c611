"""Step 8: the temperature and the thresholds, chosen on dev sets and written to the folder's `ressort.toml`.

The configuration weights the sets. A rare label's threshold leans on the common one."""

import numpy as np

from .config import Config, parse_arguments
from .decode import scores
from .devsets import document_logits, topic_set
from .inference import Predictor
from .labels import TOPICS
from .metrics import TopicMetrics, topic_metrics
from .thresholds import choose_temperature, choose_thresholds, held_out_thresholds


def main() -> None:
    config, _ = parse_arguments(__doc__)
    predictor = Predictor(config.paths.model)
    targets, logits, weights = calibration_sets(config, predictor)
    temperature = choose_temperature(targets, logits, weights)
    thresholds = choose_thresholds(targets, scores(logits, temperature), weights)
    predictor.manifest.temperature = round(temperature, 3)
    predictor.manifest.thresholds = [round(float(threshold), 2) for threshold in thresholds]
    predictor.manifest.write(config.paths.model)
    print(f"temperature {temperature:.3f}")
    for topic, threshold, n in zip(TOPICS, thresholds, (targets * weights[:, None]).sum(0), strict=True):
        print(f"{topic.slug:16} threshold {threshold:.2f} ({n:.0f} weighted positives)")
    print(f"denews.de.dev held out, 5 folds: {held_out_metrics(config, predictor)}")


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
    targets, logits, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return targets, logits, weights


def held_out_metrics(config: Config, predictor: Predictor) -> TopicMetrics:
    """The metrics on German news when each fold's thresholds are chosen on the other folds."""
    texts, targets = topic_set(config, "denews.de.dev")
    score = scores(document_logits(predictor, texts), predictor.manifest.temperature)
    return topic_metrics(targets, score, held_out_thresholds(targets, score))


if __name__ == "__main__":
    main()
