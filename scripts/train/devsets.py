"""The evaluation sets: their texts and topic targets, and the model's logits on them."""

import random

import numpy as np

from .config import Config
from .inference import Predictor
from .labels import SIB200_TOPICS, TOPIC_INDEX, TOPICS
from .markup import read_news
from .records import read_records


def topic_set(config: Config, name: str, limit: int | None = None) -> tuple[list[str], np.ndarray]:
    """Texts and `[documents, topics]` targets of a topic set, a fixed sample of `limit`. A title comes first,
    as in news."""
    records = read_records(config.paths.data, f"topics/{name}")
    if limit and limit < len(records):
        records = random.Random(config.seed).sample(records, limit)
    targets = np.zeros((len(records), len(TOPICS)), np.float32)
    for row, record in zip(targets, records, strict=True):
        topics = record["iptc"] if "iptc" in record else SIB200_TOPICS[record["topics"][0]]
        row[[TOPIC_INDEX[topic] for topic in topics]] = 1
    return [_with_title(record) for record in records], targets


def news_topics() -> tuple[list[str], np.ndarray]:
    """Texts and `[documents, topics]` targets of the dev part of our own news."""
    every = read_news(part="dev")
    targets = np.array([[topic.slug in news.topics for topic in TOPICS] for news in every], np.float32)
    return [news.text for news in every], targets


def document_logits(predictor: Predictor, texts: list[str]) -> np.ndarray:
    """`[documents, topics]`, one text a run: with dynamic int8 a result depends on the rest of the batch."""
    return np.stack([predictor.document_topics(text) for text in texts])


def _with_title(record: dict) -> str:
    return f"{record['title']}\n{record['text']}" if "title" in record else record["text"]
