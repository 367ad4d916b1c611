"""Topic examples: items of all topic sets under the 17 top-level Media Topics, some joined, some altered."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .alter import alter, draw_alteration
from .config import Config
from .entities import WORD, Encoder, TaggedText, first_pieces
from .labels import SIB200_TOPICS, TOPIC_INDEX, TOPICS
from .markup import read_news
from .records import read_texts, read_training_records

if TYPE_CHECKING:
    from tokenizers import Encoding

WIKI_LINES = [1, 1, 2, 4, 8]  # a line is mostly one sentence
SHORT_CHARACTERS = 400  # the longest item that may be joined with others


@dataclass(frozen=True)
class TopicItem:
    text: str
    topics: frozenset[str]
    absent_weight: float
    takes_teachers_tags: bool = True


@dataclass(frozen=True)
class TopicExample:
    input_ids: list[int]
    asked: list[int]  # 1 for the first piece of each word, else 0: where teachers may tag
    targets: np.ndarray  # [n_topics], 0 or 1
    weights: np.ndarray  # [n_topics], of each label in the loss


def topic_items(config: Config, rng: random.Random) -> list[TopicItem]:
    """The items of all sets, mixed."""
    settings = config.topics
    items = [
        *denews_items(config, rng),
        *currentevents_items(config, rng),
        *dip_items(config, rng),
        *iptc_items(config, rng),
        *sib200_items(config),
        *klexikon_items(config, rng),
    ]
    rng.shuffle(items)
    items = join_short_items(items, settings.joined_share, rng)
    items += wiki_items(config, rng) + news_items(config, rng)
    rng.shuffle(items)
    return items


def topic_examples(items: list[TopicItem], encoder: Encoder, config: Config, rng: random.Random) -> list[TopicExample]:
    """The items as examples, some altered."""
    settings = config.topics
    return [
        encode_item(alter_item(item, settings.alteration_share, rng), encoder, settings.max_tokens) for item in items
    ]


def denews_items(config: Config, rng: random.Random) -> list[TopicItem]:
    """The news style that matters most, in several forms: whole, without title, the lead, the title, the rest."""
    weight, items = config.topics.absent_weight["denews"], []
    for language in ("de", "en"):
        for record in read_training_records(config.paths.data, f"topics/denews.{language}.train"):
            title, text = record["title"], record["text"]
            sentences = text.split(". ")
            lead, rest = ". ".join(sentences[: rng.randint(1, 3)]), ". ".join(sentences[len(sentences) // 3 :])
            forms = [f"{title}\n{text}", text, f"{title}. {lead}", rest, lead, title]
            passes = config.topics.denews_passes if language == "de" else max(1, config.topics.denews_passes // 2)
            items += [TopicItem(forms[index % len(forms)], _topics(record), weight) for index in range(passes)]
    return items


def currentevents_items(config: Config, rng: random.Random) -> list[TopicItem]:
    records = read_training_records(config.paths.data, "topics/currentevents.train")
    weight = config.topics.absent_weight["currentevents"]
    chosen = sample_balanced(records, config.topics.currentevents_cap, rng)
    return [TopicItem(_titled(record, 0.4, rng).lstrip("+ "), _topics(record), weight) for record in chosen]


def dip_items(config: Config, rng: random.Random) -> list[TopicItem]:
    records = read_training_records(config.paths.data, "topics/dip.train")
    weight = config.topics.absent_weight["dip"]
    chosen = sample_balanced(records, config.topics.dip_cap, rng)
    return [TopicItem(_titled(record, 0.85, rng), _topics(record), weight) for record in chosen]


def iptc_items(config: Config, rng: random.Random) -> list[TopicItem]:
    """Definitions, with and without the topic's name in front."""
    weight, items = config.topics.absent_weight["iptc"], []
    for record in read_training_records(config.paths.data, "topics/iptc"):
        for _ in range(config.topics.iptc_passes.get(record["lang"], 0)):
            definition = record["text"].removeprefix(f"{record['title']}: ")
            text = rng.choice([record["text"], record["text"], definition])
            items.append(TopicItem(text, _topics(record), weight))
    return items


def sib200_items(config: Config) -> list[TopicItem]:
    weight = config.topics.absent_weight["sib200"]
    return [
        TopicItem(record["text"], frozenset(SIB200_TOPICS[record["topics"][0]]), weight)
        for language in config.topics.sib200_languages
        for record in read_training_records(config.paths.data, f"topics/sib200.{language}.train")
    ]


def klexikon_items(config: Config, rng: random.Random) -> list[TopicItem]:
    records = read_training_records(config.paths.data, "topics/klexikon.weak")
    weight = config.topics.absent_weight["klexikon"]
    return [TopicItem(r["text"], _topics(r), weight) for r in sample_balanced(records, config.topics.klexikon_cap, rng)]


