"""Removes names whose listed label is wrong for most of their uses in the labelled training texts: `Zeit` is seldom the
newspaper.

    python -m scripts.train.prune_names --data ../shared/data [--check]

`--check` writes nothing, and fails if there is such a name.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from .markup import read_news
from .names import NAMES, NameList, is_no_name, read_labels, read_lines
from .records import read_training_records
from .words import WORD

GERMEVAL = "entities/germeval2014.train"
OUTSIDE = "O"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--names", type=Path, default=NAMES, help="the list")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a name is used otherwise")
    arguments = parser.parse_args()
    records = [*read_training_records(arguments.data, GERMEVAL), *(news.record() for news in read_news(part="train"))]
    labels = read_labels(arguments.names)
    misleading = find_misleading(labels, count_uses(labels, records))
    for name, uses in sorted(misleading.items()):
        print(f"{name} ({labels[name]}): {', '.join(f'{use} {n}' for use, n in uses.most_common())}")
    if arguments.check:
        return 1 if misleading else 0
    kept = [line for line in read_lines(arguments.names) if line.split("\t")[0].strip() not in misleading]
    arguments.names.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    print(f"{len(misleading)} names removed, {len(labels) - len(misleading)} left")
    return 0


def count_uses(labels: Mapping[str, str], records: Iterable[dict]) -> dict[str, Counter[str]]:
    """For each listed name in the texts, how often it has which label, is outside of entities, or is inside one."""
    names = NameList(dict(labels), 1.0)
    uses: dict[str, Counter[str]] = {}
    for record in records:
        text = record["text"]
        entities = {(entity["start"], entity["end"]): entity["label"] for entity in record["entities"]}
        words = [match.span() for match in WORD.finditer(text)]
        for listed in names.find(text, words):
            start, end = words[listed.first][0], words[listed.first + listed.n_words - 1][1]
            name = text[start:end]
            if listed.is_part or name not in labels:
                continue
            around = next((label for (a, b), label in entities.items() if a <= start and end <= b), None)
            use = entities.get((start, end)) or (f"inside {around}" if around else OUTSIDE)
            uses.setdefault(name, Counter())[use] += 1
    return uses


def find_misleading(labels: Mapping[str, str], uses: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    """The names to remove. A use is wrong if it has another label or none. A name goes if its wrong uses outnumber its
    right ones; a name of several words also needs two wrong uses, since one may be an error of the labels. A single
    word also goes if its wrong uses and its uses inside longer names are more than twice its right ones."""
    misleading = {}
    for name, counts in uses.items():
        right = counts[OUTSIDE if is_no_name(labels[name]) else labels[name]]
        inside = sum(n for use, n in counts.items() if use.startswith("inside "))
        wrong = counts.total() - right - inside
        is_word = len(WORD.findall(name)) == 1
        is_often_wrong = wrong > right and (is_word or wrong > 1)
        if is_often_wrong or (is_word and wrong + inside > 2 * right):
            misleading[name] = counts
    return misleading


if __name__ == "__main__":
    sys.exit(main())
