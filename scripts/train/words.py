"""The service's words, without any import: readers of labelled text and the training cut a text in the same way."""

import re

# Letters and digits with what joins them in German, or one punctuation mark.
WORD = re.compile(r"\w+(?:(?:[-‐‑'’.:·*&]|(?<=\d)[,;](?=\d))\w+)*(?:-(?=\s))?|[^\w\s]")
