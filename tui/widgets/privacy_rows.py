"""The privacy pane in rows and facts: rules, what would leave, what is shared, who was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from core.model import Sensitivity
from tui import moments
from tui.levels import level_words
from tui.printable import printable
from tui.widgets.facts import Fact
from tui.widgets.keyed_list import KeyedRow
from tui.widgets.levels import SEALED
from tui.widgets.log_times import short_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.agentfs.shares import ShareRecord
    from core.crypto.workspace_keys import KeyStatus
    from core.disclosure.report import Refusal
    from core.model import Item
    from core.privacy import Decision, PatternReport
    from tui.panes.privacy_reading import Boundaries, Leaving, Overview, Receiver, SharedItem

FORMS = {"allow": "whole", "redact": "redacted", "seal": "sealed", "refuse": "refused"}
FORM_STYLES = {"allow": "bold $warning", "redact": "$accent", "seal": "$success", "refuse": "$muted"}
UNVERIFIED = "?"
LEAST_PATH = 12
_RULE_CELLS = 15
_FORM_CELLS = 9
_SENSITIVE = {
    Sensitivity.SECRET: "because of a secret",
    Sensitivity.PATTERN: "because of a pattern",
    Sensitivity.UNKNOWN: "not looked at yet",
}
_OPENERS = {
    "passphrase": "a passphrase",
    "recovery_code": "a recovery code",
    "key_file": "this machine's key file",
    "keychain": "this machine's keychain",
}


# Rules


def rules_facts(told: Boundaries, unlock_key: str, code_key: str) -> list[Fact]:
    """The default, the counts, and how the keys stand."""
    rules = told.rules
    shared = len({each.item_id for each in rules.shares if not each.opted_out})
    kept = len({each.item_id for each in rules.shares if each.opted_out})
    level = rules.rules.default_level
    origin = place_of(rules.rules.origins.get("privacy.default_level", ""), told.places)
    facts: list[Fact] = [
        ("Default", Content.assemble((level.value, "bold"), (f"  {origin}", "$muted"))),
        (
            "Sensitive",
            Content(f"{sensitive_words(rules.sensitive)}; {rules.sealed:,} sealed; of {rules.items:,} items"),
        ),
        ("Shared", Content(f"{_counted(shared, 'item')}; {_counted(kept, 'item')} kept from a team")),
        ("Keys", _keys(told.keys, unlock_key)),
    ]
    if told.keys is not None and not told.keys.recoverable:
        warning = "! Only this machine's key file opens it."
        mends = (f"  {code_key}", "bold $accent"), " makes a recovery code"
        facts.append(("", Content.assemble((warning, "bold $warning"), *(() if told.keys.locked else mends))))
    return facts


def sensitive_words(counts: Mapping[Sensitivity, int]) -> str:
    """``2 because of a secret, 1 because of a pattern``, or ``none``."""
    return ", ".join(f"{counts[why]:,} {words}" for why, words in _SENSITIVE.items() if counts[why]) or "none"


def _keys(status: KeyStatus | None, unlock_key: str) -> Content:
    if status is None:
        return Content("none yet: the first that is sealed makes them")
    if status.locked:
        why = f"{status.problem} " if status.problem else ""
        key = (unlock_key, "bold $accent")
        return Content.assemble((f"{SEALED} locked", "bold $warning"), f"  {why}", key, " unlocks")
    kind = next((slot.kind for slot in status.slots if slot.id == status.opened_by), None)
    opener = _OPENERS.get(kind or "", "a key slot")
    return Content.assemble(f"unlocked by {opener}  ", (unlock_key, "bold $accent"), " locks")


def place_of(origin: str, places: Mapping[str, str]) -> str:
    """``defaults, line 18``: an origin with what its file is called instead of its path."""
    path, separator, line = origin.rpartition(", line ")
    return f"{places.get(path, path)}{separator}{line}" if separator else origin


def rules_rows(told: Boundaries, width: int) -> list[KeyedRow]:
    """The sharing controls, and the patterns, which can be chosen."""
    from core.privacy import CONTROLLED_KINDS

    rows = [_heading("controls", "Sharing controls")]
    for kind, control in told.rules.rules.controls.items():
        beyond = "sharing an item may go further" if control.allow_opt_in else "sharing goes no further"
        line = Content.assemble(
            f"  {CONTROLLED_KINDS[kind]:<22}", (f"{control.default.value:<14}", "bold"), (beyond, "$muted")
        )
        rows.append(KeyedRow(f"control:{kind.value}", line, enabled=False))
    rows.append(_heading("patterns", "Private patterns"))
    for number, each in enumerate(told.rules.patterns):
        rows.append(KeyedRow(f"pattern:{number}", _pattern(each, told.places, width)))
    if not told.rules.patterns:
        note = "  none: name some in privacy_config.yml"
        rows.append(KeyedRow("none", Content.styled(note, "$muted"), enabled=False))
    return rows


def _pattern(told: PatternReport, places: Mapping[str, str], width: int) -> Content:
    count = len(told.paths)
    caught = ("matches nothing", "$warning") if told.matches_nothing else (f"catches {_counted(count, 'item')}", "")
    origin = place_of(told.pattern.origin, places)
    room = max(LEAST_PATH, width - 22 - cell_len(origin) - 4)
    text = Content(printable(told.pattern.text)).truncate(min(room, 40), ellipsis=True, pad=True)
    return Content.assemble("  ", text, " ", (f"{caught[0]:<20}", caught[1]), (origin, "$muted"))


def _heading(key: str, text: str) -> KeyedRow:
    return KeyedRow(f"heading:{key}", Content.styled(text, "bold $primary"), enabled=False)


# What would leave


def receiver_rows(receivers: Iterable[Receiver]) -> list[KeyedRow]:
    """Everyone who could get something."""
    return [KeyedRow(each.text, Content(printable(each.name))) for each in receivers]


def leaving_facts(receiver: Receiver | None, told: Leaving | None, seen: tuple[int, int] | None) -> list[Fact]:
    """Who it is, and how much would leave in which form; or how far the reading is."""
    if receiver is None:
        return []
    facts: list[Fact] = [("For", Content.styled(printable(receiver.name), "bold"))]
    if told is None:
        done = f"{seen[0]:,} of {seen[1]:,} items" if seen is not None else "…"
        facts.append(("Looked at", Content.styled(done, "$muted")))
        return facts
    counts = {action.value: count for action, count in told.preview.counts.items()}
    words = [Content.styled(f"{counts.get(action, 0):,} {form}", FORM_STYLES[action]) for action, form in FORMS.items()]
    line = Content(" · ").join(words)
    gets = sum(counts.values()) - counts.get("refuse", 0)
    if gets > len(told.rows):
        line = Content.assemble(line, (f"; the first {len(told.rows):,} are listed", "$muted"))
    facts.append(("Would get", line))
    return facts


def leaving_rows(told: Leaving, width: int) -> list[KeyedRow]:
    """What it gets: form, path, rule."""
    return [KeyedRow(item.id, _leaving(decision, path, width)) for item, decision, path in told.rows]


def _leaving(decision: Decision, path: str, width: int) -> Content:
    room = max(LEAST_PATH, width - _FORM_CELLS - _RULE_CELLS - 1)
    return Content.assemble(
        (f"{FORMS[decision.action]:<{_FORM_CELLS}}", FORM_STYLES[decision.action]),
        _path(path, room),
        " ",
        (decision.rule, "$muted"),
    )


def leaving_foot(item: Item, decision: Decision, path: str) -> Content:
    """The whole path, what the item is, and why it leaves so."""
    return Content.assemble(
        (printable(path), "bold"), (f"  {item.kind}, {level_words(item)}", "$muted"), "\n", printable(decision.reason)
    )


# What is shared


def shared_facts(shared: Sequence[SharedItem]) -> list[Fact]:
    """How many there are."""
    kept = sum(each.record.opted_out for each in shared)
    return [("Shared", Content(f"{_counted(len(shared) - kept, 'share')}; {_counted(kept, 'opt-out')}"))]


def shared_rows(shared: Sequence[SharedItem], width: int) -> list[KeyedRow]:
    """Path, with whom, by whom and when."""
    cells = 24 if width < 90 else 36
    room = max(LEAST_PATH, width - cells - 26)
    return [KeyedRow(each.key, _share(each, room, cells)) for each in shared]


def _share(shared: SharedItem, room: int, cells: int) -> Content:
    record = shared.record
    return Content.assemble(
        _path(shared.path, room),
        " ",
        Content.styled(_whom(record, shared.receiver), "$muted" if record.opted_out else "").truncate(
            cells, ellipsis=True, pad=True
        ),
        " ",
        Content.styled(printable(record.shared_by), "$muted").truncate(8, ellipsis=True, pad=True),
        (f" {short_time(record.at)}", "$muted"),
    )


def _whom(record: ShareRecord, receiver: str) -> str:
    if record.opted_out:
        return f"kept from {printable(receiver)}"
    return f"{printable(receiver)}{', in full' if record.in_full else ''}"


def shared_foot(shared: SharedItem) -> Content:
    """The whole path, and who did what when."""
    record = shared.record
    did = "kept from" if record.opted_out else "shared with"
    full = ", in full," if record.in_full else ""
    return Content.assemble(
        (printable(shared.path), "bold"),
        f"\n{did} {printable(shared.receiver)}{full} by {printable(record.shared_by)}, {moments.clock(record.at)}",
    )


# Who was refused


def refusals_facts(refusals: Sequence[Refusal]) -> list[Fact]:
    """How many there are."""
    newest = f"; the newest at {moments.clock(refusals[0].at)}" if refusals else ""
    return [("Refused", Content(f"{_counted(len(refusals), 'time')}{newest}"))]


def refusal_keys(refusals: Sequence[Refusal]) -> list[str]:
    """What tells each refusal from the others, whatever comes after it."""
    seen: Counter[str] = Counter()
    keys = []
    for each in reversed(refusals):
        name = f"{each.at.isoformat()} {each.who} {each.operation} {each.path} {each.rule}"
        seen[name] += 1
        keys.append(f"{name} {seen[name]}")
    return keys[::-1]


def refusal_rows(refusals: Sequence[Refusal], width: int) -> list[KeyedRow]:
    """When, who, what, which rule."""
    room = max(LEAST_PATH, width - 16 - 14 - 6 - _RULE_CELLS - 3)
    return [KeyedRow(key, _refusal(each, room)) for key, each in zip(refusal_keys(refusals), refusals, strict=True)]


def _refusal(refusal: Refusal, room: int) -> Content:
    who = Content.assemble(printable(refusal.who), ("" if refusal.verified else UNVERIFIED, "bold $warning"))
    return Content.assemble(
        (f"{short_time(refusal.at):<15} ", "$muted"),
        who.truncate(13, ellipsis=True, pad=True),
        " ",
        (f"{refusal.operation:<5} ", "$secondary"),
        _path(refusal.path or "no longer here", room),
        " ",
        (refusal.rule, "$muted"),
    )


def refusal_foot(refusal: Refusal) -> Content:
    """Who it was, how sure that is, and why."""
    proof = "verified" if refusal.verified else f"{UNVERIFIED} did not show its key"
    peer = f", from {printable(refusal.peer)}" if refusal.peer else ""
    return Content.assemble(
        (printable(refusal.who), "bold"),
        (f" ({proof}{peer}) ", "$muted"),
        f"{refusal.operation} ",
        (printable(refusal.path) or "an item that is no longer here", "bold"),
        f"\n{printable(refusal.reason)}",
    )


# The card


def overview_card(told: Overview) -> Content:
    """Locked or not, how much is sensitive, and the newest refusal."""
    status = told.keys
    keys = "No keys yet" if status is None else f"{SEALED} locked" if status.locked else "Unlocked"
    lines = [
        Content.styled(keys, "bold $warning" if status is not None and status.locked else ""),
        Content(f"Sensitive: {sensitive_words(told.counts.sensitive)}"),
    ]
    refusal = told.refusal
    if refusal is None:
        lines.append(Content.styled("Nobody was refused anything.", "$muted"))
    else:
        path = refusal.path or "no longer here"
        mark = "" if refusal.verified else UNVERIFIED
        text = f"Refused {short_time(refusal.at)} {refusal.who}{mark} {refusal.operation} {path}"
        lines.append(Content(printable(text)).truncate(80, ellipsis=True))
    return Content("\n").join(lines)


def _path(path: str, cells: int) -> Content:
    """A path in exactly so many cells, a state's as agent and key; a long one keeps its end."""
    text = printable(path.removeprefix("agents/").replace("/state/", "/", 1) if path.startswith("agents/") else path)
    if cell_len(text) > cells:
        while text and cell_len(text) > cells - 1:
            text = text[1:]
        text = f"…{text}"
    return Content(text).pad_right(max(0, cells - cell_len(text)))


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
