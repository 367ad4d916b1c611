"""Step 8: the temperatures and the thresholds, chosen on dev sets and written to the folder's `ressort.toml`.

The configuration weights the sets. A rare label's threshold leans on the common one.
Labels that newsrooms must not miss have a least recall (`recalls`)."""

from collections.abc import Iterable

import numpy as np

from .config import Config, parse_arguments
from .decode import sigmoid
from .devsets import document_logits, news_topics, topic_set
from .entities import WORD, TaggedText, first_pieces, tag_pieces, tag_words
from .inference import GERMEVAL_DECODER, Predictor
from .labels import ENTITY_INDEX, TOPIC_INDEX, TOPICS
from .markup import read_news
from .metrics import TopicMetrics, topic_metrics
from .records import read_records
from .thresholds import (
    choose_softmax_temperature,
    choose_temperature,
    choose_thresholds,
    held_out_thresholds,
    lower_for_recall,
)

# Targets and logits `[documents, topics]`, and the weight of each document.
CalibrationSet = tuple[np.ndarray, np.ndarray, np.ndarray]


def main() -> None:
    config, _ = parse_arguments(__doc__)
    predictor = Predictor.load(config.paths.model)
    sets = calibration_sets(config, predictor)
    targets, logits, weights = joined(sets.values())
    temperature = choose_temperature(targets, logits, weights)
    thresholds = choose_thresholds(targets, sigmoid(logits, temperature), weights)
    news_targets, news_logits, _ = joined([sets["denews"], sets["news"]])
    recalls = {TOPIC_INDEX[topic]: recall for topic, recall in config.calibration.recalls.items()}
    thresholds = lower_for_recall(thresholds, news_targets, sigmoid(news_logits, temperature), recalls)
    predictor.manifest.temperature = round(temperature, 3)
    predictor.manifest.thresholds = [round(float(threshold), 2) for threshold in thresholds]
    predictor.manifest.entity_temperature = round(choose_entity_temperature(config, predictor), 3)
    predictor.manifest.write(config.paths.model)
    print(f"temperature {temperature:.3f}, of entities {predictor.manifest.entity_temperature:.3f}")
    for topic, threshold, n in zip(TOPICS, thresholds, (targets * weights[:, None]).sum(0), strict=True):
        print(f"{topic.slug:16} threshold {threshold:.2f} ({n:.0f} weighted positives)")
    print(f"denews.de.dev held out, 5 folds: {held_out_metrics(config, predictor)}")


def calibration_sets(config: Config, predictor: Predictor) -> dict[str, CalibrationSet]:
    sets = {
        "denews": topic_set(config, "denews.de.dev"),
        "currentevents": topic_set(config, "currentevents.dev"),
        "dip": topic_set(config, "dip.dev", config.calibration.dip_documents),
        "news": news_topics(),
    }
    weights = config.calibration.weights
    return {
        name: (targets, document_logits(predictor, texts), np.full(len(texts), weights[name]))
        for name, (texts, targets) in sets.items()
    }


def joined(sets: Iterable[CalibrationSet]) -> CalibrationSet:
    targets, logits, weights = (np.concatenate(arrays) for arrays in zip(*sets, strict=True))
    return targets, logits, weights


def choose_entity_temperature(config: Config, predictor: Predictor) -> float:
    """The temperature at which the tags of words are likeliest, half by news and half by GermEval's sentences."""
    news = [tag_words(news.record()) for news in read_news(part="dev")]
    germeval = read_records(config.paths.data, "entities/germeval2014.dev")[:: config.calibration.every_sentence]
    parts = [tag_logits(predictor, texts) for texts in (news, [tag_words(record) for record in germeval])]
    targets, logits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    weights = np.concatenate([np.full(len(tags), 1 / len(tags)) for tags, _ in parts])
    return choose_softmax_temperature(targets, logits, weights)


def tag_logits(predictor: Predictor, texts: list[TaggedText]) -> tuple[np.ndarray, np.ndarray]:
    """Of every word that has a piece: the gold tag, `[words, tags]` with one 1, and the logits, where listed names
    count."""
    targets, rows = [], []
    for text in texts:
        logits = predictor.token_logits(text.text)
        words = TaggedText(text.text, [match.span() for match in WORD.finditer(text.text)], [])
        pieces = first_pieces(logits.encoding, words)
        raised, _ = GERMEVAL_DECODER.with_names(pieces, logits.entities, words, predictor.names)
        for piece, tag in enumerate(tag_pieces(logits.encoding, text)):
            if tag is not None:
                targets.append(ENTITY_INDEX[tag])
                rows.append(raised[piece])
    return np.eye(len(ENTITY_INDEX))[targets], np.array(rows)


def held_out_metrics(config: Config, predictor: Predictor) -> TopicMetrics:
    """The metrics on German news when each fold's thresholds are chosen on the other folds."""
    texts, targets = topic_set(config, "denews.de.dev")
    score = sigmoid(document_logits(predictor, texts), predictor.manifest.temperature)
    return topic_metrics(targets, score, held_out_thresholds(targets, score))


if __name__ == "__main__":
    main()
