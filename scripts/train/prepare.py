"""Step 4: training examples of both tasks, encoded and written to the work folder."""

import random

import numpy as np
from tokenizers import Tokenizer

from .config import Config, parse_arguments
from .entities import Encoder, entity_examples
from .labels import TOPICS
from .news import news_examples
from .topics import topic_examples
from .truecase import read_truecaser


def main() -> None:
    config, _ = parse_arguments(__doc__)
    config.paths.examples.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(config.paths.pruned / "tokenizer.json"))
    encoder = Encoder(tokenizer, read_truecaser(config.paths.truecase))
    if "entities" in config.training.tasks:
        prepare_entities(config, encoder)
    if "topics" in config.training.tasks:
        prepare_topics(config, encoder)


def prepare_entities(config: Config, encoder: Encoder) -> None:
    rng = random.Random(config.seed)
    entities = entity_examples(encoder, config, rng)
    if config.entities.news_passes:
        entities += news_examples(encoder, config, rng)
        rng.shuffle(entities)
    lengths = [len(example.input_ids) for example in entities]
    np.savez(
        config.paths.examples / "entities.npz",
        lengths=lengths,
        input_ids=np.concatenate([example.input_ids for example in entities]).astype(np.int32),
        tags=np.concatenate([example.tags for example in entities]).astype(np.int16),
    )
    print(f"entities: {len(entities)} examples, {sum(lengths)} tokens, longest {max(lengths)}")


def prepare_topics(config: Config, encoder: Encoder) -> None:
    topics = topic_examples(encoder, config, random.Random(config.seed + 1))
    lengths = [len(example.input_ids) for example in topics]
    targets = np.stack([example.targets for example in topics])
    np.savez(
        config.paths.examples / "topics.npz",
        lengths=lengths,
        input_ids=np.concatenate([example.input_ids for example in topics]).astype(np.int32),
        asked=np.concatenate([example.asked for example in topics]).astype(np.int8),
        targets=targets,
        weights=np.stack([example.weights for example in topics]),
    )
    print(
        f"topics: {len(topics)} examples, {sum(lengths)} tokens, {(targets.sum(1) > 1).mean():.0%} with several labels"
    )
    print(", ".join(f"{topic.slug} {n:.0f}" for topic, n in zip(TOPICS, targets.sum(0), strict=True)))


if __name__ == "__main__":
    main()
