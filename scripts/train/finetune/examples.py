"""Training examples: each document in windows of whole words, with the tags of its words and its topics."""

import re
from typing import TYPE_CHECKING

import numpy as np

from ..entities import WORD, TaggedText, tag_pieces, tag_words
from ..labels import UNLABELLED
from .documents import Document, Labels
from .settings import Paths, Settings

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


def write_examples(settings: Settings, train: list[Document], labels: Labels, tokenizer: "Tokenizer") -> None:
    """One array for all tokens (`input_ids`, `tags`), or one row an example (`targets`, `weights`)."""
    capacity = settings.training.max_length - 2
    begin, end = tokenizer.encode("").ids
    index = {tag: number for number, tag in enumerate(labels.tags)}
    ids, tags, targets, weights = [], [], [], []
    for document in train:
        encoding = tokenizer.encode(document.text, add_special_tokens=False)
        document_tags, starts = tag_document(document, encoding, index)
        windows = cut_windows(starts, capacity)
        for first, last in windows:
            ids.append([begin, *encoding.ids[first:last], end])
            tags.append([UNLABELLED, *document_tags[first:last], UNLABELLED])
            targets.append(topic_target(document, labels.topics))
            # The topics of a document count once, whatever the number of its windows.
            weights.append(0.0 if document.topics is None else 1 / len(windows))
    lengths = [len(example) for example in ids]
    arrays = {"lengths": lengths, "input_ids": np.concatenate(ids).astype(np.int32)}
    if labels.entities:
        arrays["tags"] = np.concatenate(tags).astype(np.int16)
    if labels.topics:
        arrays |= {"targets": np.stack(targets), "weights": np.array(weights, np.float32)}
    _save(settings.paths, arrays)
    if n_cut := sum(map(n_inside_of_words, train)):
        print(f"note: {n_cut} entities begin or end inside a word; the service gives whole words instead")
    print(f"{len(lengths)} windows of {len(train)} documents, {sum(lengths)} tokens, longest {max(lengths)}")


def tag_document(document: Document, encoding: "Encoding", index: dict[str, int]) -> tuple[list[int], list[bool]]:
    """For each token its tag (`UNLABELLED` except for first pieces of words), and whether a window may begin with it:
    not inside a word or an entity."""
    tags = tag_pieces(encoding, gold_words(document))
    starts = [tag is not None and not tag.startswith("I-") for tag in tags]
    if document.entities is None:
        return [UNLABELLED] * len(tags), starts
    return [UNLABELLED if tag is None else index[tag] for tag in tags], starts


def gold_words(document: Document) -> TaggedText:
    """The service's words, also cut where an entity begins or ends, each with its tag."""
    entities = document.entities or []
    cuts = sorted({offset for entity in entities for offset in (entity["start"], entity["end"])})
    spans = [span for match in WORD.finditer(document.text) for span in _cut(match, cuts)]
    return tag_words({"text": document.text, "token_spans": spans, "entities": entities})


def n_inside_of_words(document: Document) -> int:
    """How many of the document's entities begin or end inside a word."""
    words = [match.span() for match in WORD.finditer(document.text)]
    begins, ends = {begin for begin, _ in words}, {end for _, end in words}
    return sum(entity["start"] not in begins or entity["end"] not in ends for entity in document.entities or [])


def _cut(word: re.Match, cuts: list[int]) -> list[tuple[int, int]]:
    inside = [cut for cut in cuts if word.start() < cut < word.end()]
    return list(zip([word.start(), *inside], [*inside, word.end()], strict=True))


def cut_windows(starts: list[bool], capacity: int) -> list[tuple[int, int]]:
    """Adjacent half-open ranges of at most `capacity` tokens. A range begins where it may, if the one before stays at
    least half full."""
    windows, first = [], 0
    while first < len(starts):
        last = min(first + capacity, len(starts))
        if last < len(starts):
            last = next((token for token in range(last, first + capacity // 2, -1) if starts[token]), last)
        windows.append((first, last))
        first = last
    return windows


def topic_target(document: Document, labels: list[str]) -> np.ndarray:
    """`[topics]`, 0 or 1."""
    return np.isin(labels, document.topics or []).astype(np.float32)


def _save(paths: Paths, arrays: dict) -> None:
    unfinished = paths.examples.with_suffix(".unfinished.npz")
    np.savez(unfinished, **arrays)
    unfinished.rename(paths.examples)
