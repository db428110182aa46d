"""``bailiwick sync``: bring this workspace and its remote level, and say when that is done by itself."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import click

from core.errors import BailiwickError
from core.events import Event, SyncChanged
from core.sync_model import SyncActivity, SyncPlan, SyncRun, SyncStatus, SyncStrategy
from tui.amounts import counted, money_text, operations_text, size_text
from tui.commands.nouns import answer, plain
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.syncing import run_lines, syncing, transfer_line, watched
from tui.printable import printable

WHY = "`bailiwick sync`"
MOST_LISTED = 200
LOOK_SECONDS = 2.0
UNREACHABLE = 3
_NAMES = {"auto": None, **{each.value.replace("_", "-"): each for each in SyncStrategy}}
_SAYS = {
    SyncActivity.NO_REMOTE: "No remote is set: everything stays on this machine.",
    SyncActivity.IDLE: "Nothing moves.",
    SyncActivity.SYNCING: "Syncing.",
    SyncActivity.PAUSED: "Paused: `bailiwick sync resume` goes on.",
    SyncActivity.OFFLINE: "The remote does not answer.",
    SyncActivity.STOPPED: "Stopped.",
}


@click.group(invoke_without_command=True, no_args_is_help=False)
@click.option("--plan", "only_plan", is_flag=True, help="Only say what a sync would do and cost.")
@click.option("--watch", is_flag=True, help="Tell how it stands, and each change of that, until ended.")
@click.option("--all", "everything", is_flag=True, help="Large files too, whatever the strategy.")
@click.option("--yes", is_flag=True, help="Do it although a safety brake asks.")
@common_options
@pass_invocation
@click.pass_context
def sync(
    context: click.Context, invocation: Invocation, only_plan: bool, watch: bool, everything: bool, yes: bool
) -> None:
    """Send what changed here, and fetch what changed elsewhere.

    A sync that would delete more than half of what is there asks first. Exits 3 when the remote cannot be reached.
    """
    if context.invoked_subcommand is not None:
        return
    if only_plan:
        _plan(invocation)
    elif watch:
        _watch(invocation)
    else:
        context.exit(_sync(invocation, everything=everything, yes=yes))


@sync.command()
@common_options
@pass_invocation
def status(invocation: Invocation) -> None:
    """Say how it stands, without asking the remote."""
    with syncing(invocation, "sync") as workspace:
        shown = workspace.sync.status()
    answer(invocation, shown, status_lines(shown))


@sync.command()
@common_options
@pass_invocation
def pause(invocation: Invocation) -> None:
    """Synchronise nothing by itself until `resume`, whichever process is the engine."""
    with syncing(invocation, "sync") as workspace:
        workspace.sync.pause()
    answer(invocation, {"paused": True}, ["Paused: nothing moves by itself until `bailiwick sync resume`."])


@sync.command()
@common_options
@pass_invocation
def resume(invocation: Invocation) -> None:
    """Synchronise by itself again."""
    with syncing(invocation, "sync") as workspace:
        workspace.sync.resume()
    answer(invocation, {"paused": False}, ["Synchronising goes on, while an engine runs."])


@sync.command()
@click.argument("name", required=False, type=click.Choice(list(_NAMES)))
@common_options
@pass_invocation
def strategy(invocation: Invocation, name: str | None) -> None:
    """Say which strategy holds and why; with NAME choose one, or with auto have it chosen."""
    with syncing(invocation, "sync") as workspace:
        if name is not None:
            workspace.sync.choose(_NAMES[name])
        choice = workspace.sync.choice()
    by = "chosen by you" if choice.forced else "chosen by itself"
    said = f"{choice.strategy.value.replace('_', ' ')}, {by} since {choice.since:%Y-%m-%d %H:%M} UTC: {choice.reason}"
    answer(invocation, choice, [said])


def _plan(invocation: Invocation) -> None:
    with syncing(invocation, "sync") as workspace:
        plan = workspace.sync.plan()
    answer(invocation, plan, plan_lines(plan))


def _sync(invocation: Invocation, *, everything: bool, yes: bool) -> int:
    with syncing(invocation, "sync") as workspace:
        run = watched(workspace, lambda sync, _: sync.sync_now(WHY, approved=yes, everything=everything))
        shown = workspace.sync.status()
    lines = run_lines(run)
    if shown.asks:
        lines.append("`bailiwick sync --yes` does it; nothing was deleted so far.")
    answer(invocation, {**_plain_run(run), "asks": shown.asks}, lines)
    if not run.problem:
        return 0
    return UNREACHABLE if shown.activity is SyncActivity.OFFLINE else BailiwickError.exit_code


def _plain_run(run: SyncRun) -> dict[str, object]:
    document = plain(run)
    assert isinstance(document, dict)
    return document


def _watch(invocation: Invocation) -> None:
    """Print one line, or one document, for each change until Ctrl+C; another process may be the one that syncs."""
    changed = threading.Event()

    def heard(event: Event) -> None:
        if isinstance(event, SyncChanged):
            changed.set()

    with syncing(invocation, "sync") as workspace:
        unsubscribe = workspace.bus.subscribe(heard)
        before: SyncStatus | None = None
        try:
            while True:
                shown = workspace.sync.status()
                told = replace(shown, next_at=None)
                if told != before:
                    before = told
                    _tell(invocation, shown)
                changed.wait(LOOK_SECONDS)
                changed.clear()
        finally:
            unsubscribe()


def _tell(invocation: Invocation, shown: SyncStatus) -> None:
    if invocation.json:
        print(json.dumps(plain(shown), ensure_ascii=False), flush=True)
        return
    for line in (status_lines(shown)[0], *(f"  {transfer_line(each)}" for each in shown.transfers)):
        print(printable(line), flush=True)


def status_lines(shown: SyncStatus) -> list[str]:
    """How it stands, in words."""
    count, size = sum(each.waiting for each in shown.areas), sum(each.waiting_bytes for each in shown.areas)
    waits = f"{counted(count, 'change waits', 'changes wait')} ({size_text(size)})" if count else "nothing waits"
    if shown.activity is SyncActivity.NO_REMOTE:
        return [_SAYS[shown.activity], "`bailiwick remote set URL` sets one; a folder will do."]
    lines = [f"{_SAYS[shown.activity]} {waits[0].upper()}{waits[1:]}."]
    lines += [f"! {shown.problem}"] if shown.problem else []
    lines += [f"  → {shown.cure}"] if shown.cure else []
    lines += [f"? {shown.asks}", "  → `bailiwick sync --yes` does it."] if shown.asks else []
    if shown.open_conflicts:
        lines.append(f"{counted(shown.open_conflicts, 'conflict waits', 'conflicts wait')} for your ruling.")
    if shown.choice is not None:
        lines.append(f"Strategy {shown.choice.strategy.value.replace('_', ' ')}: {shown.choice.reason}")
    for area in shown.areas:
        seen = f"{area.synced_at:%Y-%m-%d %H:%M:%S} UTC" if area.synced_at is not None else "never"
        missing = f", {area.not_fetched:,} not fetched" if area.not_fetched else ""
        lines.append(
            f"{area.area.id}: {counted(area.commits, 'commit')}, {area.waiting:,} waiting{missing}, synced {seen}"
        )
        lines += [f"  ! {area.problem}"] if area.problem else []
    lines += [f"! {each.name} ({each.user}): {each.problem}" for each in shown.devices if each.problem]
    if shown.spending is not None:
        spent = shown.spending
        budget = f" of {money_text(spent.budget)}" if spent.budget else ""
        lines.append(
            f"{spent.month}: {operations_text(spent.operations)} operations, {money_text(spent.cost)}{budget}"
            + (", stopped by the budget" if spent.stopped else "")
        )
    return lines


def plan_lines(plan: SyncPlan) -> list[str]:
    """A plan in words: what it would do, then what that costs."""
    lines = [
        f"{each.direction.value:4} {each.change.value:8} {size_text(each.size):>9}  {each.area:16} {each.path}"
        + (f"  ({each.reason})" if each.reason else "")
        for each in plan.changes[:MOST_LISTED]
    ]
    if (more := len(plan.changes) - MOST_LISTED) > 0:
        lines.append(f"… and {more:,} more")
    price = f"{operations_text(plan.operations)} operations, about {money_text(plan.cost)}"
    lines.append(f"{counted(len(plan.changes), 'change')}: {price}." if plan.changes else f"Nothing to do: {price}.")
    return [*lines, f"It asks first: {plan.asks}"] if plan.asks else lines
