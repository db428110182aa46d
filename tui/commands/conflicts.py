"""``bailiwick conflicts``: what two sides changed differently, with every version."""

from __future__ import annotations

from typing import Any

import click

from core.conflicts.records import ConflictRecord, ConflictStatus, ConflictStore, Side
from tui.commands.nouns import answer, noun, opened_agentfs, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.moments import moment_text, now


@noun
def conflicts() -> None:
    """See what two sides changed differently; every version is kept."""


@conflicts.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are resolved, too.")
@common_options
@pass_invocation
def list_conflicts(invocation: Invocation, everything: bool) -> None:
    """List the open conflicts, oldest first; exits 1 when there are any."""
    with opened_agentfs(invocation) as opened:
        found = ConflictStore(opened.agentfs).all(None if everything else ConflictStatus.OPEN)
    rows = [(each.id, each.path, each.kind, each.status.value, moment_text(each.opened_at, now())) for each in found]
    lines = table(("ID", "PATH", "KIND", "STATUS", "SINCE"), rows, "Nothing is in conflict.")
    answer(invocation, {"conflicts": found}, lines)
    if any(each.status is ConflictStatus.OPEN for each in found):
        raise click.exceptions.Exit(1)


@conflicts.command()
@click.argument("conflict", metavar="ID")
@common_options
@pass_invocation
def show(invocation: Invocation, conflict: str) -> None:
    """Show every version of a conflict: the one both sides began with, the local one and the remote one."""
    with opened_agentfs(invocation) as opened:
        record = ConflictStore(opened.agentfs).get(conflict)
    sides = _sides(record)
    document = {
        "id": record.id,
        "path": record.path,
        "kind": record.kind,
        "status": record.status.value,
        "opened_at": record.opened_at,
        "versions": {name: _plain(side) for name, side in sides},
    }
    lines = [f"{record.path}  ({record.kind}, {record.status}, since {moment_text(record.opened_at, now())})"]
    for name, side in sides:
        who = " ".join(each for each in (side.who, f"on {side.device}" if side.device else "") if each)
        lines += ["", f"{name}  {who}".rstrip(), *_text(side).split("\n")]
    answer(invocation, document, lines)


def _sides(record: ConflictRecord) -> list[tuple[str, Side]]:
    base = [("base", record.base)] if record.base is not None else []
    others = [(f"other {number}", side) for number, side in enumerate(record.others, 1)]
    return [*base, ("local", record.local), ("remote", record.remote), *others]


def _plain(side: Side) -> dict[str, Any]:
    return {
        "version": side.version,
        "content": _text(side) if side.content is not None else None,
        "who": side.who,
        "device": side.device,
        "at": side.at,
    }


def _text(side: Side) -> str:
    if side.content is not None:
        return side.content.decode("utf-8", "replace")
    return "deleted" if side.version is None else "not at hand any more"
