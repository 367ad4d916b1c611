"""Our own labelled news (markup.py) as training examples: whole texts cut between sentences, never inside one."""

import random
import re

from .alter import draw_alteration
from .config import Config
from .entities import Encoder, EntityExample, TaggedText, alter_tagged, encode_tagged, tag_words
from .markup import News, read_news

# After a final stop, before what a sentence begins with; and at line breaks. Abbreviations make it an estimate.
SENTENCE_END = re.compile(r"(?<=\w\w[.!?])[“\"»]?\s+(?=[A-ZÄÖÜ„»\"])|\n+")


def news_examples(encoder: Encoder, config: Config, rng: random.Random) -> list[EntityExample]:
    """One copy of all texts, cut and altered by chance."""
    settings, examples = config.entities, []
    for news in read_news(part="train"):
        for group in news_groups(news, settings.window_sentences, rng):
            is_altered = rng.random() < settings.alteration_share
            tagged = alter_tagged(group, draw_alteration(rng), rng) if is_altered else group
            examples.append(encode_tagged(tagged, encoder))
    return examples


def news_groups(news: News, sizes: list[int], rng: random.Random) -> list[TaggedText]:
    """The text in stretches of `sizes[0]..=sizes[1]` sentences, as they stand in it."""
    tagged = tag_words(news.record())
    ends = [match.end() for match in SENTENCE_END.finditer(tagged.text)] + [len(tagged.text)]
    groups, begin = [], 0
    while ends:
        size = rng.randint(sizes[0], sizes[1])
        end, ends = ends[min(size, len(ends)) - 1], ends[size:]
        if tagged.text[begin:end].strip():
            groups.append(cut(tagged, begin, end))
        begin = end
    return groups


def cut(tagged: TaggedText, begin: int, end: int) -> TaggedText:
    """The words of `begin..end`, which cuts no word."""
    kept = [index for index, (start, stop) in enumerate(tagged.words) if begin <= start and stop <= end]
    words = [(tagged.words[index][0] - begin, tagged.words[index][1] - begin) for index in kept]
    return TaggedText(tagged.text[begin:end], words, [tagged.tags[index] for index in kept])
