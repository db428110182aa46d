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
    return decoded(data, what, "standard input")


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


def bytes_of(name: str, what: str) -> bytes:
    """All of the file ``name``, or of standard input where it is ``-``."""
    data = sys.stdin.buffer.read(LARGEST + 1) if name == "-" else _read(name)
    return _bounded(data, what, "standard input" if name == "-" else name)


def _file(name: str, what: str) -> str:
    return decoded(_read(name), what, name)


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInput(f"{name or 'The file'} cannot be read ({os.strerror(error.errno or 0)}).") from None


def _bounded(data: bytes, what: str, origin: str) -> bytes:
    if len(data) > LARGEST:
        raise InvalidInput(f"{what} in {origin} is larger than {LARGEST // 2**20} MiB.")
    return data


def decoded(data: bytes, what: str, origin: str) -> str:
    """What was read from ``origin``, as text; raises InvalidInput for what is too large, or no UTF-8."""
    try:
        return _bounded(data, what, origin).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} in {origin} is not valid UTF-8.") from None
