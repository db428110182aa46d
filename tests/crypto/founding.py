"""A process that seals something in a workspace which may have no keys yet.

    python founding.py KEYS KEY_FILES TEXT

It waits for a line on its input, so that several begin together, and writes what it sealed, in hexadecimal.
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.crypto.workspace_keys import WorkspaceKeys

if __name__ == "__main__":
    folder, key_files, text = sys.argv[1:]
    keys = WorkspaceKeys(Path(folder), Path(key_files), environ={})
    sys.stdin.readline()
    print(keys.seal(text.encode()).hex(), flush=True)
