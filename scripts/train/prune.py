"""Step 2: the vocabulary. Keeps every single-character piece and the most frequent pieces of German and SIB-200
texts. Reports how many words the smaller tokenizer cuts differently."""

import json
from collections import Counter
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer
from transformers import BertModel

from .config import Config, parse_arguments
from .pieces import batched, choose_pieces
from .records import read_texts
from .speeches import undo_latin1
from .tokenizer import build_tokenizer

GERMAN_DEV_SETS = ["entities/germeval2014.dev", "topics/denews.de.dev", "topics/dip.dev"]
GERMAN_SETS = [
    "entities/germeval2014.train",
    "entities/mobie.train",
    "topics/denews.de.train",
    "topics/dip.train",
    "topics/klexikon.weak",
]
OTHER_SETS = ["topics/currentevents.train", "topics/denews.en.train", "topics/iptc"]
SIB200_SETS = [
    f"topics/sib200.{language}.train"
    for language in (
        "ces_Latn", "dan_Latn", "deu_Latn", "eng_Latn", "fra_Latn", "ita_Latn",
        "nld_Latn", "pol_Latn", "por_Latn", "spa_Latn", "swe_Latn", "tur_Latn",
    )
]  # fmt: skip


def main() -> None:
    config, _ = parse_arguments(__doc__)
    encoder = BertModel.from_pretrained(config.paths.base, add_pooling_layer=False)
    full = Tokenizer.from_file(str(config.paths.base / "tokenizer.json"))
    pieces = full_pieces(full)
    kept = choose_pieces(pieces, count_pieces(full, config), config.vocabulary.max_pieces)
    pruned = build_tokenizer([pieces[index] for index in kept])
    shrink_embeddings(encoder, kept)
    encoder.save_pretrained(config.paths.pruned)
    pruned.save(str(config.paths.pruned / "tokenizer.json"))
    report(full, pruned, len(kept), config)


def full_pieces(tokenizer: Tokenizer) -> list[tuple[str, float]]:
    return [(piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]


def count_pieces(tokenizer: Tokenizer, config: Config) -> Counter:
    """The count of each id in all counted texts."""
    counts: Counter[int] = Counter()
    for texts in batched(counted_texts(config), 2000):
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            counts.update(encoding.ids)
    return counts


def counted_texts(config: Config) -> Iterator[str]:
    data, vocabulary = config.paths.data, config.vocabulary
    for name in GERMAN_SETS + OTHER_SETS + SIB200_SETS:
        yield from read_texts(data, name)
    yield from (part for text in read_texts(data, "text/wiki", vocabulary.wiki_articles) for part in text.split("\n"))
    for text in read_texts(data, "text/bundestag", vocabulary.bundestag_speeches):
        yield from undo_latin1(text).splitlines()


def shrink_embeddings(encoder: BertModel, kept: list[int]) -> None:
    weight = encoder.embeddings.word_embeddings.weight.data[torch.tensor(kept)].clone()
    encoder.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(weight, padding_idx=1)
    encoder.config.vocab_size = len(kept)


def report(full: Tokenizer, pruned: Tokenizer, n_kept: int, config: Config) -> None:
    """Prints the share of words (between white space) that the two tokenizers cut differently, by set."""
    print(f"{n_kept} pieces kept")
    for name in GERMAN_DEV_SETS + [name.replace(".train", ".dev") for name in SIB200_SETS]:
        words = [word for text in read_texts(config.paths.data, name) for word in text.split()]
        pairs = zip(full.encode_batch(words), pruned.encode_batch(words), strict=True)
        n_changed = sum(one.tokens != other.tokens for one, other in pairs)
        print(f"{name:32} {n_changed / len(words):8.3%} of {len(words)} words cut differently")


if __name__ == "__main__":
    main()
