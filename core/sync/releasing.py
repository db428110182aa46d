"""What of the user's own items a team or everybody gets: decided item by item, and taken back where it was unshared."""

from __future__ import annotations

from dataclasses import dataclass

from core.agentfs.agentfs import AgentFS
from core.errors import AccessDenied, BailiwickError, Unreachable
from core.model import Item, Kind
from core.privacy import Action, Audience, Purpose, decide
from core.sync.local_tree import LocalTree, Outgoing
from core.sync.published_files import PublishedDocuments
from core.sync.things import Thing, thing_at
from core.sync_model import Area, AreaKind

_SHARED_THINGS = (Thing.ITEM, Thing.STATE)


@dataclass(frozen=True, slots=True)
class Releasing:
    """Releases to one area. Safe from any thread."""

    agentfs: AgentFS
    tree: LocalTree
    area: Area
    user: str
    published: PublishedDocuments

    def outgoing(self, path: str) -> Outgoing | None:
        """What is at ``path`` as the area's members get it, ``None`` where they get nothing.

        Whether they do is decided first, so that what nobody shared leaves no record of a refusal.
        """
        item = self.agentfs.items.at_path(path)
        if item is None or item.owner != self.user or thing_at(path) not in _SHARED_THINGS:
            return None
        if self._is_published(item):
            return None
        audience, purpose = self._audience()
        subject = self.agentfs.permissions.subject(item)
        if decide(self.agentfs.guard.rules, subject, audience, purpose).action in (Action.REFUSE, Action.SEAL):
            return None
        try:
            return self.tree.outgoing(path, audience, purpose)
        except AccessDenied:
            # The door found what the classification at the time of writing had not.
            return None

    def _is_published(self, item: Item) -> bool:
        """Whether everybody gets it in a library already, and not a second time by itself."""
        if self.area.kind is not AreaKind.SHARED or item.kind is not Kind.DOCUMENT:
            return False
        try:
            return self.published.holds(item)
        except Unreachable:
            raise
        except BailiwickError:
            # What cannot be read is for `verify` to tell; nothing of it leaves a second way.
            return True

    def _audience(self) -> tuple[Audience, Purpose]:
        if self.area.kind is AreaKind.TEAM:
            return Audience.team(self.area.name, member=True), Purpose.SYNC
        return Audience.public(), Purpose.SHARE


def view_key(user: str, path: str) -> str:
    """The readable key of something that its owner shared with everybody."""
    own = f"user-contributions/{user}/"
    return path if path.startswith(own) else own + path
