"""How a passphrase reaches Bailiwick: a prompt, a file named by the environment, a key file. Never an argument."""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

from core.crypto.secret import HOW_TO_UNLOCK, Secret
from core.crypto.whole_files import read_private, write_new
from core.errors import InvalidInput, Locked

PASSPHRASE_FILE_VARIABLE = "BAILIWICK_PASSPHRASE_FILE"
MINIMUM_LENGTH = 10
Prompt = Callable[[str], str]
"""Asks the person the given question without showing the answer, as ``getpass.getpass`` does."""


def given_passphrase(prompt: Prompt | None, question: str, environ: Mapping[str, str] = os.environ) -> Secret:
    """The first line of the file that ``BAILIWICK_PASSPHRASE_FILE`` names, else the answer to ``question``.

    Raises Locked when there is neither, and InvalidInput when the file can be read by others or holds nothing.
    """
    named = environ.get(PASSPHRASE_FILE_VARIABLE)
    if named:
        return read_passphrase_file(Path(named))
    if prompt is None:
        raise Locked(
            "A passphrase is needed, and nobody can be asked for it here.",
            f"Name a file that holds it in {PASSPHRASE_FILE_VARIABLE}, or run this in a terminal.",
        )
    return normalised(Secret(prompt(question)))


def read_passphrase_file(path: Path) -> Secret:
    """The first line of ``path``, a file or pipe that nobody else can read. Raises as ``given_passphrase``."""
    content = read_private(path, "passphrase file")
    passphrase = normalised(Secret(content.reveal().split(b"\n", 1)[0].rstrip(b"\r")))
    content.forget()
    if not passphrase.reveal():
        raise InvalidInput(f"The passphrase file {path} begins with an empty line.", "Put the passphrase there.")
    return passphrase


def normalised(passphrase: Secret) -> Secret:
    """The same passphrase in Unicode's form C, which keyboards send: macOS and Linux would else disagree on ``é``."""
    return Secret(unicodedata.normalize("NFC", passphrase.text()))


def check_strength(passphrase: Secret) -> None:
    """Raise InvalidInput when a new passphrase is too short to protect anything."""
    if len(passphrase.text().strip()) < MINIMUM_LENGTH:
        raise InvalidInput(
            f"A passphrase needs at least {MINIMUM_LENGTH} characters.", "Four or more random words are a good one."
        )


def random_passphrase() -> Secret:
    """256 random bits as text, for slots that no person types."""
    return Secret(secrets.token_hex(32))


def write_key_file(path: Path, slot_id: str, passphrase: Secret) -> None:
    """Write a new file, mode 0600, that holds the passphrase of one slot. Raises InvalidInput when it exists."""
    write_new(
        path,
        Secret(f"# Bailiwick key file: it opens a workspace without asking. Keep it apart from that workspace.\n"
               f"# slot {slot_id}\n{passphrase.text()}\n"),
    )  # fmt: skip


def read_key_file(path: Path) -> tuple[str, Secret]:
    """The slot that a key file opens, and the passphrase in it.

    Raises NotFound, or InvalidInput when others can read or change the file, or it is no key file.
    """
    content = read_private(path, "key file")
    slot_id, passphrase = _parsed(content)
    content.forget()
    if not slot_id:
        raise InvalidInput(f"{path} is not a key file of Bailiwick.", HOW_TO_UNLOCK)
    return slot_id, passphrase


def _parsed(content: Secret) -> tuple[str, Secret]:
    found = re.search(rb"^# slot ([0-9a-z]{26})\n([0-9a-f]{64})$", content.reveal(), re.MULTILINE)
    return (found[1].decode(), Secret(found[2])) if found else ("", Secret(b""))
