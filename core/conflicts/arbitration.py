"""One conflict as a person rules on it: three labelled sides, a decision at each place, and the result that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from core.conflicts.drafts import Draft, draft_of, versions_hash
from core.conflicts.merging.automatic import Media, written
from core.conflicts.merging.decisions import (
    ABSENT,
    Choice,
    Choosing,
    Content,
    Decision,
    DecisionKind,
    Form,
    Resolved,
    resolve,
    same,
    text_pieces,
)
from core.conflicts.merging.editing import edited, editing_text, read_json
from core.conflicts.merging.forms import merge_object, mergeable, restored
from core.conflicts.objects import Present
from core.conflicts.outcomes import Outcome
from core.conflicts.records import Asked, ConflictRecord, ConflictStatus, Side
from core.errors import InvalidInput
from core.ids import sha256_hex


@dataclass(frozen=True, slots=True)
class SideLabel:
    """Whose a side is. ``stands``: it is what the object holds now; ``is_here``: it was made on this device.

    ``added`` and ``removed`` count lines of text, or places of JSON, that it has more or less than base.
    """

    name: str
    who: str = ""
    device: str = ""
    device_name: str = ""
    at: datetime | None = None
    is_here: bool = False
    stands: bool = False
    is_deleted: bool = False
    added: int = 0
    removed: int = 0


class DraftState(StrEnum):
    """What became of the choices that were kept."""

    NONE = "none"
    KEPT = "kept"
    STALE = "stale"
    """A side moved since; what did not move is chosen as it was."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many places take what."""

    local: int
    remote: int
    both: int
    base: int
    custom: int
    auto: int
    open: int


