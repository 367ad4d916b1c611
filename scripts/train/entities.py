"""Entity examples: GermEval 2014 sentences alone and in windows, some altered, tagged on first pieces."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .alter import alter, draw_alteration
from .config import Config
from .labels import ENTITY_INDEX, UNLABELLED
from .records import read_training_records
from .truecase import Truecaser
from .words import WORD

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MAX_TOKENS = 510  # what the encoder takes, less `<s>` and `</s>`
SEPARATORS = [" ", " ", " ", "\n", "\n\n"]


@dataclass(frozen=True)
class TaggedText:
    """A text with its gold words (half-open spans in code points) and one BIO tag a word."""

    text: str
    words: list[tuple[int, int]]
    tags: list[str]


@dataclass(frozen=True)
class EntityExample:
    input_ids: list[int]
    tags: list[int]  # an index into ENTITY_TAGS for a word's first piece, else UNLABELLED


@dataclass(frozen=True)
class Encoder:
    """Text to pieces, as the service does it."""

    tokenizer: "Tokenizer"
    truecaser: Truecaser

    def encode(self, text: str) -> "Encoding":
        return self.tokenizer.encode(self.truecaser.restore(text))


def entity_examples(encoder: Encoder, config: Config, rng: random.Random) -> list[EntityExample]:
    """One copy of the training set in sequence, cut and altered by chance."""
    settings = config.entities
    records = read_training_records(config.paths.data, "entities/germeval2014.train")
    sentences = [tag_words(without_eras(record)) for record in records]
    examples = []
    for group in group_sentences(sentences, settings.single_share, settings.window_sentences, rng):
        tagged = join(group, rng)
        if rng.random() < settings.alteration_share:
            tagged = alter_tagged(tagged, draw_alteration(rng), rng)
        examples.append(encode_tagged(tagged, encoder))
    return examples


def without_eras(record: dict) -> dict:
    """GermEval labels `Chr.` a person in `44 v. Chr.`; no reader of news would."""
    names = (record["text"][entity["start"] : entity["end"]] for entity in record["entities"])
    kept = [entity for entity, name in zip(record["entities"], names, strict=True) if name != "Chr."]
    return {**record, "entities": kept}


def tag_words(record: dict) -> TaggedText:
    """BIO tags of a record's gold tokens. A token belongs to an entity if it lies inside it."""
    tags = ["O"] * len(record["token_spans"])
    for entity in record["entities"]:
        prefix = "B"
        for index, (start, end) in enumerate(record["token_spans"]):
            if entity["start"] <= start and end <= entity["end"]:
                tags[index] = f"{prefix}-{entity['label']}"
                prefix = "I"
    return TaggedText(record["text"], [(start, end) for start, end in record["token_spans"]], tags)


def group_sentences(
    sentences: list[TaggedText], single_share: float, sizes: list[int], rng: random.Random
) -> list[list[TaggedText]]:
    """Cuts the list, in its order, into single sentences and windows of `sizes[0]..=sizes[1]` neighbours."""
    groups, position = [], 0
    mean_size = sum(sizes) / 2
    # Groups are drawn, so the share of sentences must become a share of groups.
    single_rate = single_share * mean_size / (single_share * mean_size + 1 - single_share)
    while position < len(sentences):
        size = 1 if rng.random() < single_rate else rng.randint(sizes[0], sizes[1])
        groups.append(sentences[position : position + size])
        position += size
    return groups


def join(group: list[TaggedText], rng: random.Random) -> TaggedText:
    return join_with(group, lambda: rng.choice(SEPARATORS))


def join_with(group: list[TaggedText], separator: Callable[[], str]) -> TaggedText:
    text, words, tags = "", [], []
    for index, sentence in enumerate(group):
        if index:
            text += separator()
        words += [(start + len(text), end + len(text)) for start, end in sentence.words]
        tags += sentence.tags
        text += sentence.text
    return TaggedText(text, words, tags)


def alter_tagged(tagged: TaggedText, name: str, rng: random.Random | None = None) -> TaggedText:
    altered = alter(tagged.text, name, rng)
    moved = [(altered.move(*word), tag) for word, tag in zip(tagged.words, tagged.tags, strict=True)]
    left = [(word, tag) for word, tag in moved if word[0] < word[1]]
    return TaggedText(altered.text, [word for word, _ in left], [tag for _, tag in left])


def encode_tagged(tagged: TaggedText, encoder: Encoder) -> EntityExample:
    encoding = encoder.encode(tagged.text)
    tags = [UNLABELLED if tag is None else ENTITY_INDEX[tag] for tag in tag_pieces(encoding, tagged)]
    ids = encoding.ids
    if len(ids) > MAX_TOKENS + 2:
        ids, tags = ids[: MAX_TOKENS + 1] + ids[-1:], tags[: MAX_TOKENS + 1] + tags[-1:]
    return EntityExample(ids, tags)


def tag_pieces(encoding: "Encoding", tagged: TaggedText) -> list[str | None]:
    """The tag of each piece that is a word's first, `None` for the others. Words are those that the service tags."""
    tags: list[str | None] = [None] * len(encoding.ids)
    served = split_as_served(tagged)
    for piece, tag in zip(first_pieces(encoding, served), served.tags, strict=True):
        if piece is not None and tags[piece] is None:
            tags[piece] = tag
    return tags


def split_as_served(tagged: TaggedText) -> TaggedText:
    """The words that the service tags. A gold token can be several: `Inc.` is a word and a punctuation token."""
    words, tags = [], []
    for (start, end), tag in zip(tagged.words, tagged.tags, strict=True):
        for match in WORD.finditer(tagged.text, start, end):
            words.append(match.span())
            tags.append("I-" + tag[2:] if tag != "O" and match.start() > start else tag)
    return TaggedText(tagged.text, words, tags)


def first_pieces(encoding: "Encoding", tagged: TaggedText) -> list[int | None]:
    """For each word the index of the first piece that begins in it, leading white space ignored. Else the piece that
    covers the word's beginning, or `None` if the tokenizer dropped the word."""
    owners = {}
    for piece, (start, end) in enumerate(encoding.offsets):
        covered = tagged.text[start:end]
        for position in range(start + len(covered) - len(covered.lstrip()), end):
            owners.setdefault(position, piece)
    begins = {}
    for position in sorted(owners, reverse=True):
        begins[owners[position]] = position
    pieces = []
    for start, end in tagged.words:
        inside = [owners[p] for p in range(start, end) if p in owners and begins[owners[p]] >= start]
        pieces.append(inside[0] if inside else owners.get(start))
    return pieces
