"""What goes out of an item: its header, and its content in the form that travels."""

from __future__ import annotations

from core.agentfs import travelling_sessions, travelling_states
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import to_json, to_text
from core.agentfs.travelling_agents import AgentRecord, Party, TravellingAgents
from core.agentfs.travelling_items import TravellingItems
from core.agentfs.travelling_messages import TravellingMessages
from core.agentfs.travelling_sessions import TravellingSessions
from core.agentfs.travelling_states import TravellingStates
from core.content_format import decode, encode, portable
from core.errors import WorkspaceUnusable
from core.model import Item, JSONObject, JSONValue, Kind
from core.sync.item_header import ItemHeader
from core.sync.things import Thing, last_part, state_place, thing_at
from core.sync.versions import PlainKey, VersionKey


class Travellers:
    """What knows how each kind leaves and arrives; one for a workspace."""

    def __init__(self, agentfs: AgentFS, device_name: str) -> None:
        self.items = TravellingItems(agentfs.items, agentfs.shares)
        self.agents = TravellingAgents(agentfs.database, agentfs.audit, agentfs.agents, device_name)
        self.states = TravellingStates(agentfs.database, agentfs.items, agentfs.contents, agentfs.guard, self.items)
        self.messages = TravellingMessages(agentfs.database, self.agents, self.items)
        self.sessions = TravellingSessions(agentfs.database, self.agents, self.items)


class Leaving:
    """Safe from any thread; everything raises Locked where what it reads is sealed and the keys are locked."""

    def __init__(self, agentfs: AgentFS, travellers: Travellers) -> None:
        self._agentfs = agentfs
        self._travellers = travellers

    def header(self, item: Item) -> ItemHeader:
        """What travels of an item beside its content."""
        about, parties = self._about(item)
        return ItemHeader(
            kind=item.kind.value,
            owner=item.owner,
            level=item.level,
            critical=item.critical,
            metadata=item.metadata,
            agent=item.agent_id,
            shares=tuple(self._agentfs.shares.of(item.id)),
            about=about,
            parties=parties,
            found=item.sensitive,
            created_at=item.created_at,
            updated_at=item.updated_at,
        )

    def plain(self, item: Item) -> bytes:
        """The content that is compared: equal on every device."""
        return comparable(item.kind, self._agentfs.items.content(item))

    def packed(self, item: Item, plain: bytes) -> bytes:
        """The content that travels: what is compared, with what a device adds to what is there."""
        thing = thing_at(item.path)
        if thing is Thing.STATE:
            history = self._travellers.states.history(item.id)
            return travelling_states.packed(plain, history) if history else plain
        if thing is Thing.SESSION:
            return travelling_sessions.packed(plain, self._travellers.sessions.calls(item.id))
        return plain

    def version(self, item: Item, key: VersionKey | PlainKey) -> str:
        """The version of an item, made anew."""
        return key.version(self.header(item).counted(key.content(self.plain(item))))

    def _about(self, item: Item) -> tuple[JSONObject, tuple[Party, ...]]:
        """What its kind adds to the header, and whom it names."""
        match thing_at(item.path):
            case Thing.STATE:
                expires_at = self._travellers.states.expires_at(item.id)
                about: dict[str, JSONValue] = {} if expires_at is None else {"expires_at": to_text(expires_at)}
                return about, self._travellers.agents.parties([state_place(item.path)[0]])
            case Thing.MESSAGE:
                message = self._travellers.messages.told(item.id)
                if message is None:
                    raise WorkspaceUnusable(f"Message {item.id} lacks its row.", "`bailiwick doctor` tells more.")
                return message.to_json(), self._travellers.agents.parties(message.agents)
            case Thing.SESSION:
                return {}, self._travellers.agents.parties([item.agent_id])
        return {}, ()


def comparable(kind: str, content: bytes) -> bytes:
    """The content of an item as it is equal on every device."""
    if kind != Kind.DOCUMENT:
        return content
    try:
        return encode(portable(decode(content)))
    except ValueError:
        return content


def agent_header(record: AgentRecord) -> ItemHeader:
    """What travels of an agent beside its record."""
    return ItemHeader(kind=Thing.AGENT.value, owner=record.party.owner, agent=last_part(record.party.id))


def agent_version(record: AgentRecord, key: VersionKey | PlainKey) -> str:
    """The version of an agent."""
    return key.version(agent_header(record).counted(key.content(to_json(dict(record.counted())).encode())))
