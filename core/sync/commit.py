"""One commit of an area's log: how it is written, and read again without trusting whoever wrote it.

Stored bytes: a zstd frame (RFC 8878) of canonical JSON ``{"body": {…}, "sig": …}``, in sealed areas inside an age
file. ``sig`` is the device's Ed25519 signature (RFC 8032) over the canonical JSON of the body, in hexadecimal.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.agentfs.database import from_text, to_json, to_text
from core.errors import InvalidInput, SealBroken, WorkspaceUnusable
from core.ids import looks_like_id, sha256_hex
from core.model import JSONObject
from core.remote.store import checked_key
from core.sync.packing import Encoding, compress, decompress
from core.sync_model import Change

FORMAT = 1
LARGEST_COMMIT = 4 * 1024 * 1024
"""Bytes of a commit as it is stored; a writer splits what would be larger."""
LARGEST_BODY = 32 * 1024 * 1024
MOST_CHANGES = 4096
LARGEST_OPERATION = 1024 * 1024
LONGEST_PATH = 2048
_SHA256 = re.compile("[0-9a-f]{64}")
_LARGEST_OBJECT = 1 << 40


@dataclass(frozen=True, slots=True)
class Place:
    """Where content lies in the remote: ``length`` stored bytes from ``first`` of the object ``key``.

    ``sha256`` is that of those stored bytes; ``encoding`` what was done to the content to get them.
    """

    key: str
    first: int
    length: int
    sha256: str
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Operation:
    """What a commit does to one path.

    ``base`` and ``version`` are content versions, ``None`` for none; ``header`` is what is known of the item but its
    content; ``content`` tells equal contents within the area; ``size`` is that of the content in bytes.
    """

    path: str
    change: Change
    base: str | None
    version: str | None
    kind: str = ""
    item_id: str = ""
    header: JSONObject | None = None
    content: str = ""
    size: int = 0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of a device's audit trail when it wrote a commit.

    ``before`` is the record (position, hash) that the trail holds now where the device's last commit in this area saw
    its end, ``None`` where there was none or it is archived: another hash than then is a trail that was rewritten.
    """

    position: int
    hash: str
    before: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One entry of a log; ``at`` decides nothing.

    ``prev`` is the hash of the stored bytes of the commit before it, empty in the first.
    """

    area: str
    seq: int
    prev: str
    id: str
    device: str
    at: datetime
    operations: tuple[Operation, ...]
    audit: AuditHead


def log_key(area: str, seq: int) -> str:
    """The key of an area's commit ``seq``, which counts from 1."""
    return f".bailiwick/log/{area}/{seq:012d}"


def body_of(commit: Commit) -> bytes:
    """What is signed: the commit as canonical JSON."""
    return to_json(
        {
            "v": FORMAT,
            "area": commit.area,
            "seq": commit.seq,
            "prev": commit.prev,
            "id": commit.id,
            "device": commit.device,
            "at": to_text(commit.at),
            "ops": [_written(each) for each in commit.operations],
            "audit": {
                "position": commit.audit.position,
                "hash": commit.audit.hash,
                "before": list(commit.audit.before) if commit.audit.before is not None else None,
            },
        }
    ).encode()


def encode(body: bytes, signature: bytes) -> bytes:
    """The commit as it is stored in a plain area, or sealed in another."""
    return compress(b'{"body":' + body + b',"sig":"' + signature.hex().encode() + b'"}')


@dataclass(frozen=True, slots=True)
class Signed:
    """A commit as read, with what its signature is over."""

    commit: Commit
    body: bytes
    signature: bytes


def decode(data: bytes, area: str, seq: int) -> Signed:
    """The commit in ``data``, which was read as number ``seq`` of ``area``; the signature is still to be checked.

    Raises SealBroken when it is none, is not the one it was read as, or names anything that no commit of ours names;
    WorkspaceUnusable when a newer version wrote it.
    """
    try:
        text = decompress(data, LARGEST_BODY)
        read = json.loads(text)
        body = read["body"]
        if body["v"] != FORMAT:
            raise WorkspaceUnusable(
                "A newer version of Bailiwick has written to this remote.", "Update Bailiwick on this machine."
            )
        commit = _commit(body)
        signature = bytes.fromhex(read["sig"])
        canonical = to_json(body).encode()
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
        InvalidInput,
        SealBroken,
    ) as error:
        raise SealBroken(
            f"Commit {seq} of {area} is damaged or not Bailiwick's ({type(error).__name__}).",
            "`bailiwick verify` names it; `bailiwick repair` puts it back from a device that has it.",
        ) from None
    if (commit.area, commit.seq) != (area, seq):
        raise SealBroken(
            f"Commit {seq} of {area} is another one, put in its place.", "`bailiwick repair` puts the right one back."
        )
    return Signed(commit, canonical, signature)


