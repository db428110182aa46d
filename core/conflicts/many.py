"""Rulings on many conflicts at once: shown before, then made one by one, each a ruling by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from core.conflicts.arbitration import Arbitration, DraftState
from core.conflicts.merging.decisions import Choice, same
from core.conflicts.outcomes import Took
from core.conflicts.records import ConflictStatus
from core.conflicts.summaries import Applied, Moved, Preview, Refused
from core.errors import BailiwickError, InvalidInput

_CHOICES = {Took.LOCAL: Choice.LOCAL, Took.REMOTE: Choice.REMOTE, Took.BASE: Choice.BASE}
Open = Callable[[str], Arbitration]
Apply = Callable[[Arbitration], Applied | Moved]
Progress = Callable[[int, int], None]


def choosing_side(arbitration: Arbitration, choice: Choice) -> Arbitration:
    """``choice`` wherever it is open; where a draft leaves nothing open, wherever no rule chose. Pure."""
    if arbitration.open or arbitration.draft is DraftState.NONE:
        return arbitration.choose_open(choice)
    both = choice in (Choice.BOTH_LOCAL_FIRST, Choice.BOTH_REMOTE_FIRST)
    decisions = enumerate(arbitration.decisions)
    return arbitration.choose([n for n, each in decisions if not each.auto and (each.has_both or not both)], choice)


def taking(arbitration: Arbitration, take: Took) -> Arbitration:
    """As ``choosing_side`` for a side; with ``MERGED`` nothing may be open. Raises InvalidInput. Pure."""
    if take in _CHOICES:
        return choosing_side(arbitration, _CHOICES[take])
    if take is not Took.MERGED:
        raise InvalidInput("Many conflicts take local, remote or base, or what merges by itself.")
    return arbitration


def preview_many(
    identifiers: Iterable[str], take: Took, open_: Open, present: Callable[[str], bytes | None]
) -> list[Preview]:
    """What ``resolve_many`` would do, without doing anything."""
    return [_preview(identifier, take, open_, present) for identifier in identifiers]


def resolve_many(
    identifiers: Sequence[str], take: Took, open_: Open, apply: Apply, progress: Progress | None = None
) -> list[Applied | Refused]:
    """Rule on each by itself; what cannot be ruled so is refused with its reason, and the others go on.

    ``progress`` is told how many of how many are done, and may raise to stop: what was ruled until then holds.
    """
    done: list[Applied | Refused] = []
    for number, identifier in enumerate(identifiers):
        if progress is not None:
            progress(number, len(identifiers))
        done.append(_ruled(identifier, take, open_, apply))
    if progress is not None:
        progress(len(identifiers), len(identifiers))
    return done


def _ruled(identifier: str, take: Took, open_: Open, apply: Apply) -> Applied | Refused:
    path = about = ""
    try:
        arbitration = open_(identifier)
        path, about = arbitration.path, arbitration.about
        applied = apply(taking(arbitration, take))
    except BailiwickError as error:
        return Refused(identifier, path, error.message, about)
    if isinstance(applied, Moved):
        return Refused(identifier, path, "It was changed at the same moment: look at it again.", about)
    return applied


def _preview(identifier: str, take: Took, open_: Open, present: Callable[[str], bytes | None]) -> Preview:
    path = about = ""
    try:
        arbitration = open_(identifier)
        path, about, before = arbitration.path, arbitration.about, present(arbitration.path)
        taken = taking(arbitration, take)
        refused = taken.problem() if arbitration.status is ConflictStatus.OPEN else "It is settled already."
        after = taken.result() if not refused else before
    except BailiwickError as error:
        return Preview(identifier, path, "", "", refused=error.message, about=about)
    return Preview(arbitration.id, path, _text(before), _text(after), _losses(arbitration, take), refused, about)


def _losses(arbitration: Arbitration, take: Took) -> int:
    """At how many open places a side changed something that is not taken."""
    count = 0
    for number in arbitration.open:
        decision = arbitration.decisions[number]
        others = {Took.LOCAL: [decision.remote], Took.REMOTE: [decision.local]}.get(
            take, [decision.local, decision.remote]
        )
        count += any(not same(each, decision.base) for each in others)
    return count


def _text(content: bytes | None) -> str:
    return content.decode("utf-8", "replace") if content is not None else ""
