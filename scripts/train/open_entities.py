"""Sentences labelled with other classes than ours: court decisions (LER), traffic news and tweets (MobIE). Where the
classes don't say which of our tags is right, every possible one is allowed, and the loss leaves it open."""

import random
import re

from .alter import draw_alteration
from .config import Config
from .entities import MAX_TOKENS, Encoder, TaggedText, alter_tagged, first_pieces, split_as_served
from .labels import ENTITY_TAGS
from .records import read_training_records

COURTS = ("bag", "bfh", "bgh", "bpatg", "bsg", "bverfg")
PERSONS = {"PER", "RR", "AN", "person"}
PLACES = {"LD", "ST", "STR", "LDS", "location", "location-city", "location-street", "location-stop"}
ORGANISATIONS = {"ORG", "UN", "INN", "GRT", "organization", "organization-company"}
# Spans that are no names in our scheme.
NO_NAMES = {"trigger", "event-cause", "date", "time", "duration", "distance", "number", "money", "percent"}
NO_NAMES |= {"disaster-type", "org-position", "set"}
# `das Landgericht` is a court to LER, and unlabelled for us.
COMMON_NOUN = re.compile(r"[A-ZÄÖÜ]?[a-zäöüß]*(gericht[es]?|gerichts|senats?|kammer|hofs?|amts?|behörde)")
# What an unlabelled word may be: nothing, or what these sets don't label.
UNNAMED = ["O"] + [tag for tag in ENTITY_TAGS if tag.endswith(("deriv", "part", "OTH"))]


def allow(tags: list[str]) -> int:
    """The set of tags as bits, in the order of `ENTITY_TAGS`."""
    return sum(1 << ENTITY_TAGS.index(tag) for tag in tags)


ALLOWED_UNNAMED = allow(UNNAMED)
ALLOWED_ANY = 0  # no loss


def open_examples(encoder: Encoder, config: Config, rng: random.Random) -> list[tuple[list[int], list[int]]]:
    """`open_sentences` sentences, half from each source: ids, and the allowed tags of each word's first piece."""
    data, n = config.paths.data, config.entities.open_sentences
    courts = [record for name in COURTS for record in read_training_records(data, f"entities/ler.{name}")]
    named = [record for record in courts if record["entities"]]
    traffic = read_training_records(data, "entities/mobie.train")
    chosen = rng.sample(named, min(n // 2, len(named))) + rng.choices(traffic, k=n // 2)
    examples = []
    for record in chosen:
        tagged = tag_openly(record)
        if rng.random() < config.entities.alteration_share:
            tagged = alter_tagged(tagged, draw_alteration(rng), rng)
        examples.append(encode_openly(tagged, encoder))
    rng.shuffle(examples)
    return examples


def tag_openly(record: dict) -> TaggedText:
    """Each served word with the bits of its allowed tags, as a string of digits."""
    text = record["text"]
    plain = TaggedText(text, [tuple(span) for span in record["token_spans"]], ["O"] * len(record["token_spans"]))
    words = split_as_served(plain).words
    allowed = [ALLOWED_UNNAMED] * len(words)
    for entity in record["entities"]:
        start, end = entity["start"], entity["end"]
        while start < end and text[start] in "#@":
            start += 1
        inside = [index for index, word in enumerate(words) if start <= word[0] and word[1] <= end]
        for index in inside:
            allowed[index] = allowed_tags(entity["label"], text[start:end], is_first=index == inside[0])
    return TaggedText(text, words, [str(bits) for bits in allowed])


def allowed_tags(label: str, name: str, is_first: bool) -> int:
    kinds = {"PER": PERSONS, "LOC": PLACES, "ORG": ORGANISATIONS}
    if label in NO_NAMES:
        return ALLOWED_UNNAMED
    if COMMON_NOUN.fullmatch(name) and not name.startswith("Bundes"):
        return ALLOWED_ANY
    classes = [own for own, theirs in kinds.items() if label in theirs]
    if not classes:
        return ALLOWED_ANY
    forms = [classes[0]] + ([f"{classes[0]}part"] if "-" in name else [])
    return allow([f"{'B' if is_first else 'I'}-{form}" for form in forms])


def encode_openly(tagged: TaggedText, encoder: Encoder) -> tuple[list[int], list[int]]:
    encoding = encoder.encode(tagged.text)
    ids, allowed = encoding.ids, [ALLOWED_ANY] * len(encoding.ids)
    for piece, bits in zip(first_pieces(encoding, tagged), tagged.tags, strict=True):
        if piece is not None and not allowed[piece]:
            allowed[piece] = int(bits)
    if len(ids) > MAX_TOKENS + 2:
        ids, allowed = ids[: MAX_TOKENS + 1] + ids[-1:], [*allowed[: MAX_TOKENS + 1], ALLOWED_ANY]
    return ids, allowed
