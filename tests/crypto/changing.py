"""A process that changes a workspace's keys.

    python changing.py FOLDER add COUNT LABEL | found LABEL | rotate COUNT

It waits for a line on its input, so that several begin together, and writes the ids of what it made.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cheap import CHEAP, PASSPHRASE

from core.crypto.identity import new_identity
from core.crypto.openers import add_passphrase, open_by_passphrase
from core.crypto.rotation import rotate
from core.crypto.secret import Secret
from core.crypto.slots import KeySlots
from core.errors import BailiwickError

if __name__ == "__main__":
    folder, work, *arguments = sys.argv[1:]
    slots = KeySlots(Path(folder), work_factor=CHEAP)
    sys.stdin.readline()
    try:
        if work == "found":
            print(add_passphrase(slots, new_identity(), Secret(PASSPHRASE + arguments[0])).id)
        else:
            identity = open_by_passphrase(slots, Secret(PASSPHRASE))
            for number in range(int(arguments[0])):
                if work == "add":
                    print(add_passphrase(slots, identity, Secret(f"{arguments[1]} and the number {number}")).id)
                else:
                    identity = rotate(slots, identity)
                    print(identity.newest.id)
    except BailiwickError as error:
        sys.exit(error.message)
