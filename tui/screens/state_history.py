"""Every version of a state: what each changed, how any two differ, and how to bring one back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from core.agent_model import StateOperation, StateVersion
from core.errors import BailiwickError, Locked
from tui import moments
from tui.locking import KeysMoved
from tui.pooled import submit_newest
from tui.printable import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.working import WorkingScreen
from tui.widgets.change_lines import changes_text, value_changes
from tui.widgets.keyed_list import KeyedList, KeyedRow
from tui.widgets.levels import SEALED, sealed_note

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.agent_model import Agent
    from core.json_diff import JSONChange
    from core.model import JSONValue
    from tui.panes.agent_reading import AgentWorkspace

MOST_VERSIONS = 500
_VALUELESS = (StateOperation.DELETE, StateOperation.EXPIRE)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two versions that are compared; ``before`` is 0 where there was nothing.

    ``epoch`` counts how often the keys were locked and unlocked before.
    """

    before: int
    after: int
    epoch: int


class HistoryScreen(WorkingScreen[None]):
    """A version is compared with the one before it, or with the one that was marked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", show=False),
        Binding("m", "mark", "Mark", show=False),
        Binding("r", "restore", "Restore", show=False),
    ]

    class Compared(Message):
        """What differs between two versions."""

        def __init__(self, pair: _Pair, outcome: list[JSONChange] | BailiwickError) -> None:
            super().__init__()
            self.pair = pair
            self.outcome = outcome

    def __init__(self, workspace: AgentWorkspace, agent: Agent, key: str) -> None:
        super().__init__(workspace)
        self._agent = agent
        self._key = key
        self._versions: dict[int, StateVersion] = {}
        self._names: dict[str, str] = {}
        self._marked = 0
        self._epoch = 0

    def compose(self) -> ComposeResult:
        """The versions, and what the one at the cursor changed."""
        with Vertical(classes="dialog history") as dialog:
            dialog.border_title = Content(printable(f"{self._key} of {self._agent.name}"))
            dialog.border_subtitle = "m marks a version to compare with · r restores · Tab moves · Esc leaves"
            yield KeyedList(id="versions")
            yield Static("", id="compared", classes="heading")
            with VerticalScroll(id="changes-scroll"):
                yield Static("", id="changes")
            yield self.answer_line()

    def on_mount(self) -> None:
        """Find out which versions there are."""
        self.query_one(KeyedList).focus()
        self._list()

    @work
    async def _list(self) -> None:
        agentfs, agent, key = self._workspace.agentfs, self._agent, self._key

        def read() -> tuple[list[StateVersion], dict[str, str]]:
            names = {each.agent.id: each.agent.name for each in agentfs.agents.all(retired=True)}
            return agentfs.states.history(agent.id, key, limit=MOST_VERSIONS), names

        found = await self.done(read)
        if found is not None:
            self._versions = {version.version: version for version in found[0]}
            self._names = {**found[1], agentfs.device: "bailiwick"}
            self._draw()

    def _draw(self) -> None:
        at = moments.now()
        rows = [KeyedRow(str(number), self._row(version, at)) for number, version in self._versions.items()]
        if len(rows) == MOST_VERSIONS:
            rows.append(KeyedRow("more", Content.styled("… and those before them", "$muted"), enabled=False))
        self.query_one(KeyedList).show_rows(rows)

    def _row(self, version: StateVersion, at: datetime) -> Content:
        came = f" from version {version.restored_from}" if version.restored_from is not None else ""
        who = printable(self._names.get(version.actor, version.actor))
        return Content.assemble(
            ("◆ " if version.version == self._marked else "  ", "bold $accent"),
            (f"v{version.version:<6}", "bold"),
            (f"{SEALED} " if version.sealed else "  ", "bold $warning"),
            f"{version.operation + came:<24}",
            (f"{moments.since(version.at, at):>11}  {moments.clock(version.at)}  ", "$muted"),
            who,
        )

    @property
    def _version(self) -> int:
        key = self.query_one(KeyedList).key
        return int(key) if key.isdecimal() else 0

    def _pair(self) -> _Pair:
        """What is compared: the marked version first when it is the older one."""
        chosen = self._version
        other = self._marked or chosen - 1
        before, after = (min(other, chosen), max(other, chosen)) if chosen else (0, 0)
        return _Pair(before, after, self._epoch)

    @on(KeyedList.Moved)
    def _compare(self) -> None:
        pair = self._pair()
        if not pair.after:
            return
        states, agent, key = self._workspace.agentfs.states, self._agent, self._key
        before, after = self._versions.get(pair.before), self._versions.get(pair.after)

        def value(version: StateVersion | None, number: int) -> list[JSONValue]:
            """The value in a list, which is empty where the version holds none."""
            gone = number == 0 or (version is not None and version.operation in _VALUELESS)
            return [] if gone else [states.value_at(agent.id, key, number)]

        def compared() -> list[JSONChange]:
            return value_changes(value(before, pair.before), value(after, pair.after))

        submit_newest(
            self._workspace.pool,
            "agents.history",
            compared,
            lambda outcome: self.post_message(self.Compared(pair, outcome)),
        )

    @on(Compared)
    def _compared(self, event: Compared) -> None:
        event.stop()
        if event.pair != self._pair():
            return
        before, after = event.pair.before, event.pair.after
        if before == after:
            title = f"Version {after} is marked: choose another to compare it with"
        elif self._marked:
            title = f"From version {before} to version {after}"
        else:
            title = f"What version {after} changed"
        self.query_one("#compared", Static).update(title)
        changes = self.query_one("#changes", Static)
        if isinstance(event.outcome, BailiwickError):
            locked = isinstance(event.outcome, Locked)
            said = sealed_note(self.app) if locked else str(event.outcome)
            changes.update(Content.styled(said, "italic $muted" if locked else "$error"))
        else:
            changes.update(Content() if before == after else changes_text(event.outcome))
        self.query_one("#changes-scroll").scroll_to(y=0, animate=False)

    @on(KeysMoved)
    def _keys_moved(self, event: KeysMoved) -> None:
        """What is sealed goes from the screen, or is compared again; what is on its way is void."""
        self._epoch += 1
        if event.locked:
            self.query_one("#changes", Static).update("")
        self._compare()

    def action_mark(self) -> None:
        """Compare with this version from now on, or with none."""
        self._marked = 0 if self._marked == self._version else self._version
        self._draw()
        self._compare()

    @work
    async def action_restore(self) -> None:
        """Make this version's value the newest one, after asking."""
        number = self._version
        version = self._versions.get(number)
        if version is None:
            return
        if version.operation in _VALUELESS:
            self.answer(f"Version {number} holds no value to restore ({version.operation}).", failed=True)
            return
        newest = next(iter(self._versions.values()))
        question = (
            f"Make the value of version {number} the newest one of {printable(self._key)}? "
            f"It becomes version {newest.version + 1}; nothing is lost."
        )
        if not await self.app.push_screen_wait(ConfirmScreen(question, "Restore")):
            return
        states, person = self._workspace.agentfs.states, self._workspace.person
        expect = 0 if newest.operation in _VALUELESS else newest.version
        restored = await self.done(lambda: states.restore(self._agent.id, self._key, number, by=person, expect=expect))
        if restored is not None:
            self.answer(f"Version {number} is back, as version {restored.version}.")
        self._list()
