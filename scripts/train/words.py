"""The service's words, without any import: readers of labelled text and the training cut a text in the same way."""

import re

# The service composes a text before it finds words. Here offsets must stay, so a combining mark goes with its letter.
MARK = r"[\u0300-\u036f]"
LETTERS = rf"\w+(?:{MARK}\w*)*"
HYPHENS = "-\u2010\u2011"  # the plain one first, since it stands for itself at the start of a class
# Letters and digits with what joins them in German, or one punctuation mark.
WORD = re.compile(
    rf"{LETTERS}(?:(?:[{HYPHENS}'’.:·*&]|(?<=\d)[,;](?=\d)){LETTERS})*(?:[{HYPHENS}](?=\s))?|[^\w\s]{MARK}*"
)


def genitive_base(word: str) -> str | None:
    """What `word` is the genitive of, if it is one: `Putin` of `Putins`, `Grass` of `Grass’`. The service does the same
    (decode/words.rs)."""
    return word[:-1] if len(word) > 3 and word[-1] in "s'’" else None


# What joins the parts of a name (`Straße von Hormuz`) and does not end one. The service has the same (decode/words.rs).
LINK_WORDS = frozenset("von vom zu zum zur und der die das des dem den für im in am an bei beim gegen".split())

SPACES = "[ \u00a0\u2009\u202f]"
WHITE = re.compile(rf"(?:{SPACES}|[\r\n])+")
PLAIN = str.maketrans({**dict.fromkeys("’‘ʼ", "'"), **dict.fromkeys("‐‑–", "-")})


def plain_spelling(name: str) -> str:
    """`name` with plain apostrophes and hyphens, and one space where spaces or one line end stand. The service does the
    same (decode/spelling.rs)."""
    return WHITE.sub(lambda white: " " if white[0].count("\n") < 2 else white[0], name).translate(PLAIN)
