"""Writes `ressort.toml`, the manifest that tells the service what the model's outputs mean."""

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from .labels import ENTITY_TAGS, TOPICS

# What the labels mean, in German and English.
DESCRIPTIONS = Path(__file__).parent / "data" / "descriptions.toml"

# Checks that must hold when the service loads the model. Topics must be accepted, entities found.
GOLDEN = [
    {
        "text": "Bundeskanzlerin Angela Merkel reiste am Montag nach Paris.",
        "topics": ["Politik"],
        "entities": [("Angela Merkel", "PER"), ("Paris", "LOC")],
    },
    {
        "text": "Der FC Bayern München hat das Spiel gegen Borussia Dortmund mit 3:1 gewonnen.",
        "topics": ["Sport"],
        "entities": [("FC Bayern München", "ORG"), ("Borussia Dortmund", "ORG")],
    },
    {
        "text": "Bei einem schweren Erdbeben in der Türkei sind mindestens 40 Menschen ums Leben gekommen.",
        "topics": ["Katastrophe und Unglück"],
        "entities": [("Türkei", "LOC")],
    },
]


@dataclass
class Manifest:
    """The values that a training chooses; the labels come from `labels.py`. Thresholds apply after temperature."""

    description: str
    max_length: int
    stride: int
    lead_tokens: int = 0  # 0: all tokens count alike for the topics
    part_tokens: int = 0  # 0: no part of a long text counts alone
    temperature: float = 1.0
    thresholds: list[float] = field(default_factory=lambda: [0.5] * len(TOPICS))
    entity_temperature: float = 1.0
    one_label_per_name: bool = False
    names_weight: float = 0.0  # 0: the folder has no list of names
    entity_threshold: float = 0.0  # 0: all names count

    def write(self, folder: Path) -> None:
        (folder / "ressort.toml").write_text(self.to_toml())

    def to_toml(self) -> str:
        topics = "\n".join(
            f"  {{ label = {_string(topic.german)}, code = {_string(topic.qcode)}, threshold = {threshold:.2f}, "
            f"names = {{ en = {_string(topic.english)} }} }},"
            for topic, threshold in zip(TOPICS, self.thresholds, strict=True)
        )
        return TEMPLATE.format(
            description=_string(self.description),
            max_length=self.max_length,
            stride=self.stride,
            lead_tokens=LEAD_LINE.format(lead_tokens=self.lead_tokens) if self.lead_tokens else "",
            part_tokens=PART_LINE.format(part_tokens=self.part_tokens) if self.part_tokens else "",
            temperature=self.temperature,
            entity_temperature=self.entity_temperature,
            one_label_per_name=str(self.one_label_per_name).lower(),
            threshold=THRESHOLD_LINE.format(threshold=self.entity_threshold) if self.entity_threshold else "",
            skip_blank_tokens=SKIP_BLANK_TOKENS,
            names=NAMES_LINES.format(names_weight=self.names_weight) if self.names_weight else "",
            topics=topics,
            tags=", ".join(map(_string, ENTITY_TAGS)),
            descriptions=DESCRIPTIONS.read_text(encoding="utf-8"),
            golden="\n".join(_golden(check) for check in GOLDEN),
        )


def read_manifest(folder: Path) -> Manifest:
    raw = tomllib.loads((folder / "ressort.toml").read_text())
    topics = raw["topics"]
    return Manifest(
        description=raw["description"],
        max_length=raw["model"]["max_length"],
        stride=raw["model"]["stride"],
        lead_tokens=topics.get("lead_tokens", 0),
        part_tokens=topics.get("part_tokens", 0),
        temperature=topics["temperature"],
        thresholds=[label["threshold"] for label in topics["labels"]],
        entity_temperature=raw["entities"].get("temperature", 1.0),
        one_label_per_name=raw["entities"].get("one_label_per_name", False),
        names_weight=raw["entities"].get("names_weight", 0.0),
        entity_threshold=raw["entities"].get("threshold", 0.0),
    )


# `entities.first_pieces` gives the tag of a word to this token.
SKIP_BLANK_TOKENS = "skip_blank_tokens = true  # a word's tag is that of its first token with a character of the word"

TEMPLATE = """\
description = {description}

[model]
file = "model.onnx"
max_length = {max_length}
stride = {stride}            # tokens shared by neighbouring windows
truecase = "truecase.txt"   # the usual letter case of words, for texts in capitals or without any

[topics]
output = "topic_logits"
problem_type = "multi_label_classification"
pooling = "token-mean"  # logits per token, averaged over the document's tokens
{lead_tokens}{part_tokens}min_letters = 2         # a text with fewer letters has no accepted topic: smileys, numbers
temperature = {temperature:.3f}     # logit / temperature before the sigmoid
labels = [              # in the order of the logits; the threshold is on the score
{topics}
]

[entities]
output = "entity_logits"
aggregation = "viterbi"
temperature = {entity_temperature:.3f}     # logit / temperature before the softmax
{threshold}one_label_per_name = {one_label_per_name}  # the mentions of a name in a text agree, unless one is clear
{skip_blank_tokens}
{names}labels = [{tags}]

{descriptions}{golden}"""

LEAD_LINE = """\
lead_tokens = {lead_tokens}       # the first tokens count most: weights fall to 1/e over this many, and to 1/4 at last
"""

PART_LINE = """\
part_tokens = {part_tokens}       # a topic that is clear in one part of a long text counts
"""

THRESHOLD_LINE = """\
threshold = {threshold:.2f}        # a name must reach this score in one of its mentions
"""

NAMES_LINES = """\
names = "names.txt"     # names with their labels, for names that the model does not know; yours can be added
names_weight = {names_weight:.2f}     # what a listed name adds to the logits of its label
"""


def _golden(check: dict) -> str:
    topics = ", ".join(map(_string, check["topics"]))
    entities = ", ".join(f"{{ text = {_string(text)}, label = {_string(label)} }}" for text, label in check["entities"])
    return f"\n[[golden]]\ntext = {_string(check['text'])}\ntopics = [{topics}]\nentities = [{entities}]\n"


def _string(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False)
