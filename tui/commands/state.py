"""``bailiwick state``: an agent's versioned values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from core.agent_model import Actor, ActorKind, State, StateVersion
from core.agentfs.states import StateStore
from core.errors import InvalidInput
from core.json_diff import JSONChange
from core.model import JSONValue, Kind
from tui.commands.acting import Acting, acting_options
from tui.commands.given import json_of
from tui.commands.nouns import answer, noun, opened_agentfs, plain, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.levels import WHY, short_level
from tui.moments import clock

if TYPE_CHECKING:
    from core.conflicts.state_races import Kept

VERSION = click.IntRange(1, 2**53)
_PAGE = 1000
_expect = click.option(
    "--expect", type=click.IntRange(0), metavar="VERSION", help="Only if this version is current; 0: if there is none."
)


@noun
def state() -> None:
    """Read and write the versioned values of agents; every write can be compared and taken back."""


@state.command()
@click.argument("agent")
@click.argument("key")
@acting_options(session=False)
@common_options
@pass_invocation
def get(invocation: Invocation, agent: str, key: str, acting: Acting) -> None:
    """Print the value of KEY, as far as who asks may have it."""
    with opened_agentfs(invocation) as opened:
        found = opened.agentfs.states.get(agent, key, by=acting.actor(opened))
    if found.redacted:
        invocation.say("Secrets and personal data are replaced by placeholders: another agent's is shared so.")
    answer(invocation, found, _pretty(found.value))


@state.command()
@click.argument("agent")
@click.argument("key")
@click.argument("value", metavar="JSON|@FILE|-")
@_expect
@click.option("--kind", type=click.Choice([each.value for each in Kind]), default=None, metavar="K")
@click.option("--critical/--no-critical", default=None, help="Whether a conflict about it must wait for a ruling.")
@click.option("--expires", type=float, default=None, metavar="SECONDS", help="Gone after so long.")
@click.option("--keep", is_flag=True, help="Keep it where --expect fails: merged if it fits, else as a conflict.")
@acting_options()
@common_options
@pass_invocation
def put(
    invocation: Invocation,
    agent: str,
    key: str,
    value: str,
    expect: int | None,
    kind: str | None,
    critical: bool | None,
    expires: float | None,
    keep: bool,
    acting: Acting,
) -> None:
    """Write a new version of KEY; a lost race is refused with the current value and version, or kept."""
    if keep and expect is None:
        raise InvalidInput("Nothing says which version it was made of.", "Give --expect with --keep.")
    parsed = json_of(value, "The value")
    known = Kind(kind) if kind else None
    with opened_agentfs(invocation) as opened:
        by = acting.actor(opened, agent)
        if keep and expect is not None:
            # Imported here: every other command on states does without conflicts.
            from core.conflicts.arising import Arising
            from core.conflicts.state_races import StateRaces

            races = StateRaces(opened.agentfs, Arising(opened.agentfs, opened.settings.conflicts))
            kept = races.put(
                agent, key, parsed, by=by, expect=expect, kind=known, critical=critical, expires_in=expires
            )
            answer(invocation, _kept_document(key, kept), [_kept_line(key, kept)])
            return
        written = opened.agentfs.states.put(
            agent, key, parsed, by=by, expect=expect, kind=known, critical=critical, expires_in=expires
        )
    answer(invocation, written, [f"{key} is at version {written.version}{_sealed(written)}."])


@state.command()
@click.argument("agent")
@click.argument("key")
@_expect
@acting_options()
@common_options
@pass_invocation
def delete(invocation: Invocation, agent: str, key: str, expect: int | None, acting: Acting) -> None:
    """Take the value of KEY away; its history stays."""
    with opened_agentfs(invocation) as opened:
        version = opened.agentfs.states.delete(agent, key, by=acting.actor(opened, agent), expect=expect)
    answer(invocation, {"key": key, "version": version}, [f"{key} is deleted (version {version})."])


@state.command()
@click.argument("agent")
@click.argument("key")
@acting_options(session=False)
@common_options
@pass_invocation
def history(invocation: Invocation, agent: str, key: str, acting: Acting) -> None:
    """List the versions of KEY, the newest first."""
    with opened_agentfs(invocation) as opened:
        found = opened.agentfs.states.history(agent, key, by=acting.actor(opened))
        names = {each.agent.id: each.agent.name for each in opened.agentfs.agents.all(retired=True)}
    rows = [
        (
            str(each.version),
            _operation(each),
            names.get(each.actor, each.actor),
            clock(each.at),
            (each.sha256 or "")[:12],
        )
        for each in found
    ]
    lines = table(("VERSION", "OPERATION", "BY", "AT", "SHA-256"), rows, "")
    answer(invocation, {"key": key, "versions": found}, lines)


@state.command()
@click.argument("agent")
@click.argument("key")
@click.argument("before", type=VERSION, metavar="A")
@click.argument("after", type=VERSION, metavar="B")
@acting_options(session=False)
@common_options
@pass_invocation
def diff(invocation: Invocation, agent: str, key: str, before: int, after: int, acting: Acting) -> None:
    """Show where version B of KEY differs from version A."""
    with opened_agentfs(invocation) as opened:
        changes = opened.agentfs.states.diff(agent, key, before, after, by=acting.actor(opened))
    lines = [line for change in changes for line in _change(change)]
    answer(
        invocation,
        {"key": key, "before": before, "after": after, "changes": changes},
        lines or [f"Versions {before} and {after} of {key} are the same."],
    )


@state.command()
@click.argument("agent")
@click.argument("key")
@click.argument("version", type=VERSION)
@_expect
@acting_options()
@common_options
@pass_invocation
def restore(invocation: Invocation, agent: str, key: str, version: int, expect: int | None, acting: Acting) -> None:
    """Make the value that KEY had at VERSION the newest one."""
    with opened_agentfs(invocation) as opened:
        by = acting.actor(opened, agent)
        restored = opened.agentfs.states.restore(agent, key, version, by=by, expect=expect)
    answer(invocation, restored, [f"{key} is at version {restored.version}, with the value of version {version}."])


@state.command("list")
@click.argument("agent")
@click.argument("prefix", default="")
@acting_options(session=False)
@common_options
@pass_invocation
def list_states(invocation: Invocation, agent: str, prefix: str, acting: Acting) -> None:
    """List the keys of an agent that begin with PREFIX, without their values; those that who asks may read."""
    with opened_agentfs(invocation) as opened:
        by = acting.actor(opened)
        found = _all(opened.agentfs.states, agent, prefix, by)
    rows = [
        (
            each.key,
            str(each.version),
            each.kind.value,
            "yes" if each.critical else "",
            short_level(each),
            f"{each.size:,}",
            clock(each.updated_at),
        )
        for each in found
    ]
    heads = ("KEY", "VERSION", "KIND", "CRITICAL", "LEVEL", "BYTES", "WRITTEN")
    may_read = " that it may read" if by.kind is ActorKind.AGENT else ""
    answer(
        invocation,
        {"states": [_without_value(each) for each in found]},
        table(heads, rows, f"{agent} has no states{f' that begin with {prefix}' if prefix else ''}{may_read}."),
    )


def _all(states: StateStore, agent: str, prefix: str, by: Actor) -> list[State]:
    found: list[State] = []
    while True:
        page = states.all(agent, prefix, after=found[-1].key if found else "", limit=_PAGE, by=by)
        found += page
        if len(page) < _PAGE:
            return found


def _without_value(found: State) -> dict[str, object]:
    document = plain(found)
    assert isinstance(document, dict)
    del document["value"]
    return document


def _kept_document(key: str, kept: Kept) -> dict[str, object]:
    """What stands, without a value that this command did not bring, and the conflict."""
    document = plain(kept.state) if kept.state is not None else {"key": key, "version": 0}
    assert isinstance(document, dict)
    document.pop("value", None)
    conflict = kept.conflict
    return {**document, "written": kept.is_written, "conflict": conflict.id if conflict is not None else None}


def _kept_line(key: str, kept: Kept) -> str:
    version = kept.state.version if kept.state is not None else 0
    if kept.conflict is None:
        return f"{key} is at version {version}{_sealed(kept.state) if kept.state is not None else ''}."
    if kept.is_written:
        return f"{key} is at version {version}, merged with what came first (conflict {kept.conflict.id}, settled)."
    shows = f"`bailiwick conflicts show {kept.conflict.id}` shows both."
    return f"Kept as conflict {kept.conflict.id}; version {version} of {key} stands until it is ruled on. {shows}"


def _sealed(written: State) -> str:
    return f", sealed because {WHY.get(written.sensitive, 'it is private')}" if written.sealed else ""


def _operation(version: StateVersion) -> str:
    origin = f" of {version.restored_from}" if version.restored_from is not None else ""
    return f"{version.operation}{origin}"


def _change(change: JSONChange) -> list[str]:
    lines = [f"{change.difference} {change.path or '(the whole value)'}"]
    if change.difference != "added":
        lines.append(f"  - {json.dumps(change.before, ensure_ascii=False)}")
    if change.difference != "removed":
        lines.append(f"  + {json.dumps(change.after, ensure_ascii=False)}")
    return lines


def _pretty(value: JSONValue) -> list[str]:
    return json.dumps(value, ensure_ascii=False, indent=2).split("\n")