def stored_hash(data: bytes) -> str:
    """What the next commit names this one by: the SHA-256 of its stored bytes."""
    return sha256_hex(data)


def checked_path(path: str) -> str:
    """``path``; raises InvalidInput when no item can have it."""
    if not path or len(path) > LONGEST_PATH or not path.isprintable() or path.startswith("/"):
        raise InvalidInput(f"{path[:60]!r} cannot be an item's path.")
    # The key of a state names no file anywhere, and may hold whatever its agent likes.
    named = path.partition("/state/")[0] if path.startswith("agents/") else path
    if any(part in ("", ".", "..") for part in named.split("/")):
        raise InvalidInput(f"{path[:60]!r} cannot be an item's path.")
    return path


def told_size(operation: Operation) -> int:
    """How many bytes a commit takes to tell of ``operation``; raises InvalidInput for one that no reader takes in."""
    try:
        text = to_json(_written(operation)).encode()
        if len(text) > LARGEST_OPERATION:
            raise InvalidInput(f"{operation.path} has {len(text):,} bytes beside its content, too many to be told of.")
        _operation(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(f"{operation.path} cannot be told of ({type(error).__name__}).") from None
    return len(text)


def _written(operation: Operation) -> JSONObject:
    told: dict[str, Any] = {"path": operation.path, "op": operation.change.value}
    told |= {"base": operation.base, "new": operation.version}
    if operation.change is not Change.DELETE:
        told |= {"kind": operation.kind, "id": operation.item_id, "header": dict(operation.header or {})}
        told |= {"content": operation.content, "size": operation.size}
    if (place := operation.place) is not None:
        told["place"] = [place.key, place.first, place.length, place.sha256, place.encoding.value]
    return told


def _commit(body: Any) -> Commit:
    operations = body["ops"]
    if not isinstance(operations, list) or len(operations) > MOST_CHANGES:
        raise ValueError("no list of changes")
    audit = body["audit"]
    seq, position = _number(body["seq"], 1), _number(audit["position"], 0)
    before = None
    if audit["before"] is not None:
        seen, hash_ = audit["before"]
        before = (_number(seen, 0), _hash(hash_))
    device = str(body["device"])
    if not looks_like_id(device) or not looks_like_id(str(body["id"])):
        raise ValueError("no id")
    at = from_text(str(body["at"]))
    if at.tzinfo is None:
        raise ValueError("no moment")
    to_text(at)
    return Commit(
        area=_text(body["area"], 256),
        seq=seq,
        prev=_hash(body["prev"], empty=True),
        id=str(body["id"]),
        device=device,
        at=at,
        operations=tuple(_operation(each) for each in operations),
        audit=AuditHead(position, _hash(audit["hash"], empty=True), before),
    )


def _operation(told: Any) -> Operation:
    change = Change(told["op"])
    base = _hash(told["base"]) if told["base"] is not None else None
    version = _hash(told["new"]) if told["new"] is not None else None
    path = checked_path(_text(told["path"], LONGEST_PATH))
    if change is Change.DELETE:
        if version is not None:
            raise ValueError("a deletion with a version")
        return Operation(path, change, base, None)
    if (version is None) != (change is Change.COLLECT):
        raise ValueError("a change without a version")
    header = told["header"]
    if not isinstance(header, dict):
        raise ValueError("no header")
    place = _place(told["place"]) if told.get("place") is not None else None
    return Operation(
        path,
        change,
        base,
        version,
        _text(told["kind"], 64, empty=True),
        _text(told["id"], 64, empty=True),
        header,
        _text(told["content"], 128, empty=True),
        _number(told["size"], 0),
        place,
    )


def _place(told: Any) -> Place:
    key, first, length, sha256, encoding = told
    return Place(
        checked_key(_text(key, 1024)), _number(first, 0), _number(length, 0), _hash(sha256), Encoding(encoding)
    )


def _number(value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < _LARGEST_OBJECT:
        raise ValueError("no such number")
    return value


def _text(value: Any, longest: int, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > longest or not (value or empty):
        raise ValueError("no such text")
    return value


def _hash(value: Any, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (_SHA256.fullmatch(value) or (empty and not value)):
        raise ValueError("no hash")
    return value
