"""Writes tests/reference/truecase.json: texts and their form after `scripts/train/truecase.py`, which the service must
produce too.

    python -m scripts.reference.make_truecase          # writes the file
    python -m scripts.reference.make_truecase --check  # recomputes and compares

Needs no packages. The file is the same for every Python from 3.11 on: it takes only letters of Unicode 3.2 that later
versions have not changed.
"""

import argparse
import json
import sys
import unicodedata
from pathlib import Path

from scripts.train.truecase import Truecaser

TARGET = Path(__file__).parents[2] / "tests" / "reference" / "truecase.json"

WORDS = """\
an auf aus bei das dass der die den dem des ein eine für gegen hat im in ist mit nach nicht oder sagte sich sie
über um und vom von vor zu zum zur ändert öffnet groß große größte außer heißt weiß spricht siegt wählt trifft
AfD BASF BMW CDU CSU DAX dpa EU FDP GmbH iPhone McDonald eBay LKWs NATO SPD UNESCO USA WHO ZDF kWh km km² m² cm³
McKinsey İstanbul ǆungla οδος ἐν Ὀδυσσεύς Москва""".split()

SENTENCES = """Angela Merkel spricht in München über die Größe der EU.
Die Außenministerin trifft sich mit der NATO und der UNESCO in Straßburg.
Österreichs Kanzler sagte: „Das heißt nicht, dass sich vor Ähnlichem zu fürchten ist!“
Ministerpräsident Söder (CSU) wählt am 12. Mai 2024 zum 3. Mal; Heinrich XIV. nicht.
Größte Übung gegen Ölpest: 25,5 km² Küste, 1½ Tage, 3×5 m², 10³ Liter
Bürger*innen, Rhein-Main-Gebiet, U-Bahn, C&A, D'Arc, D’Arc, Oʼneill, Müller_innen, a.D.
Der iPhone-Hersteller trifft McDonald und eBay 😀 in Zürich 👩‍👧 nicht""".split("\n")

HEADLINES = """BERLIN (dpa) - Die Koalition hat sich geeinigt.
BRÜSSEL/PARIS (AFP) – Die EU wählt.
WASHINGTON, USA. Der Präsident sagte nichts.
EILMELDUNG: BUNDESTAG STIMMT FÜR GESETZ Der Bundestag hat am Freitag zugestimmt.
SCHOLZ GEGEN MERZ IM ZDF Am Abend trifft der Kanzler auf den Chef der CDU.
Die CDU, SPD, FDP und die USA sowie das ZDF
Der DAX, BMW, BASF und die UNESCO
Er sagte „NIEMALS“ und ging. Sie sagte GAR NICHTS und blieb in BERLIN.
+++ TICKER +++ 12:30 +++ LIVE +++ Neues aus Köln
DAS ist ES. EIN TEST, den ES NICHT gab
STRAßE, STRAẞE, STRASSE; GROß, GROẞ, GROSS; WEISS, WEIß, AUẞER
XIV XIX MIX CIVIC KARL V. UND HEINRICH VIII. ⅧTER ⅳter
LKWS IM STAU, 5 KWH UND 10 CM³, GMBH & CO. KG""".split("\n")

POST = "heute war ich in köln und die spd hat mit der nato über den dax geredet und ich fand es nicht so gut, "

# Texts with capitals and long runs of small letters, and such that just have none.
POSTS = [
    f"Thread\n{POST}tja ÄH",
    f"{POST}{POST}Ende in ULM/BONN und GROSSBERLIN",
    "Neu: " + POST.replace("köln", "Köln"),
    "A " + POST.replace("und ich", "中文東京大学 ich") + "B",
    *(f"A {' '.join([word] * n)} B" for word, n in (("straße", 20), ("straße", 19), ("ß", 25), ("1½ km² und", 12))),
]

