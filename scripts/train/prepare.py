"""Step 4: training examples of all tasks, encoded and written to the work folder. All cores share the work."""

import os
import random
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from .config import Config, parse_arguments
from .entities import Encoder, EntityExample, entity_examples
from .labels import TOPICS
from .news import news_examples
from .open_entities import open_examples
from .topics import TopicExample, TopicItem, topic_examples, topic_items
from .truecase import read_truecaser

CHUNK_ITEMS = 2000
Job = tuple[Any, int]  # what a process is given, and the seed of its random choices


def main() -> None:
    config, _ = parse_arguments(__doc__)
    config.paths.examples.mkdir(parents=True, exist_ok=True)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # each core has a process
    writers = {"entities": prepare_entities, "open": prepare_open, "topics": prepare_topics}
    for task in config.training.tasks:
        writers[task](config)


def prepare_entities(config: Config) -> None:
    settings = config.entities
    passes = [("germeval", index) for index in range(settings.passes)]
    passes += [("news", index) for index in range(settings.news_passes)]
    examples: list[EntityExample] = [example for part in in_processes(config, entity_pass, passes) for example in part]
    if settings.news_passes:
        random.Random(config.seed).shuffle(examples)
    lengths = [len(example.input_ids) for example in examples]
    np.savez(
        config.paths.examples / "entities.npz",
        lengths=lengths,
        input_ids=np.concatenate([example.input_ids for example in examples]).astype(np.int32),
        tags=np.concatenate([example.tags for example in examples]).astype(np.int16),
    )
    print(f"entities: {len(examples)} examples, {sum(lengths)} tokens, longest {max(lengths)}")


def entity_pass(config: Config, job: Job) -> list[EntityExample]:
    source, index = job
    make = {"germeval": entity_examples, "news": news_examples}[source]
    return make(read_encoder(config), config, random.Random(f"{config.seed} {source} {index}"))


def prepare_open(config: Config) -> None:
    examples = open_examples(read_encoder(config), config, random.Random(config.seed + 2))
    lengths = [len(ids) for ids, _ in examples]
    np.savez(
        config.paths.examples / "open.npz",
        lengths=lengths,
        input_ids=np.concatenate([ids for ids, _ in examples]).astype(np.int32),
        allowed=np.concatenate([allowed for _, allowed in examples]).astype(np.int32),
    )
    print(f"open: {len(examples)} examples, {sum(lengths)} tokens")


def prepare_topics(config: Config) -> None:
    items = topic_items(config, random.Random(config.seed + 1))
    chunks = [(items[begin : begin + CHUNK_ITEMS], begin) for begin in range(0, len(items), CHUNK_ITEMS)]
    examples = [example for part in in_processes(config, topic_chunk, chunks) for example in part]
    lengths = [len(example.input_ids) for example in examples]
    targets = np.stack([example.targets for example in examples])
    for labels in config.paths.examples.glob("topics.*.npy"):
        labels.unlink()  # of teachers, for the examples of an earlier run
    np.savez(
        config.paths.examples / "topics.npz",
        lengths=lengths,
        input_ids=np.concatenate([example.input_ids for example in examples]).astype(np.int32),
        asked=np.concatenate([example.asked for example in examples]).astype(np.int8),
        targets=targets,
        weights=np.stack([example.weights for example in examples]),
    )
    several = (targets.sum(1) > 1).mean()
    print(f"topics: {len(examples)} examples, {sum(lengths)} tokens, {several:.0%} with several labels")
    print(", ".join(f"{topic.slug} {n:.0f}" for topic, n in zip(TOPICS, targets.sum(0), strict=True)))


def topic_chunk(config: Config, job: tuple[list[TopicItem], int]) -> list[TopicExample]:
    items, begin = job
    return topic_examples(items, read_encoder(config), config, random.Random(f"{config.seed} topics {begin}"))


def read_encoder(config: Config) -> Encoder:
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    return Encoder(tokenizer, read_truecaser(config.paths.truecase))


def in_processes(config: Config, work: Callable[[Config, Any], list], jobs: list) -> Iterable[list]:
    """The result of each job, in order, from one process a core."""
    with ProcessPoolExecutor() as pool:
        yield from pool.map(partial(work, config), jobs)


if __name__ == "__main__":
    main()
