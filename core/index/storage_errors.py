"""How the failures of files and of the engines below become the errors a person sees."""

from __future__ import annotations

import errno

from core.errors import WorkspaceUnusable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_PHRASES = ("no space left", "disk quota exceeded", "file too large", "disk is full", "out of disk space")
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_REFUSED_PHRASES = ("permission denied", "read-only file system", "operation not permitted", "readonly database")


def is_full(failure: BaseException | str) -> bool:
    """Whether a failure, or the text of one, says that the disk, a quota or a file size limit is exhausted."""
    if isinstance(failure, OSError) and failure.errno is not None:
        return failure.errno in _FULL
    text = str(failure).lower()
    return any(phrase in text for phrase in _FULL_PHRASES)


def is_refused(failure: BaseException | str) -> bool:
    """Whether a failure, or the text of one, says that the file system or its permissions refuse writing."""
    if isinstance(failure, OSError) and failure.errno is not None:
        return failure.errno in _REFUSED
    text = str(failure).lower()
    return any(phrase in text for phrase in _REFUSED_PHRASES)


class IndexGone(WorkspaceUnusable):
    """A file of the document index cannot be read any more."""


class IndexDamaged(IndexGone):
    """It was found damaged while in use; the next use of it starts a new one from position 0."""


class IndexClosed(IndexGone):
    """It was closed: by the end of the process, or because the keys that it needs were locked."""

    def __init__(self) -> None:
        super().__init__("The document index is closed.")
