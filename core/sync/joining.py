"""Founding a remote, and joining one: the workspace and the remote come to have one identity."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.agentfs.agentfs import AgentFS
from core.crypto.secret import Secret
from core.remote.store import ObjectStore


class JoinWay(StrEnum):
    """What opens the remote's keys; with ``member`` the workspace keeps keys of its own, as another user does."""

    RECOVERY_CODE = "recovery_code"
    PASSPHRASE = "passphrase"
    APPROVAL = "approval"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Founded:
    """A founded remote. ``recovery_code`` is shown once and kept nowhere.

    ``passphrases`` counts the passphrase slots that lie in the remote from now on, where whoever can read the bucket
    may try to guess them.
    """

    workspace: str
    recovery_code: Secret
    writers: str
    passphrases: int


@dataclass(frozen=True, slots=True)
class Joined:
    """A joined remote. ``resealed`` counts what was sealed again because the workspace had keys of its own before."""

    workspace: str
    slots: int
    resealed: int


def found(agentfs: AgentFS, store: ObjectStore, *, device_name: str, writers: str = "many") -> Founded:
    """Make ``store``, which holds no workspace yet, the remote of this one; run again after an interruption, it ends.

    ``writers`` is ``many``, or ``one`` where the probe found that the store ignores conditions and the person accepts
    that one device alone may write. Raises InvalidInput when the remote already holds a workspace (of two founders at
    once exactly one succeeds), Locked, and what the store raises.
    """
    raise NotImplementedError


def join(
    agentfs: AgentFS, store: ObjectStore, way: JoinWay, given: Secret | None = None, *, device_name: str
) -> Joined:
    """Make this workspace one with what ``store`` holds.

    ``given`` is the recovery code, the passphrase, or the code that ``ask_to_join`` answered. What was sealed here
    under keys of its own is sealed again under the remote's; run again after an interruption, it ends. Raises NotFound
    when the remote holds no workspace, WrongKey, SealBroken when the remote is not what a holder of the keys wrote,
    WorkspaceUnusable when a newer Bailiwick wrote it, Unreachable while nobody has approved.
    """
    raise NotImplementedError
