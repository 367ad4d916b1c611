"""Writes the seeds and the dictionary of a fuzz target: small inputs of every kind, from which the fuzzer starts.

python -m scripts.fuzz.seeds TARGET FOLDER DICTIONARY
"""

import gzip
import io
import itertools
import json
import pathlib
import sys
from collections.abc import Iterator

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/models"

TEXTS = [
    "",
    "Angela Merkel sprach am Montag in München.",
    "„Wir müssen handeln“, sagte die Ministerin (Siemens) in Ko\u0308ln!",
    "<p>Ber&shy;lin<br>\n&amp;lt;b&amp;gt;K&amp;ouml;ln</p><!-- x --><script>x</script>",
    "Bundes-\nkanzler, Nord-\nund Südkorea\r\n\r\n• Ulm | Hof\n- x@ulm.de www.ulm.de/a/b +49 731 1234",
    "👩\u200d👩\u200d👧\u200d👦 \ufdfa\u200b한국 北京 ½ ﬁ \ud7ff\ue000\U0010ffff",
    "angela merkel und olaf scholz in berlin",
    "dpa/bay\n\ntoi-kultur",
    "Am 3. Mai kam Dr. Hans-Peter St. Pauli z. B. nach Baden-Baden/Württemberg. " * 4,
]

REQUESTS: list[object] = [
    *({"text": text} for text in TEXTS),
    {"documents": [{"id": "a", "text": TEXTS[1]}, {"id": 1e3, "text": TEXTS[2]}, {"text": 5}, {}]},
    {"text": "a", "tasks": ["topics", "entities"], "top_k": 3, "threshold": {"topics": 0.5, "entities": 1}},
    {"text": "a", "threshold": 0.25, "aggregation": "viterbi", "offset_unit": "utf16", "overflow": "truncate"},
    {"text": "a", "text_rules": {"html": False, "hyphens": True}, "priority": "bulk"},
    {"text": "a", "models": {"topics": "ressort", "entities": None}, "label_language": "en"},
    {"txt": "a", "text": None},
    [[[[]]]],
]
RAW_REQUESTS = [
    b'{"text": "\\ud83d\\ude00 \\ud83d"}',
    b'\xef\xbb\xbf{"text": NaN, "text": "\xff"}',
    '{"text": "Köln"}'.encode("utf-16"),
    b'{"documents": [{"id": -17.0e5, "text": "a\\u0000"}] x',
]

ROWS: dict[str, list[object]] = {
    "id": [1, 2, 3, None],
    "text": [TEXTS[1], TEXTS[2], None, ""],
    "title": ["a", None, "„b“;,\t", "c\nd"],
    "n": [1.5, float("nan"), None, 2.0],
}

WORDS = {
    "request": '"text" "documents" "id" "tasks" "topics" "entities" "top_k" "threshold" "aggregation" "offset_unit" '
    '"overflow" "text_rules" "html" "priority" "models" "label_language" none simple first viterbi codepoint utf16 '
    "window truncate error normal bulk true false null NaN Infinity \\ud83d \\u0000 1e999 -0 [] {}",
    "text": "<p> </p> <br> <script> <!-- --> &amp; &amp;lt; &shy; &#776; &#8203; &nbsp; -\n \r\n\r\n \u00ad \u0308 "
    "\u200d \u200b \ufdfa \U0001f469 http:// www. @ .de +49 Berlin /Hamburg | • St. - „ “ z. B. ## ▁ [CLS] <s> </s>",
    "folder": '"id2label" "label2id" "architectures" "problem_type" "max_position_embeddings" "model_max_length" '
    '"pad_token" "pad_token_id" "vocab_size" "model_type" [model] [topics] [entities] [[golden]] [text] file stride '
    "max_length inputs truecase labels threshold temperature pooling rename aggregation output default_threshold "
    '"normalizer" "pre_tokenizer" "post_processor" "added_tokens" "model" "type" "Sequence" "Replace" "BPE" "Unigram" '
    '"WordPiece" "Precompiled" "TemplateProcessing" "ByteLevel" "Metaspace" ../ logits input_ids attention_mask',
    "data": '"text" "topics" "entities" "start" "end" "label" NaN -Infinity \\ud83d sep=; "" ;;; \r\n PAR1 ARROW1 '
    "-DOCSTART- B-PER I-PER O null [] {} \ufeff",
}


