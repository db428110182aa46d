"""``bailiwick privacy``: what is private and why, who would get what, who was refused."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from core.agentfs.agentfs import AgentFS
from core.disclosure.finding import audience_name, audience_text, display_path, find_item, find_receiver
from core.disclosure.forecast import Forecast, Place, forecast
from core.disclosure.report import (
    PATHS_SHOWN,
    Answer,
    Explanation,
    Preview,
    Refusal,
    Rules,
    explained,
    preview,
    refusals,
    rules_report,
)
from core.errors import InvalidInput, NotFound
from core.model import Item, Sensitivity
from core.privacy import CONTROLLED_KINDS, Action, Decision, FindingKind, SharingControl
from tui.commands.nouns import answer, count_option, noun, opened_agentfs, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.levels import level_words
from tui.moments import clock

_AUDIENCES = "team:NAME|agent:NAME|public|own-devices|logs"
_LINES_SHOWN = 8
_CAUSES = {
    Sensitivity.SECRET: "because of a secret in the content",
    Sensitivity.PATTERN: "because of a private pattern",
    Sensitivity.UNKNOWN: "because nobody has looked yet",
}


@noun
def privacy() -> None:
    """See what is private and why, who would get what in which form, and who was refused."""


@privacy.command()
@click.argument("item")
@click.option("--audience", default="", metavar=_AUDIENCES, help="Only this one, with every rule that was considered.")
@common_options
@pass_invocation
def explain(invocation: Invocation, item: str, audience: str) -> None:
    """Say who gets ITEM in which form and which rule decides; of a file that is no item, what would become of it.

    ITEM is an id, a path, a state as AGENT/KEY, or a file.
    """
    with opened_agentfs(invocation) as opened:
        agentfs = opened.agentfs
        try:
            found = find_item(agentfs, item)
        except NotFound:
            file = Path(os.path.realpath(os.path.expanduser(item)))
            if not os.path.exists(file):
                raise
            foretold = _forecast(agentfs, file, audience)
            document, lines = _forecast_document(foretold, file, audience), _forecast_lines(foretold, file, audience)
        else:
            told = explained(agentfs, found, audience)
            document, lines = _explanation_document(agentfs, told, audience), _lines(agentfs, told, audience)
    answer(invocation, document, lines)


@privacy.command("rules")
@common_options
@pass_invocation
def list_rules(invocation: Invocation) -> None:
    """List the boundaries: the default, the sharing controls, and what each private pattern catches here."""
    with opened_agentfs(invocation) as opened:
        told = rules_report(opened.agentfs)
    document = {
        "default_level": told.rules.default_level,
        "controls": {
            CONTROLLED_KINDS[kind]: {"default": each.default, "allow_opt_in": each.allow_opt_in}
            for kind, each in told.rules.controls.items()
        },
        "patterns": [
            {"pattern": each.pattern.text, "origin": each.pattern.origin, "items": len(each.paths)}
            for each in told.patterns
        ],
        "items": told.items,
        "sensitive": {
            cause.value: told.sensitive[cause]
            for cause in (Sensitivity.SECRET, Sensitivity.PATTERN, Sensitivity.UNKNOWN)
        },
        "sealed": told.sealed,
        "shares": len(told.shares),
        "origins": dict(told.rules.origins),
    }
    answer(invocation, document, _rules_lines(told))


@privacy.command("preview")
@click.argument("audience", metavar=_AUDIENCES)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0, PATHS_SHOWN),
    default=20,
    show_default=True,
    metavar="N",
    help="How many of the items it gets.",
)
@common_options
@pass_invocation
def show_preview(invocation: Invocation, audience: str, limit: int) -> None:
    """Say what AUDIENCE would get of everything here. Nothing is sent."""
    with opened_agentfs(invocation) as opened:
        agentfs = opened.agentfs
        told = preview(agentfs, *find_receiver(agentfs, audience))
        first = [(item, display_path(agentfs, item), decision) for item, decision in told.first[:limit]]
    document = {
        "audience": told.text,
        "counts": {action.value: told.counts[action] for action in Action},
        "first": [
            {**_item(item, path), "action": decision.action, "rule": decision.rule, "reason": decision.reason}
            for item, path, decision in first
        ],
    }
    answer(invocation, document, _preview_lines(told, first))


@privacy.command("refusals")
@count_option(20, "How many, the newest ones.")
@common_options
@pass_invocation
def list_refusals(invocation: Invocation, limit: int) -> None:
    """List who was refused what, by which rule, the newest first."""
    with opened_agentfs(invocation) as opened:
        found = refusals(opened.agentfs, limit)
    answer(invocation, {"refusals": found}, map(_refusal, found) if found else ["Nobody was refused anything."])


def _forecast(agentfs: AgentFS, file: Path, audience: str) -> Forecast:
    # Reading a file brings its parsers; what is an item already does without.
    from core.library.extract import ReadRequest, extract
    from core.library.file_text import Unreadable, read_text

    try:
        extracted = extract(ReadRequest(file, file.parent))
        text = read_text(file)
    except Unreadable as failure:
        raise InvalidInput(f"{file} {failure.reason}.", "Name an item, or a file that can be read as text.") from None
    return forecast(agentfs, file, text, holds_secret=extracted.holds_secret, audience=audience)


def _item(item: Item, path: str) -> dict[str, object]:
    return {
        "id": item.id or None,
        "path": path,
        "kind": item.kind,
        "level": item.level,
        "sensitive": item.sensitive,
        "sealed": item.sealed,
        "owner": item.owner,
    }


def _explanation_document(agentfs: AgentFS, told: Explanation, audience: str) -> dict[str, object]:
    return {
        "item": _item(told.item, told.path),
        "shares": [
            {
                "audience": audience_text(agentfs, each.audience, each.name),
                "in_full": each.in_full,
                "opted_out": each.opted_out,
                "shared_by": each.shared_by,
                "at": each.at,
            }
            for each in told.shares
        ],
        "answers": [_answer(each, considered=bool(audience)) for each in told.answers],
    }


def _forecast_document(foretold: Forecast, file: Path, audience: str) -> dict[str, object]:
    told = foretold.explanation
    return {
        "item": _item(told.item, told.path),
        "file": file,
        "findings": foretold.places,
        "patterns": [{"pattern": each.text, "origin": each.origin} for each in foretold.patterns],
        "shares": [],
        "answers": [_answer(each, considered=bool(audience)) for each in told.answers],
    }


def _answer(told: Answer, *, considered: bool) -> dict[str, object]:
    decision = told.decision
    return {
        "audience": told.text,
        "action": decision.action,
        "rule": decision.rule,
        "reason": decision.reason,
        **({"considered": told.considered} if considered else {}),
    }


def _lines(agentfs: AgentFS, told: Explanation, audience: str) -> list[str]:
    shares = [
        f"kept from {_called(agentfs, each.audience, each.name)}"
        if each.opted_out
        else f"shared with {_called(agentfs, each.audience, each.name)}{', in full' if each.in_full else ''}"
        for each in told.shares
    ]
    head = [told.path, f"  {told.item.kind} of {told.item.owner}, {level_words(told.item)} ({told.item.id})"]
    return [*head, *(f"  {each}" for each in shares), "", *_answer_lines(told.answers, audience)]


def _forecast_lines(foretold: Forecast, file: Path, audience: str) -> list[str]:
    told = foretold.explanation
    lines = [f"{file} is not an item. If it were added:", told.path, f"  {told.item.kind}, {level_words(told.item)}"]
    lines += [f"  caught by the private pattern {each.text} ({each.origin})" for each in foretold.patterns]
    lines += _places(foretold.places)
    if told.item.sensitive is not Sensitivity.SECRET and any(
        each.kind is FindingKind.SECRET for each in foretold.places
    ):
        lines.append("  The secrets are in what is not kept of it.")
    return [*lines, "", *_answer_lines(told.answers, audience)]


def _places(places: Iterable[Place]) -> list[str]:
    by_kind: dict[str, list[Place]] = {}
    for place in places:
        by_kind.setdefault(place.kind.value, []).append(place)
    lines = []
    for kind, found in by_kind.items():
        numbers = list(dict.fromkeys(place.line for place in found))
        more = f" and {len(numbers) - _LINES_SHOWN:,} more" if len(numbers) > _LINES_SHOWN else ""
        named = ", ".join(f"{number:,}" for number in numbers[:_LINES_SHOWN])
        rules = ", ".join(dict.fromkeys(place.rule for place in found))
        lines.append(f"  found: {kind} in {'line' if len(numbers) == 1 else 'lines'} {named}{more} ({rules})")
    return lines or ["  found: nothing"]


def _answer_lines(answers: Iterable[Answer], audience: str) -> list[str]:
    answers = list(answers)
    if audience:
        (told,) = answers
        rows = [("→" if each.decided else "", each.action.value, each.rule, each.reason) for each in told.considered]
        decision = told.decision
        head = f"{told.name}: {decision.action}. The rule that decided is marked."
        return [head, *table(("", "ANSWER", "RULE", "REASON"), rows, "")]
    heads = ("AUDIENCE", "ANSWER", "RULE", "REASON")
    return table(heads, [(each.name, *_decided(each.decision)) for each in answers], "")


def _decided(decision: Decision) -> tuple[str, str, str]:
    return decision.action.value, decision.rule, decision.reason


def _rules_lines(told: Rules) -> list[str]:
    rules = told.rules
    lines = [f"Unless something below says otherwise, items are {rules.default_level}.", ""]
    rows = [(CONTROLLED_KINDS[kind], each.default.value, _beyond(each)) for kind, each in rules.controls.items()]
    lines += [*table(("KIND", "BY ITSELF", "SHARED EXPLICITLY"), rows, ""), ""]
    patterns = [(each.pattern.text, f"{len(each.paths):,}", each.pattern.origin) for each in told.patterns]
    lines += [*table(("PRIVATE PATTERN", "ITEMS", "FROM"), patterns, "There are no private patterns."), ""]
    idle = [each.pattern.text for each in told.patterns if each.matches_nothing]
    if idle:
        lines.append(f"These match nothing here: {', '.join(idle)}.")
    sensitive = sum(told.sensitive[cause] for cause in _CAUSES)
    causes = [f"{told.sensitive[cause]:,} {why}" for cause, why in _CAUSES.items() if told.sensitive[cause]]
    why = f" ({', '.join(causes)})" if causes else ""
    lines.append(f"Items: {told.items:,}; sensitive: {sensitive:,}{why}; sealed: {told.sealed:,}.")
    lines.append(f"Shares and opt-outs of single items: {len(told.shares):,}.")
    return lines


def _beyond(control: SharingControl) -> str:
    return "may go further" if control.allow_opt_in else "goes no further"


def _preview_lines(told: Preview, first: list[tuple[Item, str, Decision]]) -> list[str]:
    words = {Action.ALLOW: "whole", Action.REDACT: "redacted", Action.SEAL: "only sealed", Action.REFUSE: "not at all"}
    counts = ", ".join(f"{told.counts[action]:,} {word}" for action, word in words.items())
    lines = [f"{told.name[:1].upper()}{told.name[1:]} would get {counts}."]
    if not first:
        return lines
    rows = [(decision.action.value, item.kind.value, item.level.value, path) for item, path, decision in first]
    return [*lines, "", *table(("ANSWER", "KIND", "LEVEL", "PATH"), rows, "")]


def _refusal(told: Refusal) -> str:
    who = told.who if told.verified else f"{told.who} (unverified)"
    peer = f" from {told.peer}" if told.peer else ""
    return f"{clock(told.at)}  {who}{peer}  {told.operation}  {told.path or '(not here)'}  {told.rule}: {told.reason}"


def _called(agentfs: AgentFS, kind: str, name: str) -> str:
    return audience_name(agentfs, kind, name)