@dataclass(frozen=True, slots=True)
class Arbitration:
    """A conflict with what is chosen so far. Frozen; every act gives another one. Pure.

    ``local`` is what was made on this device where one side was. ``versions`` are base, local and remote in the form in
    which they are merged. ``reopened`` are the numbers of the decisions that were chosen before a side moved, and are
    open again for that. ``others`` counts further versions that are kept. ``exchanged``: the record names the sides the
    other way round.
    """

    id: str
    path: str
    kind: str
    status: ConflictStatus
    media: Media
    base: SideLabel | None
    local: SideLabel
    remote: SideLabel
    versions: tuple[bytes | None, bytes | None, bytes | None]
    choosing: Choosing
    exchanged: bool
    draft: DraftState = DraftState.NONE
    reopened: tuple[int, ...] = ()
    others: int = 0
    reserved: str = ""
    outcome: Outcome | None = None
    asked: Asked | None = None
    about: str = ""
    """The path with its agent's name, as a person reads it."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """A decision for each place; of a text they cover all of it."""
        return self.choosing.decisions.decisions

    @property
    def form(self) -> Form:
        """How the decisions make the result."""
        return self.choosing.decisions.form

    @property
    def open(self) -> tuple[int, ...]:
        """The numbers of the decisions that are to be made still."""
        return self.choosing.decisions.open

    @property
    def resolved(self) -> Resolved:
        """The result as far as it is decided."""
        return resolve(self.choosing.decisions)

    @property
    def pieces(self) -> list[str]:
        """The pieces of a text's result, one for each decision."""
        return text_pieces(self.choosing.decisions)

    @property
    def is_written(self) -> bool:
        """Whether the whole result was written by hand, whatever the decisions say."""
        return self.choosing.decisions.written is not None

    @property
    def counts(self) -> Counts:
        """How many places take what; in text only those that somebody changed."""
        tally = Counter(_counted(each) for each in self.decisions if is_change(each))
        return Counts(**{name: tally[name] for name in Counts.__dataclass_fields__})

    @property
    def can_undo(self) -> bool:
        """Whether there is an act to take back."""
        return self.choosing.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether an act was taken back that can be done again."""
        return self.choosing.can_redo

    def choose(self, numbers: Iterable[int], choice: Choice, custom: Content = ABSENT) -> Arbitration:
        """Choose at all ``numbers`` as one act; raises InvalidInput where that cannot be."""
        return self._with(self.choosing.choose(numbers, choice, custom))

    def choose_open(self, choice: Choice) -> Arbitration:
        """Choose at everything that is open still, as one act; where both cannot be taken it stays open."""
        return self._with(self.choosing.choose_open(choice))

    def undo(self) -> Arbitration:
        """As before the last act."""
        return self._with(self.choosing.undo())

    def redo(self) -> Arbitration:
        """As after the act that was taken back last."""
        return self._with(self.choosing.redo())

    def _with(self, choosing: Choosing) -> Arbitration:
        return replace(self, choosing=choosing)

    # The result

    def result(self) -> bytes | None:
        """The result as bytes, in the form in which it is merged; ``None`` where there is to be nothing.

        Raises InvalidInput where it cannot be that.
        """
        return written(self.media, self.resolved, like=self.versions[1])

    def problem(self) -> str:
        """Why it cannot be applied now, in one sentence; empty when it can."""
        if self.status is not ConflictStatus.OPEN:
            return "It is settled: open it again to rule on it anew."
        if count := len(self.open):
            return f"{count} {'place is' if count == 1 else 'places are'} open still."
        try:
            result = self.result()
            if result is not None:
                restored(self.kind, result, None)
        except InvalidInput as error:
            return str(error)
        return ""

    def checked(self, text: str, number: int) -> Content:
        """What a person typed for a decision, as it is chosen; raises InvalidInput, naming the place in ``text``."""
        decision = self.decisions[number]
        if decision.kind is DecisionKind.TEXT_HUNK:
            sides = [each for each in (decision.base, decision.local, decision.remote) if isinstance(each, str)]
            ends = any(each.endswith("\n") for each in sides)
            return f"{text}\n" if ends and text and not text.endswith("\n") else text
        if self.media is Media.BINARY:
            raise InvalidInput("This is no text.", "Take one of the sides, or give a file.")
        if self.media is Media.TEXT:
            return text
        value = read_json(text)
        if decision.kind is DecisionKind.LIST_ORDER:
            return _order(value, decision)
        if isinstance(decision.local, list) and isinstance(decision.remote, list) and not isinstance(value, list):
            raise InvalidInput(f"{decision.path} is a part of a list.", "Write a JSON list.")
        return value

    def result_text(self) -> str:
        """The whole result for an editor; what is open is marked there. Raises InvalidInput for what is no text."""
        return editing_text(self.choosing.decisions, self.media, self._names())

    def with_text(self, text: str) -> Arbitration:
        """What an editor made of ``result_text``, as one act: what is marked still is open still.

        Raises InvalidInput where marks are left half, or it is not JSON any more.
        """
        return self._with(self.choosing.become(edited(self.choosing.decisions, self.media, self._names(), text)))

    def with_content(self, content: bytes) -> Arbitration:
        """The whole result, given from elsewhere, as one act; raises InvalidInput where it cannot be that."""
        if self.media is Media.BINARY:
            return self._with(self.choosing.write(content))
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput("The result has to be text in UTF-8.") from None
        return self._with(self.choosing.write(read_json(text) if self.media is Media.JSON else text))

    def drafted(self) -> Draft:
        """What is chosen by hand so far."""
        return draft_of(self.decisions, self.versions, self.choosing.decisions.written)

    def _names(self) -> tuple[str, str, str]:
        return "base", _name(self.local), _name(self.remote)


def is_change(decision: Decision) -> bool:
    """Whether somebody changed something there; a text's hunks are not all changes."""
    return not (same(decision.local, decision.base) and same(decision.remote, decision.base))


def arbitrate(record: ConflictRecord, present: Present, *, device: str, names: Mapping[str, str]) -> Arbitration:
    """The conflict of ``record`` over what is at its object now.

    What was written there since takes the place of the side that stood. ``device`` is this one, ``names`` how devices
    are called. Pure.
    """
    record = effective(record, present)
    exchanged = is_exchanged(record.local.device, record.remote.device, device)
    one, other = (record.remote, record.local) if exchanged else (record.local, record.remote)
    versions = tuple(
        mergeable(record.kind, side.content if side is not None else None) for side in (record.base, one, other)
    )
    base, local, remote = versions
    automatic = merge_object(record.path, record.kind, base, local, remote)
    made = Choosing(automatic.decisions)
    labels = (
        _label("base", record.base, made, device, names) if record.base is not None else None,
        _label("local", one, made, device, names, stands=present.content == local),
        _label("remote", other, made, device, names, stands=present.content == remote),
    )
    return Arbitration(
        record.id,
        record.path,
        record.kind,
        record.status,
        automatic.media,
        *labels,
        (base, local, remote),
        made,
        exchanged,
        others=len(record.others),
        reserved=record.reserved,
        outcome=record.outcome.exchanged if exchanged and record.outcome is not None else record.outcome,
        asked=record.asked,
    )


