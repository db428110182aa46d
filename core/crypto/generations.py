"""The generation files in the folder of keys, as an opened slot sees them.

``generations/<number>-<id>.age`` was sealed to every slot of its day, and to the generation itself, so that each of
its holders can see to whom it went. ``generations/<number>-<id>.<slot>.age`` hands it on to one slot that had been
left out, because it was added on another machine at the same time. No file is ever rewritten.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from core.crypto.identity import GenerationFile, Identity, forged, read_generation_file
from core.crypto.sealing import open_sealed
from core.crypto.secret import Secret
from core.crypto.whole_files import read_small
from core.errors import SealBroken, WrongKey

GENERATIONS_FOLDER = "generations"
_NAME = re.compile(r"([0-9]{6})-([0-9a-f]{16})(?:\.([0-9a-z]{26}))?\.age")


def generation_name(file: GenerationFile, only_slot: str = "") -> str:
    """What a new file is called; ``only_slot`` when it hands a generation on to one slot."""
    beginning = f"{file.generation.number:06d}-{file.generation.id}"
    return f"{beginning}.{only_slot}.age" if only_slot else f"{beginning}.age"


def generation_names(folder: Path) -> tuple[str, ...]:
    """The names of the files there are, oldest generation first."""
    # Asked for with every use of a key, and so without a path object for each name.
    try:
        names = os.listdir(os.path.join(folder, GENERATIONS_FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(name for name in names if _NAME.fullmatch(name)))


def read_generations(folder: Path, identity: Identity) -> Identity:
    """``identity`` with every generation that it can open; the others' files are in its ``unopened``.

    Raises SealBroken when a file can be opened but was not made by a holder of the keys: somebody tries to have new
    writes sealed to a key of his own.
    """
    unopened: dict[str, str] = {}
    for name in generation_names(folder):
        found = _NAME.fullmatch(name)
        if found is None or found[2] in {each.id for each in identity.generations}:
            continue
        opened = _opened(folder, name, identity)
        if opened is None:
            unopened[found[2]] = name
            continue
        identity = identity.extended([opened.generation])
    known = {each.id for each in identity.generations}
    return identity.extended((), tuple(name for id_, name in unopened.items() if id_ not in known))


def coverage(folder: Path, identity: Identity) -> dict[str, set[str]]:
    """For each slot, the ids of the generations that files of this folder give to it."""
    covered: dict[str, set[str]] = {}
    for file in generation_files(folder, identity):
        for slot_id in file.slots:
            covered.setdefault(slot_id, set()).add(file.generation.id)
    return covered


def generation_files(folder: Path, identity: Identity) -> Iterator[GenerationFile]:
    """Every file that ``identity`` can open. Raises as ``read_generations``."""
    for name in generation_names(folder):
        opened = _opened(folder, name, identity)
        if opened is not None:
            yield opened


def _opened(folder: Path, name: str, identity: Identity) -> GenerationFile | None:
    sealed = read_small(folder / GENERATIONS_FOLDER / name)
    keys: list[Secret] = [identity.slot_key.secret] if identity.slot_key else []
    shown = f"The key generation {name}"
    try:
        content = Secret(open_sealed(sealed or b"", [*keys, *identity.secrets], shown))
    except (WrongKey, SealBroken):
        return None
    file = read_generation_file(content, identity, shown)
    found = _NAME.fullmatch(name)
    if file is None:
        return None
    if found is None or found[2] != file.generation.id or int(found[1]) != file.generation.number:
        raise forged(shown)
    return file
