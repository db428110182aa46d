"""What travels of an item beside its content, and the version that both make: read without trusting the sender.

The version is made of what is the same on every device. What a device knows alone (where a file lies there) stays
there; what follows from the content, and moments, travel but do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.agentfs.database import from_text, to_json, to_text
from core.agentfs.shares import ShareRecord
from core.agentfs.travelling_agents import Party
from core.errors import InvalidInput
from core.model import JSONObject, JSONValue, Kind, Level, Sensitivity

FORMAT = 1
LOCAL_METADATA = frozenset({"source", "source_id"})
"""Of this device alone: it neither travels nor is it replaced by what arrives."""
UNCOUNTED_METADATA = frozenset(
    {"version", "moment", "title", "checksum", "file_size_bytes", "passages", "source", "source_id"}
)
LONGEST_NAME = 512
MOST_PARTIES = 10_000
_AUDIENCES = ("agent", "team", "public")


@dataclass(frozen=True, slots=True)
class ItemHeader:
    """All of an item but its content. ``about`` is what its kind adds; ``found`` why it was sensitive at its sender."""

    kind: str
    owner: str
    level: Level = Level.PRIVATE
    critical: bool = False
    metadata: JSONObject = field(default_factory=dict)
    agent: str = ""
    shares: tuple[ShareRecord, ...] = ()
    about: JSONObject = field(default_factory=dict)
    parties: tuple[Party, ...] = ()
    found: Sensitivity = Sensitivity.UNKNOWN
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def to_json(self) -> dict[str, JSONValue]:
        """The header as it travels."""
        told: dict[str, JSONValue] = {
            "v": FORMAT,
            "kind": str(self.kind),
            "owner": self.owner,
            "level": self.level.value,
            "critical": self.critical,
            "metadata": {name: value for name, value in self.metadata.items() if name not in LOCAL_METADATA},
            "agent": self.agent,
            "found": self.found.value,
        }
        if self.shares:
            told["shares"] = [
                [each.audience, each.name, each.in_full, each.opted_out, each.shared_by, to_text(each.at)]
                for each in self.shares
            ]
        if self.about:
            told["about"] = dict(self.about)
        if self.parties:
            told["parties"] = [
                [each.id, each.name, each.type, each.owner, each.device, each.device_name] for each in self.parties
            ]
        for name, moment in (("created_at", self.created_at), ("updated_at", self.updated_at)):
            if moment is not None:
                told[name] = to_text(moment)
        return told

    def counted(self, content_digest: str) -> bytes:
        """What the version is a hash of: equal on all devices for what is equal there."""
        shares = sorted([each.audience, each.name, each.in_full, each.opted_out] for each in self.shares)
        metadata = {name: value for name, value in self.metadata.items() if name not in UNCOUNTED_METADATA}
        return to_json(
            {
                "kind": str(self.kind),
                "owner": self.owner,
                "level": self.level.value,
                "critical": self.critical,
                "metadata": metadata,
                "agent": self.agent,
                "shares": shares,
                "about": dict(self.about),
                "content": content_digest,
            }
        ).encode()


def read_header(told: JSONObject, item_id: str) -> ItemHeader:
    """The header that ``to_json`` gave; raises InvalidInput for anything that no device of ours sends."""
    try:
        return _read(told, item_id)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InvalidInput(f"What came about an item is not what Bailiwick sends ({type(error).__name__}).") from None


def _read(told: Mapping[str, Any], item_id: str) -> ItemHeader:
    if told["v"] != FORMAT:
        raise InvalidInput("A newer version of Bailiwick has sent this item.", "Update Bailiwick on this machine.")
    kind = str(told["kind"])
    if kind != "agent":
        Kind(kind)
    metadata, about = told["metadata"], told.get("about", {})
    if not isinstance(metadata, dict) or not isinstance(about, dict):
        raise ValueError("no metadata")
    to_json([metadata, about]).encode()
    parties = told.get("parties", [])
    if len(parties) > MOST_PARTIES:
        raise ValueError("too many parties")
    return ItemHeader(
        kind=kind,
        owner=_name(told["owner"]),
        level=Level(told["level"]),
        critical=_flag(told["critical"]),
        metadata={name: value for name, value in metadata.items() if name not in LOCAL_METADATA},
        agent=_name(told["agent"], empty=True),
        shares=tuple(_share(each, item_id) for each in told.get("shares", [])),
        about=about,
        parties=tuple(_party(each) for each in parties),
        found=Sensitivity(told["found"]),
        created_at=moment(told["created_at"]) if "created_at" in told else None,
        updated_at=moment(told["updated_at"]) if "updated_at" in told else None,
    )


def moment(text: Any) -> datetime:
    """The moment in ``text``; raises ValueError or TypeError when it is none, or says no time zone."""
    read = from_text(text)
    if read.tzinfo is None:
        raise ValueError("no moment")
    return read


def _share(told: Any, item_id: str) -> ShareRecord:
    audience, name, in_full, opted_out, by, at = told
    if audience not in _AUDIENCES:
        raise ValueError("no audience")
    return ShareRecord(
        item_id, audience, _name(name, empty=True), _flag(in_full), _flag(opted_out), _name(by), moment(at)
    )


def _party(told: Any) -> Party:
    agent_id, name, kind, owner, device, device_name = told
    return Party(_name(agent_id), _name(name), _name(kind), _name(owner), _name(device), _name(device_name, empty=True))


def _name(value: Any, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not value.isprintable() or not (value or empty):
        raise ValueError("no name")
    value.encode()
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("no flag")
    return value
