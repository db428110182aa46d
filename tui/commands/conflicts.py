"""``bailiwick conflicts``: what two sides changed differently, with every version, and the rulings on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from core.conflicts.outcomes import outcome_json
from core.conflicts.records import ConflictStatus, Side
from core.disclosure.finding import readable_path
from tui.amounts import counted
from tui.commands.acting import Acting, acting_options
from tui.commands.conflict_finding import KINDS, expectation, ruling
from tui.commands.conflict_lines import (
    outcome_text,
    place_document,
    place_lines,
    places,
    result_text,
    side_line,
    status_text,
    text_of,
    versions,
)
from tui.commands.conflict_resolving import resolve
from tui.commands.nouns import answer, noun, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.moments import left, moment_text, now

if TYPE_CHECKING:
    from core.conflicts.arbitration import Arbitration
    from core.conflicts.summaries import ConflictSummary


@noun
def conflicts() -> None:
    """See what two sides changed differently, and rule on it; every version is kept."""


conflicts.add_command(resolve)


@conflicts.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are resolved, too.")
@click.option("--kind", type=click.Choice(KINDS), default=None, metavar="K", help="Of items of this kind.")
@click.option("--path", "pattern", default="", metavar="GLOB", help="About what matches, such as 'scout/*'.")
@common_options
@pass_invocation
def list_conflicts(invocation: Invocation, everything: bool, kind: str | None, pattern: str) -> None:
    """List the open conflicts, oldest first; exits 1 when there are any."""
    with ruling(invocation) as those:
        found = those.matching(None if everything else ConflictStatus.OPEN, kind or "", pattern)
        paths = [readable_path(those.agentfs, each.path) for each in found]
    rows = [
        (each.id, path, each.kind, status_text(each), moment_text(each.opened_at, now()))
        for each, path in zip(found, paths, strict=True)
    ]
    lines = table(("ID", "ABOUT", "KIND", "STANDS", "SINCE"), rows, "Nothing is in conflict.")
    documents = [_summary(each, path) for each, path in zip(found, paths, strict=True)]
    answer(invocation, {"conflicts": documents}, lines)
    if any(each.status is ConflictStatus.OPEN for each in found):
        raise click.exceptions.Exit(1)


@conflicts.command()
@click.argument("conflict", metavar="ID|PATH")
@common_options
@pass_invocation
def show(invocation: Invocation, conflict: str) -> None:
    """Show a conflict: who made which side, and each place where they differ, word by word against base.

    A place is named by its number or its path; both can be given to `resolve --path`.
    """
    with ruling(invocation) as those:
        found = those.find(conflict)
        shown, record = those.service.open(found), those.service.record(found)
        path = readable_path(those.agentfs, shown.path)
    overruled = [each.exchanged if shown.exchanged else each for each in record.overruled]
    document = {
        **shown_document(shown, path),
        "further_versions": [_version(each) for each in record.others],
        "overruled": [outcome_json(each) for each in overruled],
    }
    lines = shown_lines(shown, path)
    lines += [f"{counted(len(record.others), 'further version')} of it in `--json`."] if record.others else []
    lines += [f"Not in force: {outcome_text(each)}" for each in overruled]
    answer(invocation, document, lines)


@conflicts.command()
@click.argument("conflict", metavar="ID|PATH")
@acting_options(session=False)
@common_options
@pass_invocation
def reopen(invocation: Invocation, conflict: str, acting: Acting) -> None:
    """Open a conflict again that was merged, ruled or decided; the object stays as it is until you rule."""
    with ruling(invocation) as those:
        opened = those.service.reopen(those.find(conflict), by=those.person(acting))
        path = readable_path(those.agentfs, opened.path)
    waits = counted(len(places(opened.decisions)), "place")
    answer(invocation, shown_document(opened, path), [f"{path} is open again: {waits}, {len(opened.open)} open."])


@conflicts.command()
@click.argument("conflict", metavar="ID|PATH")
@acting_options(session=False)
@common_options
@pass_invocation
def undo(invocation: Invocation, conflict: str, acting: Acting) -> None:
    """Take a ruling back: what stood before it stands again, and the conflict is open."""
    with ruling(invocation) as those:
        done = those.service.undo_applied(those.find(conflict), by=those.person(acting))
        path = readable_path(those.agentfs, done.path)
    document = {"id": done.id, "path": done.path, "changed": done.changed}
    answer(invocation, document, [f"{path} is as it was before the ruling, and its conflict is open."])


def _summary(summary: ConflictSummary, path: str) -> dict[str, object]:
    return {
        "id": summary.id,
        "path": summary.path,
        "about": path,
        "kind": summary.kind,
        "status": summary.status.value,
        "opened_at": summary.opened_at,
        "updated_at": summary.updated_at,
        "local": summary.local,
        "remote": summary.remote,
        "places": summary.places,
        "open": summary.open,
        "reserved": summary.reserved,
        "asked": summary.asked,
        "outcome": outcome_json(summary.outcome) if summary.outcome is not None else None,
        "draft": summary.has_draft,
        "sealed": summary.is_sealed,
    }


def _version(side: Side) -> dict[str, object]:
    return {"content": text_of(side.content), "who": side.who, "device": side.device, "at": side.at}


def shown_document(shown: Arbitration, path: str) -> dict[str, object]:
    """A conflict as plain data."""
    numbered = list(enumerate(places(shown.decisions), 1))
    ordinals = {number: ordinal for ordinal, (number, _) in numbered}
    return {
        "id": shown.id,
        "path": shown.path,
        "about": path,
        "kind": shown.kind,
        "status": shown.status.value,
        "media": shown.media.value,
        "reserved": shown.reserved,
        "asked": shown.asked,
        "outcome": outcome_json(shown.outcome) if shown.outcome is not None else None,
        "versions": {name: {"label": label, "content": text_of(content)} for name, label, content in versions(shown)},
        "places": [place_document(ordinal, decision) for ordinal, (_, decision) in numbered],
        "open": [ordinals[number] for number in shown.open] if shown.status is ConflictStatus.OPEN else [],
        "draft": shown.draft.value,
        "reopened": [ordinals[number] for number in shown.reopened if number in ordinals],
        "problem": shown.problem(),
        "result": result_text(shown) if not shown.problem() else None,
        "expect": expectation(shown),
    }


def shown_lines(shown: Arbitration, path: str) -> list[str]:
    """A conflict in words."""
    found = places(shown.decisions)
    settled = shown.status is ConflictStatus.RESOLVED
    count = counted(len(found), "place")
    lines = [f"{path}  ({shown.kind}, {'resolved' if settled else f'open at {len(shown.open)} of {count}'})"]
    lines += [f"! yours to rule: {shown.reserved}"] if shown.reserved else []
    if shown.asked is not None and shown.asked.until > now():
        lines.append(f"? {shown.asked.agent} is asked, with {left(shown.asked.until, now())} left")
    lines += [side_line(name, label) for name, label, content in versions(shown) if name != "base" or content]
    for ordinal, (_, decision) in enumerate(found, 1):
        lines += ["", *place_lines(ordinal, decision, settled=settled)]
    if settled:
        return [*lines, "", outcome_text(shown.outcome) if shown.outcome is not None else "resolved"]
    if shown.reopened:
        count = counted(len(shown.reopened), "place")
        lines += ["", f"Since your draft {count} changed and {'is' if len(shown.reopened) == 1 else 'are'} open again."]
    return [*lines, "", shown.problem() or f"Nothing is open: `bailiwick conflicts resolve {shown.id} --take merged`."]
