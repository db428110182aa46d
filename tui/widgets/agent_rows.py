"""Agents in a table: how each reads in so many cells, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from textual.content import Content

from core.agent_model import Admission, Agent, AgentOverview, AgentStatus
from tui import moments
from tui.printable import printable

MOST_CARD_AGENTS = 3
NAME_SHARE = 0.55
LONGEST_NAME = 28


@dataclass(frozen=True, slots=True)
class Standing:
    """How an agent stands, never by colour alone."""

    glyph: str
    word: str
    style: str

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"


_STATUSES = {
    AgentStatus.ACTIVE: Standing("●", "active", "$success"),
    AgentStatus.BUSY: Standing("◆", "busy", "$accent"),
    AgentStatus.ERROR: Standing("▲", "error", "bold $error"),
    AgentStatus.INACTIVE: Standing("○", "inactive", "$muted"),
}
_RETIRED = Standing("×", "retired", "$muted")


def standing(agent: Agent) -> Standing:
    """How the agent stands; one that waits for its place says which in line it has."""
    if agent.admission is Admission.RETIRED:
        return _RETIRED
    if agent.admission is Admission.WAITING:
        return Standing("◌", f"waits {agent.place}" if agent.place else "waits", "$warning")
    return _STATUSES[agent.status]


def is_alive(agent: Agent) -> bool:
    """Whether the agent has its place and gave a sign of life lately."""
    return agent.admission is Admission.ADMITTED and agent.status is not AgentStatus.INACTIVE


def doing(agent: Agent) -> str:
    """The tool that runs, or what the last error said."""
    if agent.current_tool:
        return printable(agent.current_tool)
    return printable(agent.note) if agent.status is AgentStatus.ERROR else ""


def in_order(overviews: Iterable[AgentOverview]) -> list[AgentOverview]:
    """Those who have a place first, then those who wait as they stand in line, then the retired; else as they came."""
    ranks = {Admission.ADMITTED: 0, Admission.WAITING: 1, Admission.RETIRED: 2}
    return sorted(overviews, key=lambda each: (ranks[each.agent.admission], each.agent.place or 0))


def matching(overviews: Iterable[AgentOverview], text: str) -> list[AgentOverview]:
    """Those whose name, type and status together hold every word of ``text``."""
    words = text.casefold().split()
    return [
        each
        for each in overviews
        if all(word in f"{each.agent.name} {each.agent.type} {standing(each.agent).word}".casefold() for word in words)
    ]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; numbers stand at its right."""

    name: str
    title: str
    width: int
    number: bool = False


_STATUS = Column("status", "Status", 10)
_TYPE = Column("type", "Type", 13)
_LAST = Column("last", "Last", 6, number=True)
_UNREAD = Column("unread", "Unread", 6, number=True)
_COUNTS = (_UNREAD, Column("leases", "Leases", 6, number=True), Column("states", "States", 6, number=True))


def columns_for(width: int) -> tuple[Column, ...]:
    """The columns that ``width`` cells have room for; name and tool share what the others leave."""
    if width >= 92:
        fixed: tuple[Column, ...] = (_STATUS, _TYPE, _LAST, *_COUNTS)
    elif width >= 66:
        fixed = (_STATUS, _TYPE, _LAST, _UNREAD)
    elif width >= 46:
        fixed = (_STATUS, _LAST, _UNREAD)
    else:
        fixed = (_STATUS, _LAST)
    room = max(12, width - sum(column.width for column in fixed) - len(fixed) - 1)
    name = Column("name", "Name", min(LONGEST_NAME, round(room * NAME_SHARE)))
    tool = Column("tool", "Tool", room - name.width)
    between = [column for column in fixed if column in (_TYPE, _LAST)]
    return (_STATUS, name, *between, tool, *(column for column in fixed if column in _COUNTS))


def header(columns: Sequence[Column]) -> Content:
    """The titles."""
    cells = (_cell(column.title, column, "bold $muted") for column in columns)
    return Content(" ").join(cells)


def row(overview: AgentOverview, columns: Sequence[Column], at: datetime) -> Content:
    """One agent at the moment ``at``."""
    agent = overview.agent
    look = standing(agent)
    texts = {
        "status": (str(look), look.style),
        "name": (printable(agent.name), "bold" if is_alive(agent) else ""),
        "type": (printable(agent.type), "$muted"),
        "last": (moments.stretch((at - agent.last_activity).total_seconds()), "$muted"),
        "tool": (doing(agent), "$error" if agent.status is AgentStatus.ERROR else ""),
        "unread": (_count(overview.unread), "bold $accent"),
        "leases": (_count(overview.leases), ""),
        "states": (_count(overview.states), ""),
    }
    return Content(" ").join(_cell(texts[column.name][0], column, texts[column.name][1]) for column in columns)


def agent_line(overview: AgentOverview, at: datetime) -> str:
    """One agent as plain text, to be copied."""
    agent = overview.agent
    parts = [
        agent.name,
        agent.type,
        standing(agent).word,
        doing(agent),
        f"last activity {moments.since(agent.last_activity, at)}",
        f"{overview.unread} unread",
        f"{overview.leases} leases",
        f"{overview.states} states",
        agent.id,
    ]
    return " · ".join(printable(part) for part in parts if part)


def summary(overviews: Sequence[AgentOverview]) -> str:
    """How many there are, in words: ``2 active · 1 waits · 1 inactive``."""
    agents = [each.agent for each in overviews if each.agent.admission is not Admission.RETIRED]
    alive = sum(map(is_alive, agents))
    waiting = sum(agent.admission is Admission.WAITING for agent in agents)
    inactive = len(agents) - alive - waiting
    retired = len(overviews) - len(agents)
    parts = [f"{alive} active", _some(waiting, "waiting"), _some(inactive, "inactive"), _some(retired, "retired")]
    return " · ".join(part for part in parts if part)


def card(overviews: Sequence[AgentOverview]) -> Content:
    """Who is alive and doing what, and how many there are."""
    alive = [each.agent for each in overviews if is_alive(each.agent)]
    lines: list[Content] = []
    for agent in alive[:MOST_CARD_AGENTS]:
        look = standing(agent)
        lines.append(
            Content.assemble(
                (f"{look.glyph} ", look.style), (printable(agent.name), "bold"), f" {doing(agent) or look.word}"
            )
        )
    return Content("\n").join([*lines, Content.styled(summary(overviews), "$muted")])


def _cell(text: str, column: Column, style: str) -> Content:
    content = Content.styled(text, style).truncate(column.width, ellipsis=True)
    missing = column.width - content.cell_length
    return content.pad_left(missing) if column.number else content.pad_right(missing)


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _some(number: int, word: str) -> str:
    return f"{number} {word}" if number else ""
