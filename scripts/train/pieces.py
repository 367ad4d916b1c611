"""Chooses the pieces of a smaller vocabulary."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

SPECIAL_PIECES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def choose_pieces(pieces: list[tuple[str, float]], counts: Counter[int], limit: int) -> list[int]:
    """Ids in their old order (so that `<mask>` stays last): specials, single characters, then the most frequent."""
    kept = {index for index, (piece, _) in enumerate(pieces) if len(piece) == 1 or piece in SPECIAL_PIECES}
    for index, _ in counts.most_common():
        if len(kept) >= limit:
            break
        kept.add(index)
    return sorted(kept)


def batched(items: Iterator[str], size: int) -> Iterator[list[str]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
