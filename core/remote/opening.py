"""Which store a URL means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import InvalidInput
from core.remote.folder import FolderStore
from core.remote.store import ObjectStore

_HINT = "Name a folder, s3://BUCKET?endpoint=…&profile=r2, or https://… of a public library."


def open_store(url: str, environ: Mapping[str, str] = os.environ) -> ObjectStore:
    """The store at ``url``: a folder, ``s3://BUCKET[/PREFIX]?endpoint=…&profile=…&region=…``, or ``https://…``.

    Raises InvalidInput for what is none, and what opening it raises.
    """
    if url.startswith("s3://"):
        from core.remote.s3 import open_s3

        return open_s3(url, environ)
    if url.startswith(("https://", "http://")):
        from core.remote.https import HttpsStore

        return HttpsStore(url)
    if "://" in url and not url.startswith("file://"):
        raise InvalidInput(f"There is no remote of the kind {urlsplit(url).scheme}.", _HINT)
    path = Path(urlsplit(url).path if url.startswith("file://") else url).expanduser()
    if not url.strip() or not path.is_absolute():
        raise InvalidInput("A remote folder is named by its whole path.", _HINT)
    return FolderStore(path)