def news_items(config: Config, rng: random.Random) -> list[TopicItem]:
    """Our own news: whole, without the first line, and the lead alone. Their tags are gold, so no teacher adds any."""
    items = []
    for news in read_news(part="train") if config.topics.news_passes else []:
        lines = news.text.split("\n")
        forms = [news.text, news.text, "\n".join(lines[1:]), "\n".join(lines[:2])]
        for form in rng.sample(forms, min(config.topics.news_passes, len(forms))):
            items += [TopicItem(form, frozenset(news.topics), 1.0, False)] if form.strip() else []
    return items


def wiki_items(config: Config, rng: random.Random) -> list[TopicItem]:
    """Paragraphs and runs of sentences of an encyclopaedia, without topics: for the teachers to label."""
    articles = read_texts(config.paths.data, "text/wiki")
    items = []
    for _ in range(config.labelling.wiki_paragraphs):
        lines = rng.choice(articles).split("\n")
        begin = rng.randrange(len(lines))
        text = "\n".join(lines[begin : begin + rng.choice(WIKI_LINES)]).strip()
        items += [TopicItem(text, frozenset(), 0.0)] if text else []
    return items


def sample_balanced(records: list[dict], cap: int, rng: random.Random) -> list[dict]:
    """Takes a record, in random order, while one of its labels has been taken less than `cap` times."""
    counts: Counter[str] = Counter()
    chosen = []
    for record in rng.sample(records, len(records)):
        if any(counts[topic] < cap for topic in record["iptc"]):
            counts.update(record["iptc"])
            chosen.append(record)
    return chosen


def join_short_items(items: list[TopicItem], share: float, rng: random.Random) -> list[TopicItem]:
    """Joins `share` of the short items, two to five at a time, so that the model learns long texts and second labels.
    Half of the joined texts have one set of labels; the others have two sets and get their union."""
    short = [item for item in items if len(item.text) <= SHORT_CHARACTERS and item.topics]
    chosen = rng.sample(short, int(len(short) * share))
    taken = set(map(id, chosen))
    joined = [item for item in items if id(item) not in taken]
    by_topics: dict[frozenset[str], list[TopicItem]] = {}
    for item in chosen:
        by_topics.setdefault(item.topics, []).append(item)
    pools = list(by_topics.values())
    while pools:
        first = rng.choices(pools, [len(pool) for pool in pools])[0]
        second = rng.choices(pools, [len(pool) for pool in pools])[0] if rng.random() < 0.5 else first
        parts = _take(first, rng.randint(1, 3)) + _take(second, rng.randint(1, 2))
        pools = [pool for pool in pools if pool]
        rng.shuffle(parts)
        topics = frozenset().union(*(part.topics for part in parts))
        weight = min(part.absent_weight for part in parts)
        joined.append(TopicItem(rng.choice([" ", "\n"]).join(part.text for part in parts), topics, weight))
    rng.shuffle(joined)
    return joined


def alter_item(item: TopicItem, share: float, rng: random.Random) -> TopicItem:
    if rng.random() >= share:
        return item
    return replace(item, text=alter(item.text, draw_alteration(rng), rng).text)


def encode_item(item: TopicItem, encoder: Encoder, max_tokens: int) -> TopicExample:
    encoding = encoder.encode(item.text)
    ids, asked = encoding.ids, first_piece_flags(encoding, item.text)
    if not item.takes_teachers_tags:
        asked = [0] * len(ids)
    if len(ids) > max_tokens:
        ids, asked = ids[: max_tokens - 1] + ids[-1:], [*asked[: max_tokens - 1], 0]
    targets = np.zeros(len(TOPICS), np.float32)
    targets[[TOPIC_INDEX[topic] for topic in item.topics]] = 1
    weights = np.where(targets == 1, 1.0, item.absent_weight).astype(np.float32)
    return TopicExample(ids, asked, targets, weights)


def first_piece_flags(encoding: "Encoding", text: str) -> list[int]:
    asked = [0] * len(encoding.ids)
    words = TaggedText(text, [match.span() for match in WORD.finditer(text)], [])
    for piece in first_pieces(encoding, words):
        if piece is not None:
            asked[piece] = 1
    return asked


def _take(pool: list[TopicItem], n: int) -> list[TopicItem]:
    taken, pool[:] = pool[:n], pool[n:]
    return taken


def _topics(record: dict) -> frozenset[str]:
    return frozenset(record["iptc"])


def _titled(record: dict, share: float, rng: random.Random) -> str:
    if "title" in record and rng.random() < share:
        return f"{record['title']}{rng.choice([': ', '. ', chr(10)])}{record['text']}"
    return record["text"]
