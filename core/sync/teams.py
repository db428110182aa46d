"""Who is in a team, as its user said: each member was added by hand, from a card the person got from that member.

The cards are items of the user, at ``teams/<team>/<user>``, so they travel to the user's own devices alone, sealed.
Nothing that lies in the remote makes anybody a member, and nothing that another user sends.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now, to_json, to_text, translated
from core.agentfs.items import ItemWrite
from core.crypto.sealing import check_recipient
from core.errors import BailiwickError, InvalidInput, NotFound
from core.model import Kind, Level, Sensitivity
from core.sync.signing import is_signed, user_signer
from core.sync_model import Area, AreaKind

PREFIX = "teams/"
_CARD = "bailiwick-member-1:"
_NAME = re.compile(r"[^\W_]([\w.@+-]{0,62}[^\W_])?")
_KEY = re.compile("[0-9a-f]{64}")
_LARGEST_CARD = 2000
_GROUPS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class MemberCard:
    """A user as others need to know him: what is sealed to him, and whose signatures are his; nothing is secret.

    ``recipient`` is an age recipient, ``signing_key`` a user's Ed25519 public key in hexadecimal.
    """

    user: str
    recipient: str
    signing_key: str

    @property
    def fingerprint(self) -> str:
        """16 letters and digits that stand for the keys, for two people to compare aloud."""
        number = int.from_bytes(hashlib.sha256(f"{self.recipient} {self.signing_key}".encode()).digest()[:10])
        symbols = "".join(_GROUPS[number >> shift & 31] for shift in range(75, -1, -5))
        return "-".join(symbols[at : at + 4] for at in range(0, 16, 4))


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a team; ``is_self`` where it is the user of this workspace."""

    team: str
    card: MemberCard
    added_at: datetime
    is_self: bool

    @property
    def fingerprint(self) -> str:
        """As that of the card."""
        return self.card.fingerprint


