"""Unlocking the keys for one command: by itself, by a file that is named, or by asking in the terminal."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Any

import click

from core.crypto.passphrases import Prompt, read_passphrase_file
from core.crypto.secret import Secret
from core.crypto.slot_header import SlotKind
from core.crypto.unlocking import Way, unlock
from core.crypto.workspace_keys import WorkspaceKeys
from core.errors import InvalidInput, Locked, NotFound

_QUESTIONS = {
    (True, False): "Passphrase of the workspace: ",
    (False, True): "Recovery code of the workspace: ",
    (True, True): "Passphrase or recovery code of the workspace: ",
}


@dataclass(frozen=True, slots=True)
class Unlocking:
    """The files that the command line names to unlock by; empty where none is."""

    key_file: str = ""
    recovery_code_file: str = ""

    def unlock(self, keys: WorkspaceKeys) -> None:
        """Unlock ``keys`` by the file named, else by itself, else by asking in the terminal.

        Raises as ``choose`` and ``core.crypto.unlocking.unlock``.
        """
        way, given = self.choose(keys)
        if way is not Way.UNASKED:
            unlock(keys, way, given)

    def choose(self, keys: WorkspaceKeys) -> tuple[Way, Secret]:
        """What unlocks ``keys``: the file named, what already has by itself, or what is typed in the terminal.

        Raises NotFound when there are no keys, InvalidInput for a file that cannot be used, and Locked when nothing
        opens them and nobody can be asked.
        """
        if self.key_file and self.recovery_code_file:
            raise InvalidInput("Either a key file or a recovery code unlocks, not both.")
        require_keys(keys)
        if self.key_file:
            return Way.KEY_FILE, Secret(str(Path(self.key_file).absolute()))
        if self.recovery_code_file:
            return Way.RECOVERY_CODE, read_passphrase_file(Path(self.recovery_code_file))
        return (Way.UNASKED, Secret("")) if keys.ready() else (Way.TYPED, _asked(keys))


def require_keys(keys: WorkspaceKeys) -> None:
    """Raise NotFound when there are no keys."""
    if not keys.keys.exist:
        raise NotFound("This workspace has no keys yet.", "`bailiwick keys add --recovery-code` makes them.")


def terminal() -> Prompt | None:
    """Asks without showing the answer; ``None`` where nobody can be asked."""
    return getpass if sys.stdin.isatty() else None


def unlocking_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--key-file`` and ``--recovery-code-file``; the command gets an ``Unlocking``."""

    @functools.wraps(function)
    def gathered(*args: Any, key_file: str, recovery_code_file: str, **others: Any) -> None:
        function(*args, unlocking=Unlocking(key_file, recovery_code_file), **others)

    by_code = click.option("--recovery-code-file", default="", metavar="FILE", help="Unlock by the code in this file.")
    return click.option("--key-file", default="", metavar="FILE", help="Unlock by this key file.")(by_code(gathered))


def _asked(keys: WorkspaceKeys) -> Secret:
    status, prompt = keys.status(), terminal()
    kinds = {slot.kind for slot in status.slots}
    question = _QUESTIONS.get((SlotKind.PASSPHRASE in kinds, SlotKind.RECOVERY_CODE in kinds))
    if prompt is None or question is None:
        raise Locked(status.problem, status.hint)
    return Secret(prompt(question))
