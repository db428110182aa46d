"""``bailiwick audit``: who changed what, and whether the record of it is whole."""

from __future__ import annotations

from pathlib import Path

import click

from core.agent_model import AuditFilters, AuditProblem, AuditRecord
from core.agentfs.audit_export import export_trail
from core.agentfs.message_log import PERSON
from core.errors import NotFound
from core.model import JSONValue
from tui.commands.nouns import Opened, answer, count_option, noun, opened_agentfs
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.moments import clock

HASH_LENGTH = 64


@noun
def audit() -> None:
    """Read, verify and export the audit trail, which holds hashes and never content."""


@audit.command()
@count_option(50, "How many, the newest ones.")
@click.option("--actor", default="", metavar="A", help="An agent, `person`, or an id.")
@click.option("--action", default="", metavar="PREFIX", help="Such as state, or state.put.")
@click.option("--subject", default="", metavar="S", help="The id of what was changed.")
@common_options
@pass_invocation
def log(invocation: Invocation, limit: int, actor: str, action: str, subject: str) -> None:
    """List the newest records, the oldest of them first."""
    with opened_agentfs(invocation) as opened:
        filters = AuditFilters(_actor_id(opened, actor), action, subject)
        trail = opened.agentfs.audit
        if filters:
            found = trail.at(list(trail.matching(filters)[-limit:]))
        else:
            newest, _ = trail.head()
            found = trail.page(newest - limit + 1, newest)
        first = trail.first()
        names = {each.agent.id: each.agent.name for each in opened.agentfs.agents.all(retired=True)}
    if first > 1:
        invocation.say(f"Records before {first:,} are archived in logs/; `bailiwick audit export FILE` includes them.")
    lines = [_line(each, names) for each in found]
    answer(invocation, {"records": found}, lines or ["There are no such records."])


@audit.command()
@common_options
@pass_invocation
@click.pass_context
def verify(context: click.Context, invocation: Invocation) -> None:
    """Check every record and whether any is missing. Exits 1 when something is wrong."""
    with opened_agentfs(invocation) as opened:
        verdict = opened.agentfs.audit_check.verify()
    sides = {"integrity": verdict.integrity, "completeness": verdict.completeness}
    document = {
        **{side: "broken" if problems else "whole" for side, problems in sides.items()},
        "records": verdict.records,
        "problems": [
            {"verdict": side, "position": each.position, "sentence": each.sentence}
            for side, problems in sides.items()
            for each in problems
        ],
    }
    lines = [line for side, problems in sides.items() for line in _verdict(side, problems)]
    answer(invocation, document, [*lines, f"{verdict.records:,} records were read."])
    context.exit(0 if verdict.whole else 1)


@audit.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@common_options
@pass_invocation
def export(invocation: Invocation, file: Path, force: bool) -> None:
    """Write every record to FILE, one JSON document a line, archived ones included."""
    path = file.absolute()
    with opened_agentfs(invocation) as opened:
        count = export_trail(opened.agentfs, path, replace=force)
    answer(invocation, {"path": path, "records": count}, [f"{count:,} records are in {path}."])


def _actor_id(opened: Opened, actor: str) -> str:
    """The id that records name for an agent or the person; another id is left as it is."""
    if actor == PERSON:
        return opened.settings.user.id
    try:
        return opened.agentfs.agents.get(actor).id if actor else ""
    except NotFound:
        return actor


def _line(record: AuditRecord, names: dict[str, str]) -> str:
    who = names.get(record.actor, record.actor)
    shown = f"{record.actor_kind} {who}" if record.verified else f"{record.actor_kind} {who} (unverified)"
    told = "  ".join(
        f"{name}={names.get(str(value), value)}" for name, value in record.details.items() if not _is_hash(value)
    )
    subject = names.get(record.subject, record.subject)
    return f"{record.position:>7,}  {clock(record.at)}  {shown}  {record.action}  {subject}  {told}".rstrip()


def _is_hash(value: JSONValue) -> bool:
    return value is None or (isinstance(value, str) and len(value) == HASH_LENGTH)


def _verdict(side: str, problems: tuple[AuditProblem, ...]) -> list[str]:
    if not problems:
        return [f"{side}: whole"]
    return [f"{side}: broken", *(f"  {each.sentence}" for each in problems)]