class Teams:
    """The teams of this workspace's user. Safe from any thread."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def own_card(self) -> MemberCard:
        """The user's own card. Raises Locked, and makes the keys where there are none."""
        recipient = self._agentfs.keys.prepare().recipient
        return MemberCard(_checked_name(self._user, "user"), recipient, user_signer(self._agentfs).public)

    def card(self) -> str:
        """The user's own card as one line to give to others; raises as ``own_card``."""
        card = self.own_card()
        body = _body(card)
        signature = user_signer(self._agentfs).sign(body)
        return _CARD + base64.urlsafe_b64encode(signature + body).decode().rstrip("=")

    def add(self, team: str, card: str, *, by: Actor) -> Member:
        """Make the holder of ``card``, a line from ``card``, a member.

        Raises InvalidInput when it is no whole card, or the user is a member with another card.
        """
        member = read_card(card)
        team = _checked_name(team, "team")
        present = next((each for each in self.members(team) if each.card.user == member.user), None)
        if present is not None and present.card == member:
            return present
        if present is not None and present.card.signing_key != member.signing_key:
            raise InvalidInput(
                f"{member.user} is in team {team} with other keys: {present.fingerprint}, not {member.fingerprint}.",
                f"Ask which card is right; `bailiwick teams remove {team} {member.user}` makes room for the other.",
            )
        told = {"v": 1, "user": member.user, "recipient": member.recipient, "signing_key": member.signing_key}
        data = to_json({**told, "team": team, "added_at": to_text(now())}).encode()
        write = ItemWrite(
            _path(team, member.user), Kind.DECISION, self._user, data, Level.PRIVATE, found=Sensitivity.NONE
        )
        with self._agentfs.database.transaction() as connection:
            self._agentfs.items.put(
                connection, write, by=by, action="team.add", details={"fingerprint": member.fingerprint}
            )
        return next(each for each in self.members(team) if each.card.user == member.user)

    def remove(self, team: str, user: str, *, by: Actor) -> Member:
        """Seal nothing more to a member, and trust his signatures no more; raises NotFound."""
        member = next((each for each in self.members(team) if each.card.user == user), None)
        item = self._agentfs.items.at_path(_path(team, user)) if member is not None else None
        if member is None or item is None:
            raise NotFound(f"There is no {user} in team {team}.", "`bailiwick teams list` shows who is.")
        with self._agentfs.database.transaction() as connection:
            self._agentfs.items.delete(connection, item.id, by=by, action="team.remove")
        return member

    def members(self, team: str = "") -> list[Member]:
        """The members of one team, or of all, that can be read: those of other writers are none.

        Raises Locked where what is sealed has to be opened and cannot be.
        """
        with translated(self._agentfs.database.path):
            rows = self._agentfs.database.connection().execute(
                "SELECT path FROM items WHERE path >= ? AND path < ? AND owner = ? AND deleted = 0 ORDER BY path",
                (PREFIX, PREFIX[:-1] + "0", self._user),
            )
            paths = [str(row["path"]) for row in rows]
        found = [self._member(path) for path in paths if not team or path.startswith(_path(team, ""))]
        return [member for member in found if member is not None]

    def recipients(self, team: str) -> list[str]:
        """The age recipients of a team, the user's own among them, empty where nobody else is known. Raises Locked."""
        others = [each.card.recipient for each in self.members(team) if not each.is_self]
        return sorted({self._agentfs.keys.prepare().recipient, *others}) if others else []

    def trusted_keys(self, area: Area) -> dict[str, str]:
        """The users' signing keys, with their users, that vouch for devices in ``area``. Raises Locked.

        The user's own devices alone write to the user's area, and members to a team's; in the shared one those of
        every team are known.
        """
        own = self.own_card()
        if area.kind is AreaKind.USER:
            return {own.signing_key: own.user}
        members = self.members(area.name if area.kind is AreaKind.TEAM else "")
        return {**{each.card.signing_key: each.card.user for each in members}, own.signing_key: own.user}

    @property
    def _user(self) -> str:
        return self._agentfs.guard.settings.user

    def _member(self, path: str) -> Member | None:
        item = self._agentfs.items.at_path(path)
        if item is None:
            return None
        try:
            held = json.loads(self._agentfs.items.content(item))
            card = _checked_card(MemberCard(held["user"], held["recipient"], held["signing_key"]))
            team = _checked_name(held["team"], "team")
            added_at = datetime.fromisoformat(held["added_at"])
        except (ValueError, KeyError, TypeError, InvalidInput):
            return None
        if path != _path(team, card.user):
            return None
        return Member(team, card, added_at, card.user == self._user)


def read_card(line: str) -> MemberCard:
    """The card in ``line``; raises InvalidInput when it is none or not as its owner made it."""
    line = "".join(line.split())
    problem = InvalidInput("That is not a whole member card.", "`bailiwick teams card` shows one's own, on one line.")
    if not line.startswith(_CARD) or len(line) > _LARGEST_CARD:
        raise problem
    try:
        text = line.removeprefix(_CARD)
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        signature, body = data[:64], data[64:]
        held = json.loads(body)
        card = _checked_card(MemberCard(held["user"], held["recipient"], held["signing_key"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BailiwickError):
        raise problem from None
    if body != _body(card) or not is_signed(card.signing_key, body, signature):
        raise problem
    return card


def _body(card: MemberCard) -> bytes:
    return to_json({"user": card.user, "recipient": card.recipient, "signing_key": card.signing_key}).encode()


def _checked_card(card: MemberCard) -> MemberCard:
    _checked_name(card.user, "user")
    check_recipient(card.recipient)
    if not isinstance(card.signing_key, str) or not _KEY.fullmatch(card.signing_key):
        raise InvalidInput("The signing key of a member card is none.")
    return card


def _checked_name(name: str, what: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{str(name)[:60]!r} cannot be the name of a {what}.",
            "Letters, digits and . @ + - _ between them, at most 64.",
        )
    return name


def _path(team: str, user: str) -> str:
    return f"{PREFIX}{team}/{user}"
