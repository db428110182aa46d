"""The rows of the sync pane: what moves, areas, what waits, devices, runs, a plan, and what was found wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from core.sync_model import Change, Direction
from tui.amounts import counted, money_text, operations_text, percent_text, rate_text, size_text
from tui.moments import clock, moment_text
from tui.printable import printable
from tui.widgets.keyed_list import KeyedRow
from tui.widgets.status import duration
from tui.widgets.sync_words import STRATEGIES, amount_text, bar

if TYPE_CHECKING:
    from core.sync_model import (
        AreaStatus,
        Damage,
        DeviceStatus,
        PlannedChange,
        Repair,
        StrategyChoice,
        SyncPlan,
        SyncRun,
        SyncStatus,
        Transfer,
        Verification,
    )

WIDE_CELLS = 72
LEAST_LABEL = 12
MOST_BAR = 24
Part = str | tuple[str, str] | Content
ARROWS = {Direction.UP: "↑", Direction.DOWN: "↓"}
_VERBS = {
    Change.PUT: ("bring", "$foreground"),
    Change.DELETE: ("delete", "bold $warning"),
    Change.CONFLICT: ("conflict", "bold $warning"),
    Change.COLLECT: ("collect", "$muted"),
}


def heading(key: str, text: str, beside: str = "") -> KeyedRow:
    """A line above rows, which the cursor passes over."""
    return KeyedRow(
        f"heading:{key}", Content.assemble((text, "bold $primary"), (f"  {beside}", "$muted")), enabled=False
    )


def note(key: str, text: str) -> KeyedRow:
    """A line instead of rows."""
    return KeyedRow(f"note:{key}", Content.styled(text, "$muted"), enabled=False)


def transfer_rows(transfers: Sequence[Transfer], width: int) -> list[KeyedRow]:
    """What moves now: its name, then how far, how fast, and how long it takes still."""
    rows = []
    for each in transfers:
        share = f"{percent_text(100 * each.done / each.total)}" if each.total else "…"
        rate = rate_text(each.rate) if each.rate > 0 else ""
        until = f"{duration(each.seconds_left)} left" if each.seconds_left is not None else ""
        facts = " · ".join(part for part in (amount_text(each.done, each.total), rate, until) if part)
        cells = max(6, min(MOST_BAR, width - len(facts) - 10))
        head = _fitted(printable(each.label), max(LEAST_LABEL, width - 3 - len(each.area) - 1))
        rows.append(
            KeyedRow(
                f"transfer:{each.id}",
                Content.assemble(
                    (f"{ARROWS[each.direction]} ", "bold $accent"),
                    (head, "bold"),
                    (f" {each.area}\n", "$muted"),
                    "  ",
                    bar(each.done, each.total, cells),
                    f" {share:>4}  {facts}",
                ),
            )
        )
    return rows


def area_rows(areas: Sequence[AreaStatus], width: int, at: datetime) -> list[KeyedRow]:
    """How far each area is: one line where there is room, else what waits under the rest."""
    rows = []
    for each in areas:
        mark, style = ("!", "bold $error") if each.problem else ("▲", "bold $accent") if each.waiting else _FINE
        waits = f"{each.waiting:,} wait, {size_text(each.waiting_bytes)}" if each.waiting else "nothing waits"
        missing = f"{each.not_fetched:,} not fetched" if each.not_fetched else ""
        seen = moment_text(each.synced_at, at)
        commits = counted(each.commits, "commit")
        told: list[Part] = [(f"{mark} ", style), (_fitted(each.area.id, 14), "bold"), f" {commits:>14}"]
        if width >= WIDE_CELLS:
            told += [(f"  {waits:<19}", "$accent" if each.waiting else "$muted"), f"{missing:<17}", (seen, "$muted")]
        else:
            told += [(f"  {seen}", "$muted"), "\n", (f"  {waits}", "$accent" if each.waiting else "$muted")]
            told += [f" · {missing}" if missing else ""]
        if each.problem:
            told.append(_wrapped("!", each.problem, width, "$error"))
        rows.append(KeyedRow(f"area:{each.area.id}", Content.assemble(*told)))
    return rows


_FINE = ("✓", "$success")


def device_rows(devices: Sequence[DeviceStatus], width: int, at: datetime) -> list[KeyedRow]:
    """The devices by their last commits; what is wrong with one stands under it."""
    rows, wide = [], width >= WIDE_CELLS
    for each in devices:
        mark, style = ("!", "bold $error") if each.problem else _FINE
        name = _fitted(f"{printable(each.name)}{' (here)' if each.is_this else ''}", 24 if wide else 16)
        user = _fitted(printable(each.user), 8 if wide else 6)
        told: list[Part] = [(f"{mark} ", style), (name, "bold"), (f" {user}", "$muted")]
        told.append(f" {counted(each.commits, 'commit'):>{12 if wide else 11}}  {moment_text(each.last_commit_at, at)}")
        if wide:
            told.append((f" · audit {each.audit_position:,}", "$muted"))
        if each.problem:
            told.append(_wrapped("!", each.problem, width, "$error"))
        rows.append(KeyedRow(f"device:{each.id}", Content.assemble(*told)))
    return rows


def run_rows(runs: Sequence[SyncRun], width: int, at: datetime) -> list[KeyedRow]:
    """The last runs, the newest first, with what each cost; a problem stands under its run with the cure."""
    rows = []
    for each in sorted(runs, key=lambda run: run.started_at, reverse=True):
        mark, style = ("!", "bold $error") if each.problem else _FINE
        moved = f"{each.sent:,} sent, {each.received:,} received"
        if each.conflicts:
            moved += f", {counted(each.conflicts, 'conflict')}"
        cost = f"{operations_text(each.operations)}, {money_text(each.cost)}"
        told: list[Part] = [(f"{mark} ", style), f"{moment_text(each.started_at, at):>10}  ", (moved, "bold")]
        wide = width >= WIDE_CELLS
        told += [(f"  {cost}" if wide else f"\n    {cost}", "$muted")]
        told += [(f" · {printable(each.why)}", "$muted")]
        if each.problem:
            told.append(_wrapped("!", each.problem, width, "$error"))
            told += [_wrapped("→", each.cure, width)] if each.cure else []
        rows.append(KeyedRow(f"run:{each.started_at.isoformat()}", Content.assemble(*told)))
    return rows


def choice_rows(choices: Sequence[StrategyChoice], width: int, at: datetime) -> list[KeyedRow]:
    """The strategies until now, the newest first, each with why it was taken up."""
    return [
        KeyedRow(
            f"choice:{number}:{each.since.isoformat()}",
            Content.assemble(
                f"{moment_text(each.since, at):>12}  ",
                (STRATEGIES[each.strategy], "bold"),
                _wrapped("·", each.reason, width),
            ),
        )
        for number, each in enumerate(choices)
    ]


def change_rows(changes: Iterable[PlannedChange], width: int) -> list[KeyedRow]:
    """What would be done, or waits to be."""
    return [
        KeyedRow(f"change:{number}:{each.area}:{each.path}", _change(each, width))
        for number, each in enumerate(changes)
    ]


def _change(each: PlannedChange, width: int) -> Content:
    verb, style = _VERBS[each.change]
    if each.change is Change.PUT:
        verb = "send" if each.direction is Direction.UP else "fetch"
    size = size_text(each.size) if each.size else ""
    room = max(LEAST_LABEL, width - 35)
    return Content.assemble(
        (f"{ARROWS[each.direction]} ", "bold $accent"),
        (f"{verb:<9}", style),
        _fitted(printable(each.path), room),
        f" {size:>9}",
        (f"  {_fitted(each.area, 11)}", "$muted"),
        _wrapped(" ", each.reason, width) if each.reason else "",
    )


def plan_text(plan: SyncPlan) -> Content:
    """How much of what a sync would do."""
    counts = {
        "to send": sum(each.direction is Direction.UP and each.change is Change.PUT for each in plan.changes),
        "to fetch": sum(each.direction is Direction.DOWN and each.change is Change.PUT for each in plan.changes),
        "to delete": sum(each.change is Change.DELETE for each in plan.changes),
        "in conflict": sum(each.change is Change.CONFLICT for each in plan.changes),
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing to do"
    return Content.assemble((told, "bold"), f" · {size_text(sum(each.size for each in plan.changes))}")


def price_text(plan: SyncPlan) -> Content:
    """What it would cost."""
    operations = plan.operations
    told = f"{operations.class_a:,} class A and {operations.class_b:,} class B operations, "
    return Content(f"{told}about {money_text(plan.cost)}")


def damage_rows(damages: Sequence[Damage], mark: str, style: str, width: int) -> list[KeyedRow]:
    """What was found wrong with the remote, each with its reason and what mends it under it."""
    return [
        KeyedRow(
            f"damage:{mark}:{number}:{each.key}",
            Content.assemble(
                (f"{mark} ", style),
                (f"{each.kind.value.replace('_', ' '):<12}", style),
                (printable(each.key), "bold"),
                _wrapped(" ", each.reason, width),
                _wrapped("→", each.cure, width) if mark == "!" else "",
            ),
        )
        for number, each in enumerate(damages)
    ]


def verification_rows(verification: Verification | None, repair: Repair | None, width: int) -> list[KeyedRow]:
    """What was mended and what is left, else what was found."""
    if repair is not None:
        rows = []
        if repair.left:
            beside = "no device here has the bytes"
            rows += [heading("left", "Left", beside), *damage_rows(repair.left, "!", "bold $error", width)]
        if repair.mended:
            rows += [heading("mended", "Mended"), *damage_rows(repair.mended, "✓", "$success", width)]
        return rows
    return damage_rows(verification.damages, "!", "bold $error", width) if verification is not None else []


def verification_text(verification: Verification | None, repair: Repair | None) -> Content:
    """The outcome in one line."""
    if repair is not None:
        style = "bold $error" if repair.left else "bold $success"
        mark = "!" if repair.left else "✓"
        return Content.styled(f"{mark} {len(repair.mended):,} mended, {len(repair.left):,} left.", style)
    if verification is None:
        return Content.styled("not verified since the dashboard was opened", "$muted")
    read = (
        f"{counted(verification.commits, 'commit')}, {counted(verification.objects, 'object')}, "
        f"{size_text(verification.bytes_read)} read · {operations_text(verification.operations)}"
    )
    found = len(verification.damages)
    said = f"! {counted(found, 'object is', 'objects are')} not right" if found else "✓ whole"
    return Content.assemble((said, "bold $error" if found else "bold $success"), f" · {read}")


def area_foot(each: AreaStatus, at: datetime) -> Content:
    """An area in whole sentences."""
    seen = moment_text(each.synced_at, at)
    told = f"{counted(each.commits, 'commit')} of {each.area.id} here, last synced {seen}."
    if each.waiting:
        waits = counted(each.waiting, "change waits", "changes wait")
        told += f" {waits} to go up ({size_text(each.waiting_bytes)})."
    if each.not_fetched:
        told += f" {counted(each.not_fetched, 'item is', 'items are')} known but not fetched."
    return Content.assemble(told, _trouble(each.problem))


def device_foot(each: DeviceStatus) -> Content:
    """A device in whole sentences."""
    last = clock(each.last_commit_at) if each.last_commit_at is not None else "never"
    told = (
        f"{printable(each.name)} of {printable(each.user)}, {each.id}: {counted(each.commits, 'commit')}, "
        f"the last {last}, its audit at record {each.audit_position:,}."
    )
    return Content.assemble(told, _trouble(each.problem))


def run_foot(each: SyncRun) -> Content:
    """A run in whole sentences, with the cure of what went wrong."""
    told = (
        f"{clock(each.started_at)}, {each.seconds:.1f} s, {STRATEGIES[each.strategy]}, because {printable(each.why)}: "
        f"{each.operations.class_a:,} class A and {each.operations.class_b:,} class B operations, "
        f"{size_text(each.operations.bytes_up)} up, {size_text(each.operations.bytes_down)} down."
    )
    cure = ("\n→ ", "$muted"), printable(each.cure)
    return Content.assemble(told, _trouble(each.problem), *(cure if each.cure else ()))


def damage_foot(each: Damage) -> Content:
    """What mends it."""
    return Content.assemble((printable(each.reason), "bold"), ("\n→ ", "$muted"), printable(each.cure))


def find_area(status: SyncStatus, key: str) -> AreaStatus | None:
    """The area of a row."""
    return next((each for each in status.areas if f"area:{each.area.id}" == key), None)


def find_device(status: SyncStatus, key: str) -> DeviceStatus | None:
    """The device of a row."""
    return next((each for each in status.devices if f"device:{each.id}" == key), None)


def find_run(status: SyncStatus, key: str) -> SyncRun | None:
    """The run of a row."""
    return next((each for each in status.runs if f"run:{each.started_at.isoformat()}" == key), None)


def _wrapped(mark: str, text: str, width: int, style: str = "$muted") -> Content:
    """``text`` on lines of its own under a row, behind its mark."""
    lines = Content.styled(printable(text), style).wrap(max(LEAST_LABEL, width - 4))
    heads = (f"\n  {mark} ", *(["\n    "] * (len(lines) - 1)))
    return Content("").join(
        Content.assemble((head, style), line.rstrip()) for head, line in zip(heads, lines, strict=True)
    )


def _trouble(problem: str) -> Content:
    return Content.assemble(("\n! ", "bold $error"), (printable(problem), "$error")) if problem else Content("")


def _fitted(text: str, cells: int) -> str:
    """``text`` in exactly so many cells, cut in the middle where it is longer: both ends of a path tell something."""
    content = Content(text)
    if content.cell_length <= cells:
        return text + " " * (cells - content.cell_length)
    tail = min(cells - 2, max(4, cells * 2 // 3))
    head = content.truncate(cells - tail - 1).plain
    rest = text
    while Content(rest).cell_length > tail:
        rest = rest[1:]
    fitted = f"{head}…{rest}"
    return fitted + " " * (cells - Content(fitted).cell_length)
