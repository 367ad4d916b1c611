"""From logits to answers, without a model: scores, valid tag sequences, entities."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

import numpy as np

from .entities import WORD, TaggedText, first_pieces
from .names import NO_NAME, after_initials, names_after_titles
from .words import LINK_WORDS, genitive_base, plain_spelling

if TYPE_CHECKING:
    from tokenizers import Encoding

    from .names import Listed, NameList


def sigmoid(logits: np.ndarray, temperature: float) -> np.ndarray:
    return 1 / (1 + np.exp(-logits / temperature))


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return powers / powers.sum(1, keepdims=True)


def pooled_topics(rows: np.ndarray, lead_tokens: int = 0, part_tokens: int = 0) -> np.ndarray:
    """A document's topic logits, from `[tokens, topics]`: the mean, whose weights fall over the first tokens unless
    `lead_tokens` is 0, or where that is more, a part's mean less a penalty. The service does the same
    (src/inference/token_mean.rs)."""
    n_tokens, n_topics = rows.shape
    if not n_tokens:
        return np.zeros(n_topics)
    falling = np.exp(-np.arange(n_tokens) / lead_tokens) if lead_tokens else np.ones(n_tokens)
    mean = np.average(rows, axis=0, weights=np.maximum(falling, LEAST_WEIGHT))
    n_parts = (n_tokens + part_tokens // 2) // part_tokens if part_tokens else 0
    if n_parts < 2:
        return mean
    ends = [part * n_tokens // n_parts for part in range(n_parts + 1)]
    parts = [rows[start:end].mean(0) - PENALTY_OF_PARTS for start, end in pairwise(ends)]
    return np.maximum(mean, np.max(parts, axis=0))


class TagDecoder:
    """From logits over these tags (`O`, and for each label its `B-` and `I-`) to the tags of words."""

    def __init__(self, tags: Sequence[str]):
        self.tags = tags
        labels = [tag if tag == "O" else tag[2:] for tag in tags]
        self._labels = np.array([labels.index(label) for label in labels])
        inside = {tag[2:]: index for index, tag in enumerate(tags) if tag.startswith("I-")}
        # For each label with both tags, the tag of a name's first word and that of the others.
        self._first_and_inside = {
            tag[2:]: (index, inside[tag[2:]])
            for index, tag in enumerate(tags)
            if tag.startswith("B-") and tag[2:] in inside
        }
        self._outside = np.array([0.0 if tag == "O" else -1e4 for tag in tags])
        # 0 where a tag may come first, or (column) follow another (row); far below zero elsewhere.
        self._first = np.array([0.0 if _may_follow("O", tag) else -1e9 for tag in tags])
        self._follows = np.array([[0.0 if _may_follow(before, tag) else -1e9 for tag in tags] for before in tags])
        # The same where `before` is the tag of a word that links the parts of a name, and for the last word.
        self._follows_link = np.array(
            [[0.0 if before == "O" or _continues(before, tag) else -1e9 for tag in tags] for before in tags]
        )
        self._last_on_link = np.array([0.0 if tag == "O" else -1e9 for tag in tags])

    def word_tags(
        self,
        encoding: "Encoding",
        logits: np.ndarray,
        words: TaggedText,
        temperature: float = 1.0,
        names: "NameList | None" = None,
        one_label_per_name: bool = False,
        usual: str | None = None,
        threshold: float = 0.0,
    ) -> list[str]:
        """One tag for each word, by its first piece: the likeliest valid IOB2 sequence that cuts no listed name. A word
        without a first piece is outside of every entity. `usual` is the text in the letter case in which it was read,
        if it had lost its own. A name whose best mention does not reach `threshold` is none."""
        if not words.words:
            return []
        pieces = first_pieces(encoding, words)
        logits, listed = self.with_names(pieces, logits, words, names, usual)
        rows = self.word_rows(pieces, logits, temperature)
        text = words.text if usual is None else usual
        # A listed name may end in a link word (`Hör zu`).
        ends = {name.words[-1] for name in listed if name.n_words > 1 and not name.is_no_name}
        is_link = [text[slice(*word)] in LINK_WORDS and index not in ends for index, word in enumerate(words.words)]
        tags, made_whole = self.with_whole_names(self.best_sequence(rows, is_link), rows, listed, is_link)
        scores = np.exp(rows[np.arange(len(tags)), tags])
        for name in made_whole:
            scores[list(name.words)] = scores[name.first]
        if one_label_per_name:
            tags = self.agreed(words if usual is None else replace(words, text=usual), tags, rows, scores)
        return without_doubtful([self.tags[tag] for tag in tags], words, scores, threshold)

    def with_names(
        self,
        pieces: Sequence[int | None],
        logits: np.ndarray,
        words: TaggedText,
        names: "NameList | None",
        usual: str | None = None,
    ) -> "tuple[np.ndarray, list[Listed]]":
        """The logits of the tokens, `[tokens, tags]`, where listed names raise those of their words' first `pieces`;
        and the names, without those that the model itself reads inside longer ones. One that it reads inside a name of
        another label counts nowhere in the text."""
        if names is None:
            return logits, []

        def likeliest(word: int) -> str:
            piece = pieces[word]
            return "O" if piece is None else self.tags[int(logits[piece].argmax())]

        def continues_name(word: int) -> bool:
            tag = likeliest(word)
            return word > 0 and tag.startswith("I-") and likeliest(word - 1)[2:] == tag[2:]

        def is_word(word: int) -> bool:
            return any(map(str.isalnum, words.text[slice(*words.words[word])]))

        def is_free(name: "Listed") -> bool:
            return name.is_no_name and not (name.first and is_word(name.first - 1))

        found = names.find_in_usual_case(words.text, usual, words.words)
        inner = [name for name in found if not is_free(name) and continues_name(name.first)]
        otherwise = {name.name for name in inner if likeliest(name.first)[2:] != name.label}
        listed = [name for name in found if name not in inner and name.name not in otherwise]
        text = words.text if usual is None else usual
        titled = names_after_titles(text, words.words, listed)
        # A surname may be listed as something else.
        named = set(titled.values())
        listed = [name for name in listed if name.n_words > 1 or name.first not in named]
        raised = logits.copy()
        for name in listed:
            if name.is_no_name and not name.is_part:
                kept = name.announced if name.first in titled else None
                self._free(raised, pieces, name.first + name.n_words, continues_name, is_word, kept)

        def of_name(name: "Listed") -> list[tuple[int, str, float]]:
            is_title = name.announced and name.first in titled
            if not is_title:
                return names.raised(name)
            first = titled[name.first]
            return names.raised_by_title(name, range(first, after_initials(text, words.words, first)))

        # The last name that says something of a word counts.
        weights: dict[int, dict[str, float]] = {}
        for name in listed:
            of_words: dict[int, dict[str, float]] = {}
            for word, tag, weight in of_name(name):
                of_words.setdefault(word, {})[tag] = weight
            weights |= of_words
        for word, of_tags in weights.items():
            piece = pieces[word]
            for tag, weight in of_tags.items():
                if piece is not None and tag in self.tags:
                    raised[piece, self.tags.index(tag)] += weight
        return raised, listed

    def _free(
        self,
        logits: np.ndarray,
        pieces: Sequence[int | None],
        first: int,
        continues_name: Callable[[int], bool],
        is_word: Callable[[int], bool],
        kept: str | None = None,
    ) -> None:
        """Takes the label away from the words that the model reads in one name with what is no name before `first`; the
        first of them may begin another name. After a title they may have the label `kept`, and the later ones continue
        a name with it."""
        freed = list(takewhile(continues_name, range(first, len(pieces))))
        for word in freed:
            row = logits[pieces[word]]
            label = self.tags[int(row.argmax())][2:]
            if word == first:
                for begin, inside in self._first_and_inside.values():
                    row[begin] = max(row[begin], row[inside])
            if kept and label != kept and word > first and is_word(word) and f"I-{kept}" in self.tags:
                inside = self.tags.index(f"I-{kept}")
                row[inside] = max(row[inside], row[self.tags.index(f"I-{label}")])
            if label != kept:
                row[[tag[2:] == label for tag in self.tags]] = NEVER

    def word_rows(self, pieces: Sequence[int | None], logits: np.ndarray, temperature: float) -> np.ndarray:
        """The logarithms of each word's scores, `[words, tags]`."""
        rows = [self._outside if piece is None else _log_softmax(logits[piece] / temperature) for piece in pieces]
        return np.array(rows)

    def with_whole_names(
        self, tags: list[int], rows: np.ndarray, listed: "list[Listed]", is_link: Sequence[bool] = ()
    ) -> "tuple[list[int], list[Listed]]":
        """`tags`, or the likeliest others where they cut a listed name whose first word has its label, or put what is
        listed as no name into one; and these names. The service does the same (decode/name_weights.rs)."""
        whole, broken = rows.copy(), []
        for name in listed:
            words = name.words
            if name.is_part:
                continue
            if name.is_no_name:
                first = inside = self.tags.index(NO_NAME)
                is_broken = all(rows[word].argmax() == first for word in words) and any(tags[w] != first for w in words)
            else:
                first, inside = self._first_and_inside.get(name.label, (-1, -1))
                is_broken = name.n_words > 1 and tags[name.first] == first
            if not is_broken:
                continue
            broken.append(name)
            for word in words:
                other = np.arange(len(self.tags)) != (first if word == name.first else inside)
                whole[word, other] = LEAST_LOG_SCORE
        return (self.best_sequence(whole, is_link) if broken else tags), broken

    def agreed(
        self, words: TaggedText, tags: list[int], rows: np.ndarray, scores: np.ndarray | None = None
    ) -> list[int]:
        """`tags`, where doubtful mentions of a name take the reading that all mentions support, by the log scores
        in `rows`. The words of a changed mention get the mean score over all mentions, into `scores`. The service does
        the same over all stretches of a text together (decode/mentions.rs)."""
        tags = list(tags)
        for mentions in self._repeated_names(words, tags):
            readings: dict[int, list[int]] = {}
            for first, stop in mentions:
                readings.setdefault(int(self._labels[tags[first]]), tags[first:stop])
            labels = list(readings)
            likelihoods = np.array(
                [[_likelihood(rows[first:stop], self._labels == label) for label in labels] for first, stop in mentions]
            )
            best = int(likelihoods.sum(0).argmax())
            for (first, stop), of_readings in zip(mentions, likelihoods, strict=True):
                kept = labels.index(int(self._labels[tags[first]]))
                if kept != best and of_readings[kept] - of_readings[best] < np.log(CLEAR):
                    tags[first:stop] = readings[labels[best]]
                    if scores is not None:
                        scores[first:stop] = _mean_scores(rows, mentions, readings[labels[best]])
        return tags

    def _repeated_names(self, words: TaggedText, tags: list[int]) -> list[list[tuple[int, int]]]:
        """First word of each mention and the one after its last, for every name with several; unlabelled ones too."""

        def name(first: int, stop: int) -> str:
            return plain_spelling(words.text[words.words[first][0] : words.words[stop - 1][1]])

        found = [(first, last + 1) for first, last, _ in spans([self.tags[tag] for tag in tags])]
        found = {(first, stop) for first, stop in found if stop - first <= MAX_WORDS}
        known = {(stop - first, name(first, stop)) for first, stop in found}
        groups: dict[tuple[int, str], list[tuple[int, int]]] = {}
        free = [self.tags[tag] == "O" for tag in tags]
        for length in sorted({length for length, _ in known}, reverse=True):
            for first in range(len(tags) - length + 1):
                stop = first + length
                if (first, stop) not in found and not all(free[first:stop]):
                    continue
                text = name(first, stop)
                for candidate in (genitive_base(text) or text, text):
                    if (length, candidate) in known:
                        groups.setdefault((length, candidate), []).append((first, stop))
                        free[first:stop] = [False] * length
                        break
        return [mentions for mentions in groups.values() if len(mentions) > 1]

    def best_sequence(self, rows: np.ndarray, is_link: Sequence[bool] = ()) -> list[int]:
        """Constrained Viterbi: the valid tag sequence with the largest sum over `[words, tags]`. No name
        ends in a word that links the parts of a name. The service does the same (decode/viterbi.rs)."""
        is_link = is_link or [False] * len(rows)
        sums = rows[0] + self._first
        origins = []
        for row, follows_link in zip(rows[1:], is_link, strict=False):
            paths = sums[:, None] + self._follows + (self._follows_link if follows_link else 0)
            origins.append(paths.argmax(0))
            sums = paths.max(0) + row
        if is_link[-1]:
            sums = sums + self._last_on_link
        sequence = [int(sums.argmax())]
        for origin in reversed(origins):
            sequence.append(int(origin[sequence[-1]]))
        return sequence[::-1]


