"""A conflict in words and as plain data: its sides, its places with what each side made of them, and its outcome."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.conflicts.merging.automatic import Media
from core.conflicts.merging.decisions import Absent, Choice, Content, Decision, DecisionKind
from core.conflicts.merging.outline import is_equal
from core.conflicts.merging.text_merge import Mark, word_changes
from core.conflicts.outcomes import Outcome, RuledBy, Took
from core.conflicts.records import ConflictStatus
from core.ids import sha256_hex
from tui.amounts import counted, size_text
from tui.moments import moment_text, now

if TYPE_CHECKING:
    from core.conflicts.arbitration import Arbitration, SideLabel
    from core.conflicts.summaries import ConflictSummary, Preview

LONGEST = 100
LEAD = 20
_MARKS = {Mark.REMOVED: ("[-", "-]"), Mark.ADDED: ("{+", "+}"), Mark.KEPT: ("", "")}
_KINDS = {
    DecisionKind.VALUE: "",
    DecisionKind.TEXT_HUNK: "",
    DecisionKind.ADD_ADD: "both added it",
    DecisionKind.DELETE_MODIFY: "one deleted it, the other changed it",
    DecisionKind.TYPE: "another type of value",
    DecisionKind.LIST_ORDER: "order of the list",
}
_CHOICES = {
    Choice.UNRESOLVED: "open",
    Choice.BASE: "base",
    Choice.LOCAL: "local",
    Choice.REMOTE: "remote",
    Choice.BOTH_LOCAL_FIRST: "both, local first",
    Choice.BOTH_REMOTE_FIRST: "both, remote first",
    Choice.CUSTOM: "by hand",
}
_TOOK = {
    Took.LOCAL: "local was taken",
    Took.REMOTE: "remote was taken",
    Took.BASE: "base was taken",
    Took.MERGED: "both were merged",
    Took.CHOSEN: "decided place by place",
}
_BY = {
    RuledBy.AUTOMATIC: "by rule",
    RuledBy.SUPERVISOR: "by the supervisor's rules",
    RuledBy.AGENT: "by the supervisor agent",
    RuledBy.PERSON: "by",
}


def status_text(summary: ConflictSummary) -> str:
    """What a list says of where a conflict stands: how much is open, for whom, or how it was settled."""
    if summary.status is ConflictStatus.RESOLVED:
        return _settled(summary.outcome, summary.local, summary.remote) if summary.outcome is not None else "resolved"
    told = [f"{summary.open} of {counted(summary.places, 'place')} open"]
    told += [f"asks {summary.asked.agent}"] if summary.asked is not None else []
    told += [f"yours: {summary.reserved}"] if summary.reserved else []
    told += ["draft"] if summary.has_draft else []
    told += ["sealed"] if summary.is_sealed else []
    return ", ".join(told)


def _settled(outcome: Outcome, local: SideLabel, remote: SideLabel) -> str:
    """As ``outcome_text``, short, where the sides are not shown beside it."""
    label, other = (local, remote) if outcome.took is Took.LOCAL else (remote, local)
    names = (label.device_name, other.device_name), (label.who, other.who)
    found = next((one for one, another in names if one and another and one != another), "")
    told = outcome_text(outcome, short=True)
    return f"{found}'s{told.removeprefix(label.name)}" if found and told.startswith(label.name) else told


def outcome_text(outcome: Outcome, *, short: bool = False) -> str:
    """How it was settled, by whom and, unless ``short``, why and when."""
    who = f"{_BY[outcome.by]} {outcome.who}" if outcome.by is RuledBy.PERSON else _BY[outcome.by]
    told = f"{_TOOK[outcome.took]} {who}".rstrip()
    if short:
        return told
    why = f": {outcome.why.rstrip('.')}" if outcome.why else ""
    return f"{told}, {moment_text(outcome.at, now())}{why}"


def side_line(name: str, label: SideLabel) -> str:
    """Who made a side, where and when, and how much of base it changed."""
    if name == "base":
        return f"{name:<7} what both began with"
    told = [" ".join(each for each in (label.who, f"on {label.device_name}" if label.device_name else "") if each)]
    told += ["this machine"] if label.is_here else []
    told += [moment_text(label.at, now())] if label.at is not None else []
    told += ["deleted it"] if label.is_deleted else []
    told += [f"+{label.added} −{label.removed}"] if label.added or label.removed else []
    told += ["holds now"] if label.stands else []
    return f"{name:<7} {', '.join(each for each in told if each)}".rstrip()


def places(found: tuple[Decision, ...]) -> list[tuple[int, Decision]]:
    """The decisions at which something was changed, by their numbers in the whole."""
    return [(number, each) for number, each in enumerate(found) if not is_equal(each)]


def place_name(decision: Decision) -> str:
    """How a person calls a place."""
    return decision.path or "all of it"


def place_lines(ordinal: int, decision: Decision, *, settled: bool = False) -> Iterator[str]:
    """One place: what base has, what each side made of it word by word, and what is chosen while nothing is settled."""
    kind = f"  ({_KINDS[decision.kind]})" if _KINDS[decision.kind] else ""
    how = "by itself: " if decision.auto else ""
    chosen = "" if settled and decision.is_open else f"  {how}{_CHOICES[decision.choice]}"
    yield f"{ordinal:>3}  {place_name(decision)}{kind}{chosen}"
    if decision.auto:
        yield from _side("result", content_lines(decision.outcome()))
        return
    yield from _side("base", content_lines(decision.base))
    for name, side in (("local", decision.local), ("remote", decision.remote)):
        yield from _side(name, changed_lines(decision.base, side))
    if decision.choice is Choice.CUSTOM:
        yield from _side("by hand", content_lines(decision.custom))


def _side(name: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"     {name if number == 0 else '':<7}  {line}".rstrip()


def content_lines(content: Content) -> list[str]:
    """What one side has at a place."""
    if isinstance(content, Absent):
        return ["(nothing)"]
    if isinstance(content, bytes):
        return [f"({size_text(len(content))}, SHA-256 {sha256_hex(content)[:12]})"]
    if isinstance(content, str) and "\n" in content:
        return content.removesuffix("\n").split("\n")
    return [json.dumps(content, ensure_ascii=False)]


def changed_lines(base: Content, side: Content) -> list[str]:
    """``side`` with what it changed of ``base`` marked: ``[-removed-]`` and ``{+added+}``, word by word."""
    if isinstance(side, Absent) and not isinstance(base, Absent):
        return ["(deleted)"]
    if side == base and type(side) is type(base):
        return ["(as base)"]
    if not isinstance(base, str) or not isinstance(side, str):
        return content_lines(side)
    marked = "".join(_marked(words.mark, words.text) for words in word_changes(base, side))
    lines = marked.removesuffix("\n").split("\n")
    return lines if "\n" in base + side else [f'"{lines[0]}"']


def _marked(mark: Mark, text: str) -> str:
    before, after = _MARKS[mark]
    return "\n".join(f"{before}{line}{after}" if line else "" for line in text.split("\n"))


def place_document(ordinal: int, decision: Decision) -> dict[str, object]:
    """One place as plain data; a side that has nothing there has no key."""
    sides = {"base": decision.base, "local": decision.local, "remote": decision.remote}
    if not decision.is_open:
        sides["result"] = decision.outcome()
    return {
        "number": ordinal,
        "path": decision.path,
        "kind": decision.kind.value,
        **{name: _value(side) for name, side in sides.items() if not isinstance(side, Absent)},
        "choice": decision.choice.value,
        "auto": decision.auto,
        "open": decision.is_open,
        "takes_both": decision.has_both,
    }


def _value(content: Content) -> object:
    return {"bytes": len(content), "sha256": sha256_hex(content)} if isinstance(content, bytes) else content


def versions(shown: Arbitration) -> Iterator[tuple[str, SideLabel, bytes | None]]:
    """The sides there are, base first, each with its name, who made it, and its content."""
    labels = (("base", shown.base), ("local", shown.local), ("remote", shown.remote))
    for (name, label), content in zip(labels, shown.versions, strict=True):
        if label is not None:
            yield name, label, content


def text_of(content: bytes | None) -> str | None:
    """The content as text, as far as it is that."""
    return content.decode("utf-8", "replace") if content is not None else None


def result_text(shown: Arbitration) -> str | None:
    """The result as far as it is text."""
    return shown.result_text() if shown.media is not Media.BINARY else None


def preview_line(preview: Preview, path: str) -> str:
    """What taking a side would make of one conflict."""
    if preview.refused:
        return f"{path}  stays open: {preview.refused}"
    lost = f"  ({counted(preview.loses, 'place')} of the other side not taken)" if preview.loses else ""
    before, after = _differing(preview.before, preview.after)
    return f"{path}  {before} → {after}{lost}" if before != after else f"{path}  stays as it is{lost}"


def _differing(before: str, after: str) -> tuple[str, str]:
    """Both on one line each, from a little before where they begin to differ."""
    one, other = (" ".join(text.split()) for text in (before, after))
    equal = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    start = sum(1 for _ in equal)
    start = start - LEAD if start > 2 * LEAD else 0
    return _short(one, start), _short(other, start)


def _short(text: str, start: int) -> str:
    cut = f"{'…' if start else ''}{text[start:]}"
    return (cut if len(cut) <= LONGEST else f"{cut[: LONGEST - 1]}…") or "(nothing)"
