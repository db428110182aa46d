"""What content says of itself, for a value that may be a file: its own bytes are looked at too."""

from __future__ import annotations

from core.agentfs.guard import Guard
from core.interchange.file_states import StoredFile
from core.model import Sensitivity


def found_in(guard: Guard, text: str, file: StoredFile | None) -> Sensitivity:
    """What a scan finds in ``text``, the canonical JSON of a value, and in the file that it stands for, if it does."""
    found = guard.scan(text)
    if found is Sensitivity.NONE and file is not None:
        # JSON escapes line ends, and base64 hides what it encodes.
        return guard.scan(file.target or file.data.decode("utf-8", "replace"))
    return found
