"""The encoding of a text file of which nobody says it."""

from __future__ import annotations

import codecs
import gzip
import zlib

from tfr_listbert.schema import InputError

_CHUNK_BYTES = 1 << 20


def require_latin_1(path: str) -> None:
    """Checks that a file is not UTF-8 after all: read as Latin-1 it would be full of false letters, without an error.

    Raises:
        InputError: if the first MB is UTF-8 with letters beyond ASCII, which no text in Latin-1 is by chance.
    """
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as stream:
            start = stream.read(_CHUNK_BYTES)
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except (UnicodeDecodeError, OSError, EOFError, zlib.error):  # who reads it says what is wrong with it
        return
    if not start.isascii():
        raise InputError(
            f"{path} is UTF-8, and `csv.encoding` says latin-1: leave that out; for a catalogue that is written "
            "otherwise than its log there is `catalogue_csv`."
        )


def forbid_utf_16(path: str, encoding: str) -> None:
    """Checks that a file is not UTF-16 where it is to be read otherwise, nor of a kind that DuckDB does not read.

    Raises:
        InputError: if it begins with the mark of UTF-16, or mostly has a 0 for every second byte.
    """
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as stream:
            start = stream.read(1000)
    except (OSError, EOFError, zlib.error):  # who reads it says what is wrong with it
        return
    if start[:2] == codecs.BOM_UTF16_LE:
        if encoding != "utf-16":
            raise InputError(
                f"{path} is UTF-16: where there is a setting `csv.encoding`, set it to utf-16; else convert the file: "
                "iconv -f UTF-16 -t UTF-8 OLD.csv > NEW.csv"
            )
        return
    is_big, is_little = (start[place::2].count(0) > len(start) // 4 for place in (0, 1))
    if start[:2] == codecs.BOM_UTF16_BE or is_big or is_little:
        kind = "UTF-16LE" if is_little else "UTF-16BE"
        raise InputError(f"{path} is {kind}, which is not read; convert it: iconv -f {kind} -t UTF-8 OLD.csv > NEW.csv")


def find_encoding(path: str, setting: str) -> str:
    """Returns `utf-8` if all of a file is valid in it, else `latin-1`; read in pieces, and inflated if it ends in .gz.

    Args:
        path: a file that exists.
        setting: the setting that names it, for messages.

    Raises:
        InputError: if it cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"`{setting}`: {path} cannot be read: {error}.") from None
    return "utf-8"
