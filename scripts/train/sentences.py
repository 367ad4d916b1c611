"""Where sentences begin, as src/text/sentences.rs says; tests/reference/sentences.json holds both to the same rule."""

import re
from dataclasses import dataclass
from itertools import pairwise

ABBREVIATIONS = frozenset(
    """
    abb abk abs abschn abt allg anm art aufl bd bde bearb bes betr bez bspw bsp bzgl bzw ca co corp ders dez
    dgl dipl dr dt ebd ehem einschl engl entspr etc ev evtl exkl fa feb fig fr frz geb gebr gegr gem gest ggf
    hl hrsg inc ing inkl insb insbes jan jg jh jhd jr jul jun jur kap kath kgl lat lic lt ltd mag max mär med
    mind mio mr mrd mrs nat nov nr okt op phil pol präs prof rd reg rer röm sen sep sept skt sog spez st std
    str südd tel tsd urspr usw verf verh vgl vol vorm vs zit zus zzgl
    """.split()
)
LINE_ENDS = "\r\v\f\x85\u2028\u2029"
NO_BREAK_SPACES = "\xa0\u202f"
FINAL = ".!?…"
CLOSING = "\"'”“’‘»«›‹)]}"
OPENING = "\"'„“”‚‘’«»‹›([{–—"
BULLETS = "•‣▪■●○◦"
DASHES = "·*–—-"
CHUNK = re.compile(r"\S+")


@dataclass(frozen=True)
class Start:
    """The first character of a sentence, or of a line where nothing says that a sentence begins."""

    offset: int
    is_line: bool


def starts(text: str) -> list[Start]:
    """Where the sentences and lines of a text begin, without its first, in order."""
    chunks = [match.span() for match in CHUNK.finditer(text)]
    has_capitals = any(character.isupper() for character in text)
    found = []
    for (begin, end), (next_begin, next_end) in pairwise(chunks):
        space, before, after = text[end:next_begin], text[begin:end], text[next_begin:next_end]
        n_lines = space.count("\n") or sum(character in LINE_ENDS for character in space)
        if n_lines > 1 or (n_lines and is_list_item(after)) or is_sentence_end(space, before, after, has_capitals):
            found.append(Start(next_begin, is_line=False))
        elif n_lines:
            found.append(Start(next_begin, is_line=True))
    return found


def is_list_item(chunk: str) -> bool:
    return chunk[0] in BULLETS or (len(chunk) == 1 and chunk in DASHES)


def is_sentence_end(space: str, before: str, after: str, has_capitals: bool) -> bool:
    """Whether the chunk `before` white space ends a sentence, and `after` begins the next."""
    if all(character in NO_BREAK_SPACES for character in space):
        return False
    body = before.rstrip(CLOSING)
    if not body or body[-1] not in FINAL:
        return False
    first = after.lstrip(OPENING)[:1]
    if has_capitals and first.islower():
        return False
    return not (body[-1] == "." and is_abbreviated(body[:-1].lstrip(OPENING)))


def is_abbreviated(chunk: str) -> bool:
    """Whether a stop after `chunk` is that of an abbreviation, an initial or an ordinal number."""
    word = re.split(r"[\W_]", chunk)[-1]
    is_ordinal = word == chunk and word.isdecimal() and len(word) <= 2
    return (len(word) == 1 and not word.isdecimal()) or is_ordinal or is_roman(word) or word.lower() in ABBREVIATIONS


def is_roman(word: str) -> bool:
    return bool(word) and all(character in "IVX" for character in word)
