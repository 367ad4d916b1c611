"""The encoding of text/bundestag."""


def undo_latin1(text: str) -> str:
    """The speeches were read as Latin-1 though they are UTF-8 with some Windows-1252."""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text.encode("cp1252", "ignore").decode("utf-8", "ignore")