LEAST_WEIGHT = 0.25  # of a token for the topics, as a share of that of the first
PENALTY_OF_PARTS = 1.0  # in the topic logits of one part of a text
NEVER = -1e4  # the logit of a tag that a word cannot have
LEAST_LOG_SCORE = -87.0  # about that of the smallest f32
LEAST_SCORE = 1e-6  # of a label that others are compared with
CLEAR = 12.0  # a mention is clear if its own reading is that many times as likely as that of the others
MAX_WORDS = 8  # of a name whose mentions agree


def _mean_scores(rows: np.ndarray, mentions: list[tuple[int, int]], tags: list[int]) -> list[float]:
    """The mean score over all mentions of each of their words under its tag."""
    return [float(np.exp([rows[first + index, tag] for first, _ in mentions]).mean()) for index, tag in enumerate(tags)]


def without_doubtful(tags: list[str], words: TaggedText, scores: np.ndarray, threshold: float) -> list[str]:
    """`tags` without the names whose best mention does not reach `threshold`, where a mention's score is the mean over
    its words. The service does the same (decode/name_scores.rs)."""
    if not threshold:
        return tags
    found = spans(tags)
    names = [
        (label, plain_spelling(words.text[words.words[first][0] : words.words[last][1]]).lower())
        for first, last, label in found
    ]
    best: dict[tuple[str, str], float] = dict.fromkeys(names, 0.0)
    keys = [next((key for key in _nominative(*name) if key in best), name) for name in names]
    for key, (first, last, _) in zip(keys, found, strict=True):
        best[key] = max(best[key], float(scores[first : last + 1].mean()))
    kept = list(tags)
    for key, (first, last, _) in zip(keys, found, strict=True):
        if best[key] < threshold:
            kept[first : last + 1] = ["O"] * (last + 1 - first)
    return kept


