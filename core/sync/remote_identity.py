"""The mark by which a remote says what it is and whose: one small object, written once and never again."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from core.crypto.identity import Identity, proof
from core.errors import InvalidInput, ObjectMissing, ObjectTooLarge, RemoteUnreachable, SealBroken, WorkspaceUnusable
from core.ids import new_id
from core.remote.store import ObjectFacts, ObjectStore

ROOT = ".bailiwick"
FORMAT_KEY = f"{ROOT}/format"
FORMAT = "bailiwick-remote"
VERSION = 1
LARGEST_FORMAT = 16 * 1024
JSON_FACTS = ObjectFacts("application/json")
_PURPOSE = b"bailiwick/v1/remote-format"
_ID = re.compile("[0-9a-z]{16,26}")


@dataclass(frozen=True, slots=True)
class RemoteFormat:
    """What the mark says: the ``workspace`` (its identity's id) that founded the remote, and how many may write.

    ``proof`` is made with the identity's first generation, so that whoever joins knows that no stranger wrote it.
    """

    workspace: str
    device: str
    founded_at: str
    writers: str
    founding: str
    proof: str = ""
    format: str = FORMAT
    version: int = VERSION

    def proved(self, identity: Identity) -> RemoteFormat:
        """This mark with its proof."""
        bare = replace(self, proof="")
        return replace(bare, proof=proof(identity.generations[0], _PURPOSE, bare.to_bytes()))

    def is_proved(self, identity: Identity) -> bool:
        """Whether a holder of ``identity`` wrote exactly this."""
        return self.workspace == identity.id and hmac.compare_digest(
            self.proved(identity).proof.encode(), self.proof.encode()
        )

    def to_bytes(self) -> bytes:
        """The object's content: JSON, always the same for the same mark."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def read_format(store: ObjectStore) -> RemoteFormat | None:
    """The mark of ``store``, None where there is none.

    Raises WorkspaceUnusable when a newer Bailiwick wrote it, SealBroken when it is no mark of ours, and what the store
    raises. Whether it is true only a holder of the identity can tell.
    """
    try:
        data = store.get(FORMAT_KEY, at_most=LARGEST_FORMAT)
    except ObjectMissing:
        return None
    except ObjectTooLarge:
        raise _strange() from None
    return _parsed(data)


def write_format(store: ObjectStore, identity: Identity, *, device: str, writers: str) -> RemoteFormat:
    """Mark ``store`` as founded by ``identity``; of several at once one succeeds.

    Raises InvalidInput when another workspace has founded it, and what the store raises.
    """
    mark = RemoteFormat(identity.id, device, datetime.now(UTC).isoformat(timespec="seconds"), writers, new_id()).proved(
        identity
    )
    lost: RemoteUnreachable | None = None
    try:
        store.put_if_absent(FORMAT_KEY, mark.to_bytes(), JSON_FACTS)
    except RemoteUnreachable as unknown:
        lost = unknown
    found = read_format(store)
    if found is None:
        raise lost or RemoteUnreachable(f"The remote {store.name} does not keep what is written.", "Try again.")
    if found.workspace != identity.id:
        raise already_founded(store)
    require_own(found, identity, store)
    return found


def require_own(mark: RemoteFormat, identity: Identity, store: ObjectStore) -> None:
    """Raise SealBroken unless a holder of ``identity`` wrote ``mark``."""
    if not mark.is_proved(identity):
        raise SealBroken(
            f"The mark of the remote {store.name} was not written by a holder of its keys.",
            "Find out who else can write there; use another remote until then.",
        )


def already_founded(store: ObjectStore) -> InvalidInput:
    """The error for founding where something is already."""
    return InvalidInput(
        f"The remote {store.name} already holds a workspace.", f"Join it with `bailiwick remote join '{store.name}'`."
    )


def _parsed(data: bytes) -> RemoteFormat:
    try:
        held = json.loads(data)
        if held["format"] != FORMAT:
            raise _strange()
        if type(held["version"]) is int and held["version"] > VERSION:
            raise WorkspaceUnusable("The remote was written by a newer Bailiwick.", "Update Bailiwick.")
        mark = RemoteFormat(**held)
        texts = (mark.device, mark.founded_at, mark.founding, mark.proof)
        sound = (
            mark.version == VERSION
            and all(isinstance(each, str) and len(each) <= 100 and each.isprintable() for each in texts)
            and isinstance(mark.workspace, str)
            and _ID.fullmatch(mark.workspace)
            and mark.writers in ("many", "one")
        )
        datetime.fromisoformat(mark.founded_at)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _strange() from None
    if not sound:
        raise _strange()
    return mark


def _strange() -> SealBroken:
    return SealBroken(
        f"The remote's {FORMAT_KEY} is not what Bailiwick writes.", "Name another bucket, or another prefix in it."
    )