ODDITIES = [
    "",
    " ",
    "\n",
    "a",
    "A",
    "ab",
    "BERLIN",
    "EU",
    "angela merkel",
    "angela merkel spricht",
    "angela merkel Spricht",
    "angela, 5, merkel",
    "ANGELA MERKEL",
    "münchen, köln, ulm",
    "12 34 56",
    "... --- ...",
    "🎉🎉 PARTY 🎉 in berlin",
    "BER\u00adLIN IST GRO\u00adSS",
    "BER\u200bLIN IST GROSS\ufeff",
    "ber\u00adlin und köln",
    "İSTANBUL IST GROSS",
    "DİYARBAKIR IST GROSS",
    "I\u0307STANBUL, DI\u0307YARBAKIR",
    "ıspanak und istanbul",
    "ISPARTA ışık IĞDIR",
    "ΟΔΟΣ, ΟΔΥΣΣΕΥΣ, ΣΟΦΟΣ ΣΑΣ ΑΣ Σ",
    "οδος οδυσσευς σοφος",
    "ᾠδή ᾳδης ᾼδησα ἐν Ὀδυσσεύς",
    "ᾨΔΉ ᾼΔΗΣΑ ΕΝ ὈΔΥΣΣΕΎΣ",
    "МОСКВА И КИЇВ",
    "москва и київ",
    "თბილისი და ბათუმი",
    "ﬁnanzen ﬂoh ﬀekt und",
    "ﬁNANZEN UND ﬂOH, AUﬂAGE, KÖLNER",
    "ǄUNGLA ǅUNGLA ǈUBLJANA ǊEGOŠ",
    "ǆungla ǉubljana ǌegoš ǳeta",
    "ŉ ŉabc ǰabc",
    "ßABC ẞABC DEFGH",
    "ßabc und köln",
    "北京市长宁区 NATO und",
    "北京 NATO GIPFEL",
    "القاهرة NATO und die USA",
    "ⒶⒷⒸ ⓐⓑⓒ und in der",
    "ⓐⓑⓒ und in der",
    "²³ ABCDE ½X",
    "K\u212aELVIN \u212bNGSTRÖM \u2126OHM",
    "ꜲBCDEF ꜳbc",
    "𝐀𝐁𝐂𝐃𝐄 𐐀𐐁𐐂𐐃𐐄 𐐨𐐩 und",
    "𐐨𐐩𐐪 und in",
    "ａｂｃ ＡＢＣＤＥ",
    "AªBCDE AºBCDE",
    "OʼNEILL OʻAHU O'NEILL O’NEILL",
    "oʼneill und o’neill",
    "A\u0308\u0323BCDE U\u031b\u0309ABC \u0308ABCDE",
    "SPIN\u0308AL TAP",
    "FU\u0308R GRO\u0308ẞTE, U\u0308BER, A\u0308NDERT UND O\u0308FFNET",
    "fu\u0308r gro\u0308ßte und u\u0308ber",
    "M\u0345ABCDE \u0345 ABC",
    "_BERLIN_ in_der_tat __und__",
    "EILMELDUNG: BUNDESTAG STIMMT FÜR GESETZ\n\nDer Bundestag hat am Freitag zugestimmt.",
    "BERLIN\u00a0MÜNCHEN\u202fULM\r\nHOF\tund",
    "\x00BERLIN\x1fKÖLN\x7f",
    "A" * 300,
    "IIIII VVVVV MMMMM",
    "I V X ABCDE",
]

CHANGED_LETTERS = "\u0295"  # not a small letter since Unicode 17


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the stored file instead of writing it")
    arguments = parser.parse_args()
    truecaser = Truecaser(WORDS)
    cases = [{"text": text, "restored": truecaser.restore(text)} for text in texts()]
    if arguments.check:
        same = json.loads(TARGET.read_text(encoding="utf-8")) == {"words": WORDS, "cases": cases}
        print("the stored texts hold" if same else "the stored texts differ from those computed")
        return 0 if same else 1
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    TARGET.write_text(
        f'{{"words": {json.dumps(WORDS, ensure_ascii=False)},\n"cases": [\n{rows}\n]}}\n', encoding="utf-8"
    )
    return 0


def texts() -> list[str]:
    ordinary = SENTENCES + HEADLINES
    altered = [alter(text) for text in ordinary for alter in (str.upper, str.lower, keep_eszett, decompose_capitals)]
    mixed = [f"{SENTENCES[i].upper()}\n\n{text}" for i, text in enumerate(SENTENCES[1:])]
    return [*ordinary, *altered, *mixed, *map(decompose, ordinary), *POSTS, *ODDITIES, *every_letter()]


def keep_eszett(text: str) -> str:
    return "".join(c if c == "ß" else c.upper() for c in text)


def decompose(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def decompose_capitals(text: str) -> str:
    return decompose(text.upper())


def every_letter() -> list[str]:
    """Each character that has case or resembles a letter: first and inside, in words of capitals and small letters."""
    characters = [c for c in map(chr, range(0x80, 0x11000)) if is_old(c) and is_doubtful(c)]
    blocks = [characters[start : start + 100] for start in range(0, len(characters), 100)]
    capitals = ["\n".join(f"{c}BCDE A{c}CDE" for c in block) for block in blocks]
    small = ["\n".join(f"{c}bcde a{c}cde" for c in block if not c.isupper()) for block in blocks]
    return capitals + small


def is_old(c: str) -> bool:
    return c not in CHANGED_LETTERS and unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Co", "Cs")


def is_doubtful(c: str) -> bool:
    has_case = c.isupper() or c.islower() or c.title() != c or c.lower() != c
    return has_case or unicodedata.category(c) in ("Lm", "Lt", "Nd", "Nl", "No")


if __name__ == "__main__":
    sys.exit(main())
