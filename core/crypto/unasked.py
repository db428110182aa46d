"""Opening the keys with what lies at hand, asking nobody: this machine's key file, its keychain, a passphrase file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from core.crypto.identity import Identity
from core.crypto.openers import open_by_key_file, open_by_keychain, open_by_passphrase
from core.crypto.passphrases import PASSPHRASE_FILE_VARIABLE, given_passphrase
from core.crypto.secret import HOW_TO_UNLOCK
from core.crypto.slot_header import SlotKind
from core.crypto.slots import SLOTS_FOLDER, KeySlots
from core.errors import BailiwickError, Locked, NotFound

_ENDINGS = (".age", ".json")
AtHand = tuple[tuple[str, tuple[int, ...]], ...]


def key_file_of(key_files: Path, slot_id: str) -> Path:
    """Where this machine's key file of a slot lies, if it has one."""
    return key_files / f"{slot_id}.key"


def at_hand(slots: KeySlots, key_files: Path, environ: Mapping[str, str]) -> AtHand:
    """The slots and files that ``open_unasked`` would try: equal to the last answer where nothing changed since."""
    paths = [slots.folder / SLOTS_FOLDER / f"{slot_id}{ending}" for slot_id in slots.ids() for ending in _ENDINGS]
    paths += [key_file_of(key_files, slot_id) for slot_id in slots.ids()]
    if environ.get(PASSPHRASE_FILE_VARIABLE):
        paths.append(Path(environ[PASSPHRASE_FILE_VARIABLE]))
    return tuple((str(path), _facts(path)) for path in paths)


def open_unasked(slots: KeySlots, key_files: Path, environ: Mapping[str, str]) -> Identity:
    """The identity, by the first that opens it with all its generations, else by the first that opens it.

    Raises Locked, with the sentence and hint of the first that was tried and refused. May take a second for each
    passphrase slot.
    """
    incomplete: Identity | None = None
    refused: BailiwickError | None = None
    for attempt in _attempts(slots, key_files, environ):
        try:
            identity = attempt()
        except BailiwickError as error:
            # That the keychain holds nothing is told only where nothing else was tried.
            refused = error if refused is None or isinstance(refused, NotFound) else refused
            continue
        if not identity.unopened:
            return identity
        incomplete = incomplete or identity
    if incomplete is not None:
        return incomplete
    if refused is not None:
        raise Locked(refused.message, refused.hint or HOW_TO_UNLOCK)
    raise Locked("Nothing on this machine opens this workspace without asking.", HOW_TO_UNLOCK)


def _attempts(slots: KeySlots, key_files: Path, environ: Mapping[str, str]) -> Iterator[Callable[[], Identity]]:
    listed = slots.listed()
    for slot in listed:
        path = key_file_of(key_files, slot.id)
        if os.path.lexists(path):
            yield partial(open_by_key_file, slots, path)
    if any(slot.kind is SlotKind.KEYCHAIN for slot in listed):
        yield partial(open_by_keychain, slots)
    if environ.get(PASSPHRASE_FILE_VARIABLE):
        yield lambda: open_by_passphrase(slots, given_passphrase(None, "", environ))


def _facts(path: Path) -> tuple[int, ...]:
    try:
        facts = path.stat()
    except OSError:
        return ()
    # Every look changes the times of a pipe.
    return (facts.st_ino, facts.st_ctime_ns, facts.st_size) if stat.S_ISREG(facts.st_mode) else (facts.st_ino,)
