"""What is given to a command as text, in a file, or on standard input."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from core.errors import InvalidInput
from core.model import JSONValue

LARGEST = 64 * 1024 * 1024


def text_of(argument: str, what: str) -> str:
    """``argument`` itself, or all of standard input where it is ``-``."""
    if argument != "-":
        return argument
    data = sys.stdin.buffer.read(LARGEST + 1)
    return _decoded(data, what, "standard input")


def json_of(argument: str, what: str) -> JSONValue:
    """The JSON value that ``argument`` is, that the file ``@FILE`` holds, or that stands on standard input (``-``)."""
    text = _file(argument[1:], what) if argument.startswith("@") else text_of(argument, what)
    try:
        value: JSONValue = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise InvalidInput(f"{what} is not JSON ({where}).", """A text needs its quotes: '"text"'.""") from None
    except (ValueError, RecursionError):
        raise InvalidInput(f"{what} is not JSON that can be kept: a number is too long, or it is too deep.") from None
    return value


def _file(name: str, what: str) -> str:
    try:
        with Path(name).open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInput(f"{name or 'The file'} cannot be read ({os.strerror(error.errno or 0)}).") from None
    return _decoded(data, what, name)


def _decoded(data: bytes, what: str, origin: str) -> str:
    if len(data) > LARGEST:
        raise InvalidInput(f"{what} in {origin} is larger than {LARGEST // 2**20} MiB.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} in {origin} is not valid UTF-8.") from None
