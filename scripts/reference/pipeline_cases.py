"""Texts on which the token-classification pipeline is wrong, and why.

The lexicon models know the words, so every error is the pipeline's. `right` lists
label and surface of the entities that a reader would name.
"""

import dataclasses

WORDPIECE, UNIGRAM = "lexicon-ner", "lexicon-ner-unigram"
BY_WORD = ("first", "average", "max")

GLUED = "the word is taken to reach from space to space, so punctuation belongs to it"
NO_SPLIT = "only U+0020 parts words, so two words become one"
STRIPPED = "a WordPiece token shorter than its surface is taken for the rest of a word"
NOT_COMPOSED = "the text is not normalised to NFC, so the decomposed word is unknown"
TRUNCATED = "the text is cut at the model's maximum without a word"
WINDOWED = "windows are decoded alone and merged by overlap, so an edge cuts a name"
LEADING_SPACE = "the token's offset takes in the space before it, and so does the entity's"
LONE_MARK = "a lone word-start token and the token after it become two words"

SIX_WORDS = "und dann kam er auch hier "


@dataclasses.dataclass(frozen=True)
class PipelineCase:
    """One text, the strategies to show, and the right answer (None where it is a matter of taste)."""

    text: str
    why: str
    right: list[tuple[str, str]] | None
    model: str = UNIGRAM
    strategies: tuple[str, ...] = BY_WORD
    stride: int | None = None


CASES = [
    PipelineCase("Er kam nach (Berlin)", GLUED, [("LOC", "Berlin")]),
    PipelineCase("„München“ war gut", GLUED, [("LOC", "München")]),
    PipelineCase("»Köln« und «Paris»", GLUED, [("LOC", "Köln"), ("LOC", "Paris")]),
    PipelineCase("Berlin, Hamburg und Paris.", GLUED, [("LOC", "Berlin"), ("LOC", "Hamburg"), ("LOC", "Paris")]),
    PipelineCase("Dann sprach Angela Merkel.", GLUED, [("PER", "Angela Merkel")]),
    PipelineCase("Siemens: gut, Volkswagen: nicht", GLUED, [("ORG", "Siemens"), ("ORG", "Volkswagen")]),
    PipelineCase("Berlin/Hamburg", GLUED, [("LOC", "Berlin"), ("LOC", "Hamburg")]),
    PipelineCase("Berlin–Paris", GLUED, [("LOC", "Berlin"), ("LOC", "Paris")]),
    PipelineCase("Sie kam aus Berlin-Mitte", GLUED, None),
    PipelineCase("Die EU-Kommission", GLUED, None),
    PipelineCase("Berlin\nMünchen", NO_SPLIT, [("LOC", "Berlin"), ("LOC", "München")]),
    PipelineCase("Er kam nach\nBerlin", NO_SPLIT, [("LOC", "Berlin")]),
    PipelineCase("Er kam nach\r\nBerlin", NO_SPLIT, [("LOC", "Berlin")]),
    PipelineCase("Berlin\tMünchen", NO_SPLIT, [("LOC", "Berlin"), ("LOC", "München")]),
    PipelineCase("Berlin\u00a0München", NO_SPLIT, [("LOC", "Berlin"), ("LOC", "München")]),
    PipelineCase("Er kam nach\u2009Berlin", NO_SPLIT, [("LOC", "Berlin")]),
    PipelineCase("Er kam nach Ber\u00adlin", STRIPPED, [("LOC", "Ber\u00adlin")], WORDPIECE),
    PipelineCase("Er kam nach Ber\u200blin", STRIPPED, [("LOC", "Ber\u200blin")], WORDPIECE),
    PipelineCase("Er kam nach Mu\u0308nchen", NOT_COMPOSED, [("LOC", "Mu\u0308nchen")], WORDPIECE),
    PipelineCase(SIX_WORDS * 5 + "nach Berlin", TRUNCATED, [("LOC", "Berlin")], WORDPIECE, ("simple", "first")),
    PipelineCase(
        SIX_WORDS * 4 + "und dann kam er Angela Müller Merkel " + SIX_WORDS,
        WINDOWED,
        [("PER", "Angela Müller Merkel")],
        WORDPIECE,
        ("simple", "first"),
        stride=1,
    ),
    PipelineCase(
        SIX_WORDS * 4 + "und dann kam er auch Deutsche Bahn " + SIX_WORDS,
        WINDOWED,
        [("ORG", "Deutsche Bahn")],
        WORDPIECE,
        ("simple", "first"),
        stride=0,
    ),
    PipelineCase("Angela Merkel sprach in Köln", LEADING_SPACE, None, "modernbert-ner", ("simple", "first")),
    PipelineCase("Angela Merkel sprach in Köln", LEADING_SPACE, None, "deberta-ner", ("simple", "first")),
    PipelineCase("Siemens und Volkswagen bauen Stellen in Wolfsburg ab", LONE_MARK, None, "roberta-ner"),
]
