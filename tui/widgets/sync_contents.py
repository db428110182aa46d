"""What the sections of the sync pane show of what was read: facts, rows, and what is at a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from core.sync_model import Change, Direction, SyncActivity
from tui.amounts import counted, money_text, operations_text, size_text
from tui.moments import clock, moment_text
from tui.panes.sync_reading import Section
from tui.printable import printable
from tui.widgets import sync_rows
from tui.widgets.keyed_list import KeyedRow
from tui.widgets.sync_words import (
    LEGEND,
    Keys,
    bar,
    choice_text,
    glance,
    quality_line,
    sample_text,
    waiting,
)

if TYPE_CHECKING:
    from core.sync_model import (
        Damage,
        PlannedChange,
        Repair,
        Spending,
        SyncPlan,
        SyncStatus,
        Verification,
    )
    from tui.widgets.facts import Fact

MOST_MOVING = 4
MOST_RUNS = 5
BUDGET_CELLS = 20
LEAST_LETTERS = 12
MOST_LETTERS = 60


@dataclass(slots=True)
class Contents:
    """What was read so far, ``None`` where nothing was; ``section`` is in view.

    ``working`` says what this pane was asked to do and has not ended, ``seen`` how far that is.
    """

    section: Section = Section.OVERVIEW
    status: SyncStatus | None = None
    queue: tuple[PlannedChange, ...] | None = None
    plan: SyncPlan | None = None
    verification: Verification | None = None
    repair: Repair | None = None
    working: str = ""
    seen: tuple[str, int, int] = field(default=("", 0, 0))

    @property
    def has_remote(self) -> bool:
        """Whether there is anything to show."""
        return self.status is not None and self.status.activity is not SyncActivity.NO_REMOTE

    # The section in view

    def facts(self, width: int, at: datetime, *, low: bool) -> list[Fact]:
        """What stands above the rows; ``low`` leaves out what only explains."""
        status = self.status
        if status is None:
            return []
        match self.section:
            case Section.OVERVIEW:
                return self._overview(status, width, at, low=low)
            case Section.QUEUE:
                return [("Waiting", _queue_text(status, self.queue))]
            case Section.DEVICES:
                return [("Devices", _devices_text(status))]
            case Section.COST:
                return [*_spending_facts(status.spending), *_network_facts(status, width)]
            case Section.PLAN:
                return self._plan_facts()
            case Section.VERIFY:
                return [("Remote", self._verify_text())]

    def rows(self, width: int, words: str, at: datetime, keys: Keys, *, alone: bool = True) -> list[KeyedRow]:
        """The rows that have all ``words``; with ``alone`` those of the other column too."""
        if self.status is None:
            return []
        rows = self._rows(self.status, width, at, keys)
        if self.section is Section.OVERVIEW and alone:
            rows += self.beside(width, at)
        wanted = words.casefold().split()
        if not wanted:
            return rows
        found = [row for row in rows if row.enabled and all(word in row.content.plain.casefold() for word in wanted)]
        return found or [sync_rows.note("none", "No row has these words.")]

    def beside(self, width: int, at: datetime) -> list[KeyedRow]:
        """The other column of the overview, on wide screens: devices and runs."""
        if self.status is None:
            return []
        runs = sync_rows.run_rows(self.status.runs, width, at)[:MOST_RUNS]
        return [
            sync_rows.heading("devices", "Devices"),
            *(
                sync_rows.device_rows(self.status.devices, width, at)
                or [sync_rows.note("devices", "None has committed.")]
            ),
            sync_rows.heading("runs", "Last runs"),
            *(runs or [sync_rows.note("runs", "Nothing was synchronised yet.")]),
        ]

    def _rows(self, status: SyncStatus, width: int, at: datetime, keys: Keys) -> list[KeyedRow]:
        match self.section:
            case Section.OVERVIEW:
                moving = sync_rows.transfer_rows(status.transfers, width)
                more = len(moving) - MOST_MOVING
                rest = [sync_rows.note("moving", f"… and {more:,} more")] if more > 0 else []
                return [
                    *([sync_rows.heading("moving", "Moving now")] if moving else []),
                    *moving[:MOST_MOVING],
                    *rest,
                    sync_rows.heading("areas", "Areas"),
                    *sync_rows.area_rows(status.areas, width, at),
                ]
            case Section.QUEUE:
                return self._queue_rows(status, width, at, keys)
            case Section.DEVICES:
                none = [sync_rows.note("devices", "No device has committed anything yet.")]
                return sync_rows.device_rows(status.devices, width, at) or none
            case Section.COST:
                none = [sync_rows.note("runs", "Nothing was synchronised yet.")]
                chosen = sync_rows.choice_rows(status.choices, width, at)
                return [
                    sync_rows.heading("runs", "Runs"),
                    *(sync_rows.run_rows(status.runs, width, at) or none),
                    *([sync_rows.heading("choices", "Strategies until now")] if chosen else []),
                    *chosen,
                ]
            case Section.PLAN:
                if self.plan is None:
                    return []
                none = [sync_rows.note("plan", f"A sync would do nothing. {keys.plan} looks again.")]
                return sync_rows.change_rows(self.plan.changes, width) or none
            case Section.VERIFY:
                return sync_rows.verification_rows(self.verification, self.repair, width) or [
                    sync_rows.note("verify", self._nothing_found(keys))
                ]

    def _queue_rows(self, status: SyncStatus, width: int, at: datetime, keys: Keys) -> list[KeyedRow]:
        queue = self.queue or ()
        rows = list(zip(queue, sync_rows.change_rows(queue, width), strict=True))
        up = [row for each, row in rows if each.direction is Direction.UP]
        down = [row for each, row in rows if each.direction is Direction.DOWN]
        return [
            sync_rows.heading("areas", "Areas"),
            *sync_rows.area_rows(status.areas, width, at),
            sync_rows.heading("up", "Waits to go up", f"{keys.sync} sends it now"),
            *(up or [sync_rows.note("up", "Nothing.")]),
            sync_rows.heading("down", "Known, not fetched", f"{keys.fetch} fetches the row"),
            *(down or [sync_rows.note("down", "Nothing.")]),
        ]

    def _overview(self, status: SyncStatus, width: int, at: datetime, *, low: bool) -> list[Fact]:
        remote = status.remote
        writers = {"one": "one writer", "none": "read only"}.get(remote.writers, "")
        founded = f"since {clock(remote.founded_at)[:10]}" if remote.founded_at is not None and not low else ""
        tail = "".join(f" · {each}" for each in (remote.kind, writers, founded) if each)
        facts: list[Fact] = [("Remote", Content.assemble((printable(remote.url), "bold"), (tail, "$muted")))]
        if status.choice is not None:
            facts.append(("Strategy", choice_text(status.choice, at)))
        facts += _network_facts(status, width, low=low)
        facts += _spending_facts(status.spending)[: 1 if low else None]
        if status.runs:
            last = max(status.runs, key=lambda run: run.started_at)
            told = f"{last.sent:,} sent, {last.received:,} received · {operations_text(last.operations)}"
            ago = moment_text(last.started_at, at)
            facts.append(("Last run", Content(f"{told} · {money_text(last.cost)} · {ago}")))
        return facts

    def _plan_facts(self) -> list[Fact]:
        plan = self.plan
        if plan is None:
            return [("Plan", Content.styled(self.working or "not made yet", "$muted"))]
        facts: list[Fact] = [("Plan", sync_rows.plan_text(plan)), ("Price", sync_rows.price_text(plan))]
        if plan.asks:
            facts.append(("Asks", Content.styled(f"? {printable(plan.asks)}", "bold $warning")))
        return facts

    def _verify_text(self) -> Content:
        what, done, total = self.seen
        if self.working and what:
            share = f" {done:,} of {total:,}" if total else f" {done:,}"
            return Content.assemble(
                (f"{self.working}  ", "bold"), bar(done, total, BUDGET_CELLS), f" {printable(what)}{share}  Esc stops"
            )
        if self.working:
            return Content.styled(f"{self.working}  Esc stops", "bold")
        return sync_rows.verification_text(self.verification, self.repair)

    def _nothing_found(self, keys: Keys) -> str:
        if self.working:
            return ""
        if self.verification is None and self.repair is None:
            return (
                f"{keys.verify} reads the log and looks for every object: what is damaged, missing, rolled back or "
                f"foreign is named here. {keys.repair} mends it from what this device has."
            )
        return "Every object that the log names is there, and is what it was."

    # The row with a key

    def foot(self, key: str, at: datetime) -> Content:
        """What is known of the row."""
        status = self.status
        if status is None:
            return Content("")
        if (area := sync_rows.find_area(status, key)) is not None:
            return sync_rows.area_foot(area, at)
        if (device := sync_rows.find_device(status, key)) is not None:
            return sync_rows.device_foot(device)
        if (run := sync_rows.find_run(status, key)) is not None:
            return sync_rows.run_foot(run)
        if (damage := self.damage(key)) is not None:
            return sync_rows.damage_foot(damage)
        if (change := self.change(key)) is not None:
            told = f"{printable(change.path)} in {change.area}, {size_text(change.size)}"
            return Content(f"{told}: {printable(change.reason)}" if change.reason else told)
        return Content("")

    def change(self, key: str) -> PlannedChange | None:
        """The change in the row."""
        if not key.startswith("change:"):
            return None
        number = int(key.split(":", 2)[1])
        source = self.queue if self.section is Section.QUEUE else self.plan.changes if self.plan is not None else ()
        return source[number] if source is not None and number < len(source) else None

    def fetchable(self, key: str) -> str:
        """The path in the row where its content can be fetched."""
        change = self.change(key)
        if change is None or change.direction is not Direction.DOWN or change.change is not Change.PUT:
            return ""
        return change.path

    def damage(self, key: str) -> Damage | None:
        """The finding in the row."""
        if not key.startswith("damage:"):
            return None
        _, mark, number, _ = key.split(":", 3)
        if self.repair is not None:
            found = self.repair.left if mark == "!" else self.repair.mended
        else:
            found = self.verification.damages if self.verification is not None else ()
        return found[int(number)] if int(number) < len(found) else None

    # What other places show

    def card(self, at: datetime) -> Content | str:
        """How it stands, by which strategy, and what the month costs."""
        status = self.status
        if status is None:
            return ""
        if status.activity is SyncActivity.NO_REMOTE:
            return "Off: everything stays on this machine."
        lines = [glance(status).content]
        synced = [each.synced_at for each in status.areas if each.synced_at is not None]
        if synced:
            lines[0] = Content.assemble(lines[0], (f" · {moment_text(max(synced), at)}", "$muted"))
        if status.problem:
            lines.append(Content.styled(printable(status.problem), "$error"))
        if status.choice is not None:
            lines.append(Content(f"{status.choice.strategy.value.replace('_', ' ')} · network {status.choice.network}"))
        wrong = [each for each in status.devices if each.problem]
        if wrong:
            lines.append(Content.styled(f"! {printable(wrong[0].name)}: {printable(wrong[0].problem)}", "$error"))
        if status.spending is not None:
            lines.append(_month_text(status.spending))
        return Content("\n").join(lines)


def _queue_text(status: SyncStatus, queue: tuple[PlannedChange, ...] | None) -> Content:
    if queue is None:
        return Content.styled("looking …", "$muted")
    count, size = waiting(status)
    missing = sum(each.not_fetched for each in status.areas)
    listed = f" · the first {len(queue):,} are listed" if len(queue) < count + missing else ""
    told = f" ({size_text(size)}) · {missing:,} known, not fetched{listed}"
    return Content.assemble((f"{count:,} to go up", "bold"), told)


def _devices_text(status: SyncStatus) -> Content:
    wrong = sum(bool(each.problem) for each in status.devices)
    told = (
        Content.styled(f"! {counted(wrong, 'has a problem', 'have problems')}", "bold $error")
        if wrong
        else Content.styled("✓ each commit was signed by its device, and no audit was cut", "$success")
    )
    return Content.assemble(f"{len(status.devices):,} · ", told)


def _network_facts(status: SyncStatus, width: int, *, low: bool = False) -> list[Fact]:
    facts: list[Fact] = [("Network", sample_text(status.network))]
    beside = width - len(LEGEND) - 2
    if len(status.network) > 1:
        if beside >= LEAST_LETTERS:
            facts.append(("", Content.assemble(quality_line(status.network, min(beside, MOST_LETTERS)), _legend("  "))))
        else:
            letters = min(width, MOST_LETTERS)
            facts.append(
                ("", Content.assemble(quality_line(status.network, letters), *(() if low else (_legend("\n"),))))
            )
    return facts


def _legend(before: str) -> Content:
    return Content.assemble(before, (LEGEND, "$muted"))


def _spending_facts(spending: Spending | None) -> list[Fact]:
    if spending is None:
        return []
    facts: list[Fact] = [("Month", _month_text(spending))]
    operations = spending.operations
    moved = f"{size_text(operations.bytes_up)} up, {size_text(operations.bytes_down)} down"
    facts.append(("", Content.styled(f"{operations_text(operations)} operations · {moved}", "$muted")))
    if spending.stored_bytes:
        stored = f"{size_text(spending.stored_bytes)} stored · {money_text(spending.storage_cost)} a month besides"
        facts.append(("", Content.styled(stored, "$muted")))
    return facts


def _month_text(spending: Spending) -> Content:
    if not spending.budget:
        return Content(f"{money_text(spending.cost)} in {spending.month} · no budget set")
    share = spending.cost / spending.budget
    mark = ("  ! stopped by the budget", "bold $error") if spending.stopped else ("  ! nearly used", "$warning")
    return Content.assemble(
        f"{money_text(spending.cost)} of {money_text(spending.budget)} in {spending.month} ",
        bar(round(1000 * min(1.0, share)), 1000, 10),
        f" {100 * share:.0f}%",
        mark if spending.stopped or share >= 0.8 else "",
    )
