"""Checking a remote: everything damaged, missing, rolled back, forked or foreign is named, with what mends it."""

from __future__ import annotations

from collections.abc import Callable

from core.agentfs.agentfs import AgentFS
from core.remote.store import ObjectStore
from core.sync_model import Area, Verification

VerifyProgress = Callable[[str, int, int], None]
"""Called with what is looked at, how many of it are done, and how many there are."""


def verify(
    agentfs: AgentFS,
    store: ObjectStore,
    areas: tuple[Area, ...],
    *,
    sample: float = 0.02,
    progress: VerifyProgress | None = None,
) -> Verification:
    """Look at every object of the remote that this workspace knows of or may read; changes nothing.

    The log is read whole; of the content each object is asked for by listing, and a ``sample`` (0..1) of them is read
    whole and compared. Raises what the store raises; what is wrong with the remote is in the answer.
    """
    raise NotImplementedError
