"""What may be registered: names that look like no other's, types, and what an agent declares of itself."""

from __future__ import annotations

import re
import unicodedata

from core.agent_model import PERSON_TYPE
from core.agentfs.globs import normalised
from core.agentfs.json_text import checked_json
from core.agentfs.readable import check_readable
from core.errors import InvalidInput
from core.ids import looks_like_id
from core.model import JSONObject, JSONValue

_NAME = re.compile(r"\w(?:[\w .+-]{0,62}[\w.+-])?")
_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
LONGEST_PATTERN = 1024
MOST_PARTS = 64
_RESERVED = ("everyone", "all", "bailiwick", PERSON_TYPE)


def check_registration(name: str, type: str, capabilities: JSONObject | None, owner: str) -> None:  # noqa: A002 - the column's name
    """Raise InvalidInput for what cannot be registered, whoever is here already."""
    check_form(name, type, capabilities)
    check_readable([name, type, dict(capabilities or {})], "What is declared of the agent")
    if name.casefold() == owner.casefold():
        raise InvalidInput(f"{name} is the person's own name here.", "Choose another name for the agent.")


def _is_plain(name: str) -> bool:
    """Whether the name is written in its usual characters and one alphabet, so that it cannot look like another's."""
    alphabets = {unicodedata.name(letter, "?").split(" ")[0] for letter in name if letter.isalpha()}
    return unicodedata.normalize("NFKC", name) == name and len(alphabets) <= 1


def check_form(name: str, kind: str, capabilities: JSONObject | None) -> None:
    """As ``check_registration``, without regard to whose workspace it is and to what is secret in it."""
    if not _NAME.fullmatch(name) or name.casefold() in _RESERVED or not _is_plain(name) or looks_like_id(name):
        raise InvalidInput(
            f"{name!r} cannot be an agent's name.",
            "Use up to 64 letters of one alphabet, digits, blanks and . _ + - and no reserved word, nor an id.",
        )
    if not _TYPE.fullmatch(kind) or kind == PERSON_TYPE:
        raise InvalidInput(
            f"{kind!r} cannot be an agent's type.", "Use a word in lower case: research, poc, validation …"
        )
    if capabilities is not None:
        text = checked_json(dict(capabilities), "What the capabilities hold")
        if len(text.encode()) > 64 * 1024:
            raise InvalidInput("The capabilities are larger than 64 KiB.")
        if not isinstance(capabilities.get("tools", []), list | dict):
            raise InvalidInput("The capabilities' tools must be a list or an object.")
        _check_responsibilities(capabilities.get("responsibilities", []))


def _check_responsibilities(declared: JSONValue) -> None:
    if not isinstance(declared, list):
        raise InvalidInput("The capabilities' responsibilities must be a list.")
    for each in declared:
        if not isinstance(each, str) or not each.strip() or not each.isprintable() or len(each) > LONGEST_PATTERN:
            raise InvalidInput(
                f"{str(each)[:40]!r} is nothing that an agent can be responsible for.",
                "Name paths, globs such as src/api/**, states by their keys, or resource:NAME.",
            )
        parts = normalised(each).split("/")
        if ".." in parts or len(parts) > MOST_PARTS:
            raise InvalidInput(
                f"{each[:40]!r} is nothing that an agent can be responsible for.",
                f"A path has no `..` and at most {MOST_PARTS} parts.",
            )
