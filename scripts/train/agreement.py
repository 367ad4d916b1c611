"""The second labelling of our own news: draws texts without their labels, and compares two labellings.

`draw` prints texts of all genres without markup and topics, for an annotator who has not seen the first labels.
`compare` takes the files of `data/agreement/` as second labels and those of `data/news/` as first labels. Labels that
were corrected later are no longer the first ones: `--news` takes the folder of an older checkout."""

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

from .labels import ENTITY_CLASSES, TOPIC_INDEX
from .markup import NEWS, News, count_sentences, read_news, to_markup

AGREEMENT = NEWS.parent / "agreement"
CONTEXT = 30  # characters before and after an entity in the list of disagreements


def draw(texts: list[News], share: float, seed: int) -> list[News]:
    """Whole texts, by chance, until each genre has this share of its sentences; at least one text of each genre."""
    rng, drawn = random.Random(seed), []
    for genre in sorted({news.genre for news in texts}):
        members = sorted((news for news in texts if news.genre == genre), key=lambda news: news.id)
        rng.shuffle(members)
        wanted = share * sum(count_sentences(news.text) for news in members)
        n_sentences = 0
        for news in members:
            if n_sentences >= wanted:
                break
            drawn.append(news)
            n_sentences += count_sentences(news.text)
    return drawn


def pairs(first: list[News], second: list[News]) -> list[tuple[News, News]]:
    """The two labellings of each text of `second`."""
    by_id = {news.id: news for news in first}
    found = []
    for again in second:
        if again.id not in by_id:
            raise ValueError(f"{again.id}: no first labels; remove the text or add it to the news")
        if by_id[again.id].text != again.text:
            raise ValueError(f"{again.id}: the text differs from that of the first labels; draw it again")
        found.append((by_id[again.id], again))
    return found


def f1(n_both: int, n_first: int, n_second: int) -> float:
    return 2 * n_both / (n_first + n_second) if n_first + n_second else 1.0


def entity_table(compared: list[tuple[News, News]]) -> str:
    """Agreement by class: a row counts the entities of both labellings and those with equal span and label."""
    first = Counter(entity.label for news, _ in compared for entity in news.entities)
    second = Counter(entity.label for _, again in compared for entity in again.entities)
    both = Counter(e.label for news, again in compared for e in set(news.entities) & set(again.entities))
    rows = ["| class | first | second | equal | F1 |", "|---|---|---|---|---|"]
    for name in (*ENTITY_CLASSES, "all"):
        counts = [c.total() if name == "all" else c[name] for c in (first, second, both)]
        if counts[0] + counts[1]:
            rows.append(f"| {name} | {counts[0]} | {counts[1]} | {counts[2]} | {f1(counts[2], *counts[:2]):.3f} |")
    return "\n".join(rows)


def topic_table(compared: list[tuple[News, News]]) -> str:
    """Agreement by topic, and the share of texts whose topics are the same set."""
    rows = ["| topic | first | second | equal | F1 |", "|---|---|---|---|---|"]
    totals = Counter()
    for slug in TOPIC_INDEX:
        n_first = sum(slug in news.topics for news, _ in compared)
        n_second = sum(slug in again.topics for _, again in compared)
        n_both = sum(slug in news.topics and slug in again.topics for news, again in compared)
        totals.update(first=n_first, second=n_second, both=n_both)
        if n_first + n_second:
            rows.append(f"| {slug} | {n_first} | {n_second} | {n_both} | {f1(n_both, n_first, n_second):.3f} |")
    total = f1(totals["both"], totals["first"], totals["second"])
    rows.append(f"| all | {totals['first']} | {totals['second']} | {totals['both']} | {total:.3f} |")
    n_sets = sum(set(news.topics) == set(again.topics) for news, again in compared)
    n_leading = sum(news.topics[0] == again.topics[0] for news, again in compared)
    n = len(compared)
    rows.append(f"\nequal sets of topics: {n_sets} of {n}; equal leading topic: {n_leading} of {n}")
    return "\n".join(rows)


def disagreements(news: News, again: News) -> list[str]:
    """One line for each entity that only one labelling has, in the order of the text, and one for topics."""
    lines = []
    if set(news.topics) != set(again.topics):
        lines.append(f"{news.id}: topics {', '.join(news.topics)} < > {', '.join(again.topics)}")
    sides = [(entity, "<") for entity in news.entities] + [(entity, ">") for entity in again.entities]
    shared = set(news.entities) & set(again.entities)
    for entity, side in sorted(sides, key=lambda item: (item[0].start, item[0].end, item[1])):
        if entity not in shared:
            name = news.text[entity.start : entity.end]
            before = news.text[max(0, entity.start - CONTEXT) : entity.start]
            after = news.text[entity.end : entity.end + CONTEXT]
            lines.append(f"{news.id}: {side} {f'{before}[{name}]({entity.label}){after}'!r}")
    return lines


def print_draw(texts: list[News], arguments: argparse.Namespace) -> None:
    done = {news.id for news in read_news(arguments.second)}
    drawn = draw([news for news in texts if news.id not in done], arguments.share, arguments.seed)
    for news in drawn:
        print(f"## id: {news.id} | part: {news.part}\n{to_markup(news.text, ())}\n")
    n_sentences = sum(count_sentences(news.text) for news in drawn)
    print(f"{len(drawn)} texts, {n_sentences} sentences", file=sys.stderr)


def print_comparison(texts: list[News], arguments: argparse.Namespace) -> None:
    second = [news for news in read_news(arguments.second) if arguments.file in (None, news.genre)]
    compared = pairs(texts, second)
    if arguments.verbose:
        print(*(line for news, again in compared for line in disagreements(news, again)), sep="\n")
    n_sentences = sum(count_sentences(news.text) for news, _ in compared)
    print(f"{len(compared)} texts, {n_sentences} sentences\n\n{entity_table(compared)}\n\n{topic_table(compared)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--news", type=Path, default=NEWS, help="folder of the first labels")
    parser.add_argument("--second", type=Path, default=AGREEMENT, help="folder of the second labels")
    commands = parser.add_subparsers(required=True)
    drawing = commands.add_parser("draw", help="print texts that have no second labels, without markup")
    drawing.add_argument("--share", type=float, default=0.05, help="of the sentences of each genre")
    drawing.add_argument("--seed", type=int, default=16)
    drawing.set_defaults(run=print_draw)
    comparing = commands.add_parser("compare", help="print the agreement by class and by topic")
    comparing.add_argument("--file", help="only this file of second labels, without .txt")
    comparing.add_argument("--verbose", action="store_true", help="list the disagreements: < first, > second labels")
    comparing.set_defaults(run=print_comparison)
    arguments = parser.parse_args()
    arguments.run(read_news(arguments.news), arguments)


if __name__ == "__main__":
    main()
