"""Synchronising in words: how it stands at a glance, why, and what the network was like."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from core.sync_model import NetworkQuality, SyncActivity, SyncStrategy
from tui.amounts import UNKNOWN, counted, percent_text, rate_text, size_text
from tui.moments import left, since, stretch
from tui.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.sync_model import NetworkSample, StrategyChoice, SyncStatus, Transfer

MOST_NAMED = 2
BAR_FULL = "━"
BAR_REST = "─"
LETTERS = {
    NetworkQuality.EXCELLENT: "E",
    NetworkQuality.GOOD: "G",
    NetworkQuality.POOR: "P",
    NetworkQuality.OFFLINE: "✗",
}
QUALITY_STYLES = {
    NetworkQuality.EXCELLENT: "$success",
    NetworkQuality.GOOD: "$primary",
    NetworkQuality.POOR: "bold $warning",
    NetworkQuality.OFFLINE: "bold $error",
}
STRATEGIES = {
    SyncStrategy.REALTIME: "realtime",
    SyncStrategy.ADAPTIVE: "adaptive",
    SyncStrategy.ON_DEMAND: "on demand",
}
LEGEND = "E excellent  G good  P poor  ✗ offline"


@dataclass(frozen=True, slots=True)
class Glance:
    """How it stands: a mark that tells it without colour, a few words, and their style."""

    mark: str
    words: str
    style: str

    @property
    def content(self) -> Content:
        """Mark and words."""
        return Content.styled(f"{self.mark} {self.words}", self.style)


@dataclass(frozen=True, slots=True)
class Keys:
    """How the keys read that texts name."""

    sync: str
    pause: str
    strategy: str
    answer: str
    remote: str
    join: str
    conflicts: str
    repair: str
    plan: str
    verify: str
    fetch: str


def waiting(status: SyncStatus) -> tuple[int, int]:
    """How many changes wait to go up, and their bytes."""
    return sum(each.waiting for each in status.areas), sum(each.waiting_bytes for each in status.areas)


def is_synced(status: SyncStatus) -> bool:
    """Whether nothing waits and nothing is wrong."""
    return (
        status.activity is SyncActivity.IDLE
        and not waiting(status)[0]
        and not status.problem
        and not status.asks
        and not any(each.problem for each in status.areas)
        and not any(each.problem for each in status.devices)
    )


def glance(status: SyncStatus) -> Glance:
    """How it stands, in the fewest words."""
    count, _ = waiting(status)
    tail = f" · {count:,} waiting" if count else ""
    if status.asks:
        return Glance("?", "sync asks", "bold $warning")
    match status.activity:
        case SyncActivity.NO_REMOTE:
            return Glance("–", "no remote", "$muted")
        case SyncActivity.STOPPED:
            return Glance("!", f"sync stopped{tail}", "bold $error")
        case SyncActivity.PAUSED:
            return Glance("‖", f"paused{tail}", "bold $warning")
        case SyncActivity.OFFLINE:
            return Glance("✗", f"offline{tail}", "bold $warning")
        case SyncActivity.SYNCING:
            share = transfers_share(status.transfers)
            return Glance("⇅", f"syncing {percent_text(share)}" if share is not None else "syncing", "$primary")
    if not is_synced(status) and not count:
        return Glance("!", "sync problem", "bold $error")
    return Glance("▲", f"{count:,} waiting", "$accent") if count else Glance("✓", "synced", "$success")


def transfers_share(transfers: Sequence[Transfer]) -> float | None:
    """How much of what moves is done, in percent; ``None`` while that cannot be told."""
    known = [each for each in transfers if each.total]
    total = sum(each.total for each in known)
    return 100 * sum(each.done for each in known) / total if total else None


def empty_text(status: SyncStatus | None, keys: Keys) -> Content:
    """What stands instead of everything where no remote is set, or while nothing is known."""
    if status is None:
        return Content.styled("Looking how it stands …", "$muted")
    return Content.assemble(
        ("No remote is set: everything stays on this machine.\n\n", "bold $primary"),
        "A remote is a folder (a stick, a mounted share) or a bucket. Your other machines, and your team, have "
        "through it what this workspace has; what is private leaves only sealed, and a shared library is read by "
        "whoever may.\n\n",
        (keys.remote, "bold $accent"),
        " sets one that is empty, and shows its recovery code once\n",
        (keys.join, "bold $accent"),
        " joins one that holds your workspace, or your team's, already\n\n",
        ("From a shell:\n", "$muted"),
        "bailiwick remote set /media/stick/bailiwick\n",
        "bailiwick remote set 's3://workflow-docs?profile=r2'\n",
        "bailiwick remote join URL",
    )


def headline(status: SyncStatus, keys: Keys, at: datetime) -> Content:
    """Whether everything is synced; and if not, why."""
    count, size = waiting(status)
    held = f"{counted(count, 'change waits', 'changes wait')} ({size_text(size)})" if count else "nothing waits"
    shown = glance(status)
    match status.activity:
        case _ if status.asks:
            said, why = "Nothing moves until you answer:", f"{held}."
        case SyncActivity.SYNCING:
            moving = counted(len(status.transfers), "transfer")
            said = "Syncing."
            why = f"{moving} under way, {held}." if status.transfers else f"Both sides are compared; {held}."
        case SyncActivity.PAUSED:
            said, why = "Paused by you:", f"{held}. {keys.pause} goes on."
        case SyncActivity.OFFLINE:
            said, why = "The remote does not answer:", f"{held} until it does; work goes on here.{_next(status, at)}"
        case SyncActivity.STOPPED:
            said, why = "Stopped:", f"{held}."
        case _ if count:
            said, why = f"{held[0].upper()}{held[1:]}.", _why_waiting(status, keys, at)
        case _ if is_synced(status):
            said, why = "Everything is synced.", f"Last {_last(status, at)}.{_next(status, at)}"
        case _:
            said, why = "Nothing waits, but something is wrong.", "It is said below."
    lines = [Content.assemble((f"{shown.mark} {said}", _bold(shown.style)), f" {why}")]
    if status.asks:
        question = (printable(status.asks), "bold")
        lines.append(
            Content.assemble("  ", question, ("  ", ""), (keys.answer, "bold $accent"), (" answers", "$muted"))
        )
    if status.problem:
        lines.append(Content.assemble(("! ", "bold $error"), (printable(status.problem), "bold")))
    if status.cure:
        lines.append(Content.assemble(("  → ", "$muted"), printable(status.cure)))
    lines += [
        Content.assemble(("! ", "bold $error"), (f"{printable(each.name)}: ", "bold"), printable(each.problem))
        for each in status.devices
        if each.problem
    ][:MOST_NAMED]
    if status.open_conflicts:
        conflicts = counted(status.open_conflicts, "conflict waits", "conflicts wait")
        lines.append(
            Content.assemble(
                ("≠ ", "bold $warning"), f"{conflicts} for your ruling: ", (keys.conflicts, "bold $accent")
            )
        )
    return Content("\n").join(lines)


def _bold(style: str) -> str:
    return style if style.startswith("bold") else f"bold {style}"


def _last(status: SyncStatus, at: datetime) -> str:
    times = [each.synced_at for each in status.areas if each.synced_at is not None]
    return since(max(times), at) if times else "never"


def _next(status: SyncStatus, at: datetime) -> str:
    if status.next_at is None:
        return ""
    return f" Next in {left(status.next_at, at)}." if status.next_at > at else " Next now."


def _why_waiting(status: SyncStatus, keys: Keys, at: datetime) -> str:
    if status.choice is not None and status.choice.strategy is SyncStrategy.ON_DEMAND:
        return f"On demand moves nothing by itself: {keys.sync} syncs now."
    return _next(status, at).strip() or f"{keys.sync} syncs now."


def choice_text(choice: StrategyChoice, at: datetime) -> Content:
    """The strategy, who chose it, since when, and why."""
    by = "chosen by you" if choice.forced else "chosen by itself"
    return Content.assemble(
        (STRATEGIES[choice.strategy], "bold"),
        f" · {by} · since {stretch((at - choice.since).total_seconds())}\n",
        (printable(choice.reason), "$muted"),
    )


def sample_text(samples: Sequence[NetworkSample]) -> Content:
    """The network now, in words and numbers."""
    if not samples:
        return Content.styled("not measured yet", "$muted")
    last = samples[-1]
    trip = UNKNOWN if last.round_trip_ms is None else f"{last.round_trip_ms:,.0f} ms"
    return Content.assemble(
        (last.quality.value, QUALITY_STYLES[last.quality]),
        f" · {trip} round trip · {rate_text(last.bytes_per_second)} · {percent_text(100 * last.failures)} failed",
    )


def quality_line(samples: Sequence[NetworkSample], width: int) -> Content:
    """A letter for each of the last moments, the newest at the right."""
    shown = samples[-max(0, width) :] if width > 0 else ()
    return Content.assemble(*((LETTERS[each.quality], QUALITY_STYLES[each.quality]) for each in shown))


def amount_text(done: int, total: int) -> str:
    """How much of how much, the unit once where it is the same: ``1.2 of 2.8 MiB``."""
    if not total:
        return size_text(done)
    begun, whole = size_text(done), size_text(total)
    return f"{begun.split()[0] if begun.split()[1] == whole.split()[1] else begun} of {whole}"


def bar(done: int, total: int, cells: int) -> Content:
    """How much of it is done; without a bar's end while the total is not known."""
    filled = min(cells, cells * done // total) if total > 0 else 0
    return Content.assemble((BAR_FULL * filled, "$primary"), (BAR_REST * (cells - filled), "$track"))