def is_exchanged(local: str, remote: str, here: str) -> bool:
    """Whether a record's sides are shown the other way round on the device ``here``: its remote side was made there."""
    return remote == here != local


def effective(record: ConflictRecord, present: Present) -> ConflictRecord:
    """The record with what is at the object now in the place of its remote side, where it is neither side.

    What a ruling put there is no side. A remote side that gives way is kept among the others. Pure.
    """
    sides = [mergeable(record.kind, side.content) for side in (record.local, record.remote)]
    if present.content in sides:
        return record
    if record.outcome is not None and digest(present.content) == record.outcome.result:
        return record
    version = f"now {digest(present.content)}" if present.content is not None else None
    now = Side(version, present.content, record.remote.header, present.who, "", present.at)
    kept = [each for each in (*record.others, record.remote) if each.version not in (version, record.local.version)]
    return replace(record, remote=now, others=tuple({each.version: each for each in kept}.values()))


def digest(content: bytes | None) -> str | None:
    """SHA-256 of content, ``None`` of none."""
    return sha256_hex(content) if content is not None else None


def with_draft(fresh: Arbitration, draft: Draft | None) -> Arbitration:
    """What was chosen before, at each place that is as it was; a whole result counts while all sides are. Pure."""
    if draft is None:
        return fresh
    chosen = {each.key: each for each in draft.choices}
    decisions = fresh.choosing.decisions
    placed = tuple(
        replace(each, choice=there.choice, custom=there.custom, auto=False) if (there := chosen.get(each.key)) else each
        for each in decisions.decisions
    )
    is_same = draft.versions == versions_hash(fresh.versions)
    lost = {chosen[key].path for key in chosen.keys() - {each.key for each in placed}}
    reopened = tuple(number for number, each in enumerate(placed) if each.is_open and each.path in lost)
    is_stale = bool(lost) or (draft.written is not None and not is_same)
    written = draft.written if is_same else None
    return replace(
        fresh,
        choosing=Choosing(replace(decisions, decisions=placed, written=written)),
        draft=DraftState.STALE if is_stale else DraftState.KEPT,
        reopened=reopened,
    )


def _counted(decision: Decision) -> str:
    if decision.is_open:
        return "open"
    if decision.auto:
        return "auto"
    if decision.choice in (Choice.BOTH_LOCAL_FIRST, Choice.BOTH_REMOTE_FIRST):
        return "both"
    return decision.choice.value


def _label(
    name: str, side: Side, choosing: Choosing, device: str, names: Mapping[str, str], *, stands: bool = False
) -> SideLabel:
    added = removed = 0
    if name != "base":
        for each in choosing.decisions.decisions:
            more, less = _difference(each.base, each.local if name == "local" else each.remote, each.kind)
            added, removed = added + more, removed + less
    return SideLabel(
        name,
        side.who,
        side.device,
        names.get(side.device, ""),
        side.at,
        is_here=side.device == device,
        stands=stands,
        is_deleted=side.version is None,
        added=added,
        removed=removed,
    )


def _difference(base: Content, side: Content, kind: DecisionKind) -> tuple[int, int]:
    if same(base, side):
        return 0, 0
    if kind is DecisionKind.TEXT_HUNK and isinstance(base, str) and isinstance(side, str):
        return len(side.splitlines()), len(base.splitlines())
    return int(side is not ABSENT), int(side is ABSENT)


def _name(label: SideLabel) -> str:
    told = " ".join(each for each in (label.who, label.device_name or label.device[:8]) if each)
    return f"{label.name} {told}".strip()


def _order(value: Content, decision: Decision) -> Content:
    known = {
        str(each)
        for side in (decision.base, decision.local, decision.remote)
        if isinstance(side, list)
        for each in side
    }
    if not isinstance(value, list) or not all(isinstance(each, str) and each in known for each in value):
        raise InvalidInput(f"{decision.path} is an order of elements.", "Write a JSON list of their names.")
    return value
