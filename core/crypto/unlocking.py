"""The ways in which a person unlocks the keys of a workspace, by name, so that they can be asked for through a door."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from core.crypto.openers import open_by_key_file, open_by_passphrase, open_by_recovery_code, open_by_typed
from core.crypto.secret import Secret
from core.crypto.unasked import open_unasked
from core.crypto.workspace_keys import WorkspaceKeys


class Way(StrEnum):
    """What a person unlocks with; ``unasked`` is what this machine unlocks with by itself.

    ``typed`` stands for either a passphrase or a recovery code, where both could have been typed.
    """

    UNASKED = "unasked"
    TYPED = "typed"
    PASSPHRASE = "passphrase"
    RECOVERY_CODE = "recovery_code"
    KEY_FILE = "key_file"


def unlock(keys: WorkspaceKeys, way: Way, given: Secret) -> None:
    """Unlock ``keys`` with a passphrase, a recovery code or the path of a key file.

    Raises WrongKey, InvalidInput, NotFound and Locked as the openers do.
    """
    match way:
        case Way.TYPED:
            keys.unlock(lambda slots: open_by_typed(slots, given))
        case Way.PASSPHRASE:
            keys.unlock(lambda slots: open_by_passphrase(slots, given))
        case Way.RECOVERY_CODE:
            keys.unlock(lambda slots: open_by_recovery_code(slots, given))
        case Way.KEY_FILE:
            keys.unlock(lambda slots: open_by_key_file(slots, Path(given.text()).expanduser()))
        case Way.UNASKED:
            keys.unlock(lambda slots: open_unasked(slots, keys.key_files, os.environ))
