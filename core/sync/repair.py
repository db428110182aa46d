"""Mending a remote from what this device still has; what is left needs another device."""

from __future__ import annotations

from core.agentfs.agentfs import AgentFS
from core.remote.store import ObjectStore
from core.sync.verify import VerifyProgress
from core.sync_model import Area, Repair


def repair(
    agentfs: AgentFS, store: ObjectStore, areas: tuple[Area, ...], *, progress: VerifyProgress | None = None
) -> Repair:
    """Verify everything, put back what this device has the bytes of, and verify that again; run again, it goes on.

    Nothing whole is ever overwritten. Raises what the store raises.
    """
    raise NotImplementedError