def requests() -> Iterator[bytes]:
    bodies = [json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass") for body in REQUESTS]
    for body in bodies + RAW_REQUESTS:
        yield b"\0" + body
        yield b"\6" + gzip.compress(body, mtime=0)
        yield b"\7" + pyarrow.compress(body, codec="zstd", asbytes=True)


def texts() -> Iterator[bytes]:
    # Each tokenizer with each strategy; windows, rules and logits differ from one to the next.
    for number, (model, strategy) in enumerate(itertools.product(range(7), range(6))):
        text = TEXTS[number % len(TEXTS)].encode("utf-8", "surrogatepass")
        choice = (
            model,
            strategy,
            number * 7 % 64,
            number % 5,
            number * 37 % 256,
            number * 53 % 256,
            number % 4,
            number,
        )
        yield bytes(choice) + text


def folders() -> Iterator[bytes]:
    files = ["config.json", "ressort.toml", "tokenizer_config.json", "model.onnx", "tokenizer.json", "truecase.txt"]
    for (number, name), model in itertools.product(enumerate(files), sorted(MODELS.iterdir())):
        path = model / name
        if path.exists() and path.stat().st_size < 40_000:
            yield bytes([number]) + path.read_bytes()
    for graph in sorted((ROOT / "tests/it/graphs").iterdir()):
        yield b"\3" + graph.read_bytes()
    for toml in sorted(ROOT.glob("models/*/ressort.toml")):
        yield b"\1" + toml.read_bytes()
    yield b"\1" + TOML.encode()
    yield b"\5Angela\nBerlin\nund\n"


TOML = """\
description = "a"
[model]
file = "model.onnx"
max_length = 64
stride = 8
truecase = "truecase.txt"
inputs = {input_ids = "ids"}
[topics]
output = "logits"
labels = [{label = "Sport", threshold = 0.5, code = "medtop:1", names = {en = "Sports"}}]
default_threshold = 0.4
temperature = 1.5
pooling = "max"
[entities]
aggregation = "viterbi"
rename = {PER = "Person"}
[text]
html = false
[[golden]]
text = "Berlin"
topics = ["Sport"]
entities = [["Berlin", "LOC"]]
"""


def data() -> Iterator[bytes]:
    table = pyarrow.table(ROWS)
    separated = 'id;text;title\n1;Köln;a\n2;"a;""b"\nc";x\n\n3;;\n'
    lines = "\n".join(json.dumps(row) for row in table.to_pylist()) + "\n\n{} \nx\n"
    files: list[tuple[int, bytes]] = [
        *((0, packed) for packed in packings(lines.encode())),
        *((1, packed) for packed in packings(separated.encode())),
        (1, ("sep=,\n" + separated.replace(";", ",")).encode("utf-16")),
        (1, separated.encode("cp1252")),
        (2, separated.replace(";", "\t").encode()),
        (6, b"Titel\n\nEin Text.\n\ntoi-kultur"),
        (7, b'{"text": "Ulm", "topics": ["a"], "entities": [{"start": 0, "end": 3, "label": "LOC"}]}\n'),
        (8, b"-DOCSTART- O\n\nAngela B-PER\nMerkel I-PER\n\n1\tUlm\tB-LOC\tO\n"),
        (9, b"text,topics\nUlm,a|b\n"),
    ]
    typed = table.append_column("c", pyarrow.array(["a", "b", "a", None]).dictionary_encode())
    typed = typed.append_column("l", pyarrow.array([[1], [], None, [2, 3]]))
    typed = typed.append_column("s", pyarrow.array([{"a": 1, "b": "x"}] * 4))
    typed = typed.append_column("t", pyarrow.array([0, 1, None, 3], pyarrow.timestamp("us", tz="Europe/Berlin")))
    for codec in ("none", "snappy", "zstd", "gzip", "brotli", "lz4"):
        sink = io.BytesIO()
        pyarrow.parquet.write_table(typed if codec == "zstd" else table, sink, compression=codec)
        files.append((3, sink.getvalue()))
    for (number, new), rows in itertools.product(
        ((4, pyarrow.ipc.new_file), (5, pyarrow.ipc.new_stream)), (table, typed)
    ):
        sink = io.BytesIO()
        with new(sink, rows.schema) as writer:
            writer.write_table(rows)
        files.append((number, sink.getvalue()))
    for number, (kind, content) in enumerate(files):
        for output in range(4):
            # Options as on most command lines, then with each bit.
            yield bytes([kind, 0 if output == 0 else 1 << number % 8 | (number % 4) << 6, output]) + content


def packings(content: bytes) -> list[bytes]:
    return [content, gzip.compress(content, mtime=0), pyarrow.compress(content, codec="zstd", asbytes=True)]


TARGETS = {"request": requests, "text": texts, "folder": folders, "data": data}


def dictionary(target: str) -> str:
    """The words of a target as libFuzzer reads them."""

    def escaped(word: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in word.encode())

    return "".join(f'"{escaped(word)}"\n' for word in sorted(set(WORDS[target].split(" "))) if word)


def main() -> None:
    target, folder, words = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[target]()):
        (folder / f"{number:03}").write_bytes(seed)
    words.write_text(dictionary(target))


if __name__ == "__main__":
    main()
