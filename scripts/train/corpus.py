"""The text for `pretrain`, encoded in windows: whole articles, speeches in parliament, the topic sets, our own news. No
dev or test set is in it."""

from collections.abc import Iterator
from itertools import chain

import numpy as np
from tokenizers import Tokenizer

from .config import Config, parse_arguments
from .markup import read_news
from .records import read_texts, read_training_records
from .speeches import undo_latin1

TITLED_SETS = ("denews.de.train", "denews.en.train", "currentevents.train", "dip.train")
BEGIN, END = 0, 2
MIN_WINDOW = 16  # tokens; a shorter end of a text is left out
BATCH_TEXTS = 2000


def main() -> None:
    config, _ = parse_arguments(__doc__)
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    windows = list(encoded_windows(tokenizer, texts(config), config.pretraining.window_tokens))
    lengths = np.array([len(window) for window in windows])
    order = np.random.default_rng(config.seed).permutation(len(windows))
    flat = np.concatenate([windows[index] for index in order]).astype(np.uint16)
    np.savez(config.paths.corpus, lengths=lengths[order], input_ids=flat)
    print(f"{len(windows)} windows, {len(flat)} tokens")


def texts(config: Config) -> Iterator[str]:
    data, settings = config.paths.data, config.pretraining
    yield from read_texts(data, "text/wiki")
    for speech in read_texts(data, "text/bundestag", settings.bundestag_speeches):
        yield undo_latin1(speech).replace("\r", "\n")
    for name in TITLED_SETS:
        for record in read_training_records(data, f"topics/{name}"):
            yield "\n".join(part for part in (record.get("title"), record["text"]) if part)
    # Neighbours in the set are from different articles, so each sentence is a text.
    yield from (record["text"] for record in read_training_records(data, "entities/germeval2014.train"))
    yield from (news.text for news in read_news(part="train"))


def encoded_windows(tokenizer: Tokenizer, source: Iterator[str], window_tokens: int) -> Iterator[np.ndarray]:
    """Each text in windows of `window_tokens`, special tokens included, without overlap."""
    capacity = window_tokens - 2
    while batch := [text for _, text in zip(range(BATCH_TEXTS), source, strict=False)]:
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            ids = encoding.ids
            for begin in range(0, len(ids), capacity):
                window = ids[begin : begin + capacity]
                if len(window) >= MIN_WINDOW - 2:
                    yield np.fromiter(chain((BEGIN,), window, (END,)), np.uint16, len(window) + 2)


if __name__ == "__main__":
    main()
