"""What the rules for texts as they arrive are worth: labelled texts as HTML, with character references, and hyphenated
at line ends, each evaluated with the rules on and off.

    python -m scripts.bench.text_rules MODEL GOLD.jsonl [--limit 800] [--binary target/release/ressort]

GOLD has one `{"text": …, "entities": [{"start": …, "end": …, "label": …}, …]}` a line. Prints entity F1 in percent;
spans count in the altered text, markup inside a name included.
"""

import argparse
import html
import html.entities
import json
import pathlib
import random
import re
import subprocess
import tempfile
from collections.abc import Callable

NAMES = {ord(value): name for name, value in html.entities.html5.items() if name.endswith(";") and len(value) == 1}
NAMES |= {
    ord(c): f"{name};"
    for c, name in zip(
        "äöüÄÖÜß„“”–\u00a0", "auml ouml uuml Auml Ouml Uuml szlig bdquo ldquo rdquo ndash nbsp".split(), strict=True
    )
}
INLINE = (
    "<b>{}</b>",
    "<i>{}</i>",
    '<a href="https://zeitung.de/?a=1&amp;b=2" title="mehr > hier">{}</a>',
    "<span>{}</span>",
)
WIDTH = 35

# For each character of the text: what stands before it, in its place, and after it.
Pieces = list[tuple[str, str, str]]


def as_html(text: str, rng: random.Random) -> Pieces:
    pieces = [("", html.escape(character, quote=False), "") for character in text]
    for word in re.finditer(r"\w+", text):
        if rng.random() < 0.15:
            before, after = rng.choice(INLINE).split("{}")
            first, last = word.start(), word.end() - 1
            pieces[first] = (before, *pieces[first][1:])
            pieces[last] = (*pieces[last][:2], after)
    for space in re.finditer(r"(?<=[.!?]) |\n+", text):
        pieces[space.start()] = ("", rng.choice(("<br>", "</p><p>", "<br />\n", "</div>\n<div class='t'>")), "")
        for rest in range(space.start() + 1, space.end()):
            pieces[rest] = ("", "", "")
    pieces[0] = ("<!-- Artikel --><style>p { color: red }</style><p>" + pieces[0][0], *pieces[0][1:])
    pieces[-1] = (*pieces[-1][:2], pieces[-1][2] + "</p>\n<script>var a = 1 < 2;</script>")
    return pieces


def with_references(text: str, rng: random.Random) -> Pieces:
    def reference(character: str) -> str:
        if character == " " and rng.random() < 0.1:
            return "&nbsp;"
        if character.isascii() and character not in '&<>"':
            return character
        code = ord(character)
        named = f"&{NAMES[code]}" if code in NAMES else f"&#{code};"
        return rng.choices((named, f"&#{code};", f"&#x{code:x};"), (8, 1, 1))[0]

    return [("", reference(character), "") for character in text]


def hyphenated(text: str, rng: random.Random) -> Pieces:
    """Lines of about `WIDTH` characters, as a column of print has them."""
    pieces, column = [("", character, "") for character in text], 0
    for index, character in enumerate(text):
        column = 0 if character == "\n" else column + 1
        if column < WIDTH:
            continue
        if character == " ":
            pieces[index], column = ("", "\n", ""), 0
        elif character == "-" and text[index + 1 : index + 2].isalpha():
            pieces[index], column = ("", "-\n", ""), 0
        elif re.fullmatch(r"\w{2}[aeiouyäöü]?[a-zß]-?[b-df-hj-np-tv-z][aeiouäöü]\w", text[index - 2 : index + 4]):
            hyphen = rng.choice(("-\n", "-\n", "-\r\n", "- \n", "-\n  ", "\u00ad\n"))
            pieces[index], column = ("", character, hyphen), 0
    return pieces


ALTERATIONS: dict[str, Callable[[str, random.Random], Pieces]] = {
    "clean": lambda text, _rng: [("", character, "") for character in text],
    "html": as_html,
    "references": with_references,
    "hyphenated": hyphenated,
}


def alter(record: dict, name: str) -> dict:
    """The altered record; entities keep what is inside their first and last character."""
    pieces = ALTERATIONS[name](record["text"], random.Random(record["text"]))
    text, starts, ends = "", [], []
    for before, character, after in pieces:
        starts.append(len(text) + len(before))
        ends.append(starts[-1] + len(character))
        text += before + character + after
    entities = [e | {"start": starts[e["start"]], "end": ends[e["end"] - 1]} for e in record["entities"]]
    return {"text": text, "entities": entities}


def f1(arguments: argparse.Namespace, gold: pathlib.Path, rules: str) -> float:
    report = gold.with_suffix(".json")
    command = [arguments.binary, "evaluate", "--data", gold, "--model", arguments.model, "--text-rules", rules]
    with tempfile.TemporaryDirectory() as answers:
        flags = ["--json", report, "--predictions", answers, "--resamples", "1"]
        subprocess.run([*command, *flags], check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())["models"][0]["entities"]["micro"]["f1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("gold", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=800)
    parser.add_argument("--binary", default="target/release/ressort")
    parser.add_argument("--rules", default="html,hyphens", help="the rules to switch off and on")
    arguments = parser.parse_args()
    records = [json.loads(line) for line in arguments.gold.read_text().splitlines()][: arguments.limit]
    rules = arguments.rules.split(",")
    print(f"{'':<12}{'off':>8}{'on':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name in ALTERATIONS:
            gold = pathlib.Path(folder) / f"{name}.jsonl"
            gold.write_text("".join(json.dumps(alter(record, name)) + "\n" for record in records))
            off, on = (f1(arguments, gold, ",".join(f"{rule}={state}" for rule in rules)) for state in ("off", "on"))
            print(f"{name:<12}{100 * off:8.1f}{100 * on:8.1f}")


if __name__ == "__main__":
    main()