def _nominative(label: str, name: str) -> list[tuple[str, str]]:
    """The key of the name that `name` may be the genitive of."""
    base = genitive_base(name)
    return [(label, base)] if base else []


def _likelihood(rows: np.ndarray, of_label: np.ndarray) -> float:
    """The logarithm of how likely it is that words with these log scores have a label, as a mean."""
    return float(np.log(np.maximum(np.exp(rows[:, of_label]).sum(1), LEAST_SCORE)).mean())


def found_tags(decoder: TagDecoder, encoding: "Encoding", logits: np.ndarray, gold: TaggedText) -> list[str]:
    """The entities found on the service's words, as one tag for each gold word. A gold word may be a part of a service
    word."""
    words = [match.span() for match in WORD.finditer(gold.text)]
    served = decoder.word_tags(encoding, logits, TaggedText(gold.text, words, []))
    tags, index = ["O"] * len(gold.words), 0
    for first, last, label in spans(served):
        prefix = "B"
        while gold.words[index][0] < words[first][0]:
            index += 1
        while index < len(gold.words) and gold.words[index][1] <= words[last][1]:
            tags[index], prefix, index = f"{prefix}-{label}", "I", index + 1
    return tags


def _may_follow(previous: str, tag: str) -> bool:
    return not tag.startswith("I-") or _continues(previous, tag)


def _continues(previous: str, tag: str) -> bool:
    return tag.startswith("I-") and previous != "O" and previous[2:] == tag[2:]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def spans(tags: list[str]) -> list[tuple[int, int, str]]:
    """First word, last word and label of each entity in a valid IOB2 sequence."""
    found = []
    for index, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((index, index, tag[2:]))
        elif tag.startswith("I-"):
            found[-1] = (found[-1][0], index, found[-1][2])
    return found
