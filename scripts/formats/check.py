"""Reads what `ressort score` writes for other tools with those tools: Label Studio's SDK, ninjs' schema, spaCy.

    python -m scripts.formats.check --ressort target/debug/ressort

The labelling configuration and the recipe for spaCy are those of docs/scoring-files.md. `ninjs-schema_3.0.json` is the
schema of the IPTC (https://github.com/iptc/newsinjson, specification/), under CC BY 4.0.
"""

import argparse
import html
import json
import os
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import spacy
from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.label_interface.objects import TaskValue
from spacy import displacy
from spacy.tokens import DocBin

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "docs/scoring-files.md"
MODEL = ROOT / "models/ressort"
SCHEMA = Path(__file__).with_name("ninjs-schema_3.0.json")

ROWS = [
    {
        "id": "urn:newsml:zeitung.de:1",
        "title": "😀 Merkel & <Söder> in Köln",
        "lead": "Zoë 👩\u200d👧 war da.",
        "text": "Angela Merkel sprach in München über die EU-Kommission.\r\n\r\nDer FC Bayern München gewann das Spiel "
        "3:1 gegen Borussia Dortmund, meldete der Verein <am Abend>.",
    },
    {
        "id": 2,
        "title": "",
        "lead": None,
        "text": "Die Börse in Frankfurt schloss mit Gewinnen. Siemens & VW stiegen um 3 %.",
    },
    {"title": None, "text": "Morgen regnet es.", "n": 0.5},
    {"id": 4, "text": " "},
]

FIELDS = ["--title-column", "title", "--lead-column", "lead"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ressort", default=str(ROOT / "target/debug/ressort"), help="the program")
    ressort = str(Path(parser.parse_args().ressort).resolve())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
        for flags in ([], FIELDS):
            check_label_studio(json.loads(scored(ressort, "label-studio", flags)))
            check_ninjs(
                [json.loads(line) for line in scored(ressort, "ninjs", [*flags, "--group"]).splitlines()], flags
            )
            check_spacy(json.loads(scored(ressort, "spacy", flags)))
    print("Label Studio, ninjs and spaCy read what `ressort score` writes")


def scored(ressort: str, tool: str, flags: list[str]) -> str:
    """What `tool` gets; the last row has no text, and fails."""
    command = [
        ressort,
        "score",
        "in.jsonl",
        "--output",
        "scored.json",
        "--output-format",
        tool,
        "--overwrite",
        "--quiet",
    ]
    ended = subprocess.run([*command, "--model", str(MODEL), "--providers", "cpu", *flags], check=False)
    assert ended.returncode == 3, f"{tool}: exit code {ended.returncode}"
    return Path("scored.json").read_text(encoding="utf-8")


def block(tag: str) -> str:
    """The only block of the manual with this tag."""
    blocks = re.findall(rf"^```{tag}\n(.*?)^```", MANUAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"{len(blocks)} blocks `{tag}`"
    return blocks[0]


def check_label_studio(tasks: list[dict[str, Any]]) -> None:
    """The tasks fit the configuration of the manual, which has all labels of the model that ships."""
    config = block("xml")
    interface = LabelInterface(config)
    interface.validate()
    settings = tomllib.loads((MODEL / "ressort.toml").read_text(encoding="utf-8"))
    tags = {tag.partition("-")[2] for tag in settings["entities"]["labels"]} - {""}
    assert set(interface.get_control("entities").labels) == tags
    assert set(interface.get_control("topics").labels) == {topic["label"] for topic in settings["topics"]["labels"]}
    assert len(tasks) == 3
    n_regions = 0
    for task in tasks:
        assert interface.validate_task({"data": task["data"]}), task
        for prediction in TaskValue(**task).predictions or []:
            assert interface.validate_prediction(prediction.model_dump(), return_errors=True) == []
        for region in task["predictions"][0]["result"]:
            value = region["value"]
            n_regions += 1
            if region["type"] == "labels":
                assert task["data"]["text"][value["start"] : value["end"]] == value["text"], region
    assert n_regions > 8, n_regions
    # The converter reads the regions of annotations as it reads those that were made in the editor.
    annotated = [{"id": at, "data": task["data"], "annotations": task["predictions"]} for at, task in enumerate(tasks)]
    Path("annotated.json").write_text(json.dumps(annotated), encoding="utf-8")
    converter = Converter(config, project_dir=".", download_resources=False)
    converter.convert_to_conll2003("annotated.json", "conll", is_dir=False)
    tagged = Path("conll/result.conll").read_text(encoding="utf-8")
    for line in ("Angela -X- _ B-PER", "Merkel -X- _ I-PER", "Dortmund -X- _ I-ORG"):
        assert line in tagged, f"{line}: {tagged}"


def check_ninjs(items: list[dict[str, Any]], flags: list[str]) -> None:
    """Every item is valid, down to its URIs."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker(["uri"]))
    for item in items:
        errors = [error.message for error in validator.iter_errors(item)]
        assert errors == [], errors
    assert not validator.is_valid({**items[0], "uri": "a b"}), "URIs are not checked"
    assert len({item["uri"] for item in items}) == 3
    first = items[0]
    assert first["uri"] == ROWS[0]["id"]
    assert "http://cv.iptc.org/newscodes/mediatopic/15000000" in [subject["uri"] for subject in first["subjects"]]
    assert "Angela Merkel" in [person["name"] for person in first["people"]]
    assert first["organisations"]
    assert "München" in [place["name"] for place in first["places"]]
    if flags:
        assert [first[part][0]["value"] for part in ("headlines", "descriptions", "bodies")] == [
            ROWS[0]["title"],
            ROWS[0]["lead"],
            ROWS[0]["text"],
        ]


def check_spacy(rows: list[dict[str, Any]]) -> None:
    """displaCy renders the documents, and the recipe of the manual makes a DocBin of them."""
    rendered = displacy.render(rows, style="ent", manual=True, page=True, jupyter=False)
    marked = re.findall(r"<mark[^>]*>\s*(.*?)\s*<span[^>]*>(\w+)</span>", rendered, re.DOTALL)
    spans = [(row["text"][span["start"] : span["end"]], span["label"]) for row in rows for span in row["ents"]]
    assert [(html.unescape(text), label) for text, label in marked] == spans
    assert len(spans) >= 8, spans
    assert "<Söder>" not in rendered, "a title is HTML"
    exec(block("python"), {})
    nlp = spacy.blank("de")
    documents = list(DocBin().from_disk("scored.spacy").get_docs(nlp.vocab))
    assert [document.text for document in documents] == [row["text"] for row in rows]
    for document, row in zip(documents, rows, strict=True):
        # A word is whole, where the model's label ends within it.
        found = [(entity.start_char, entity.end_char, entity.label_) for entity in document.ents]
        expected = [(span["start"], span["end"], span["label"]) for span in row["ents"]]
        assert len(found) == len(expected)
        for (start, end, label), (first, last, name) in zip(found, expected, strict=True):
            assert (label, start <= first, end >= last) == (name, True, True), document.text[start:end]
        assert document.cats == row["cats"]


if __name__ == "__main__":
    main()
