"""The whole result in an editor, and what is read from it: text with diff3's marks at what is open, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from core.conflicts.merging.alignment import blocks
from core.conflicts.merging.automatic import Media, parse_json
from core.conflicts.merging.decisions import (
    Absent,
    Choice,
    Content,
    Decision,
    Decisions,
    Form,
    Written,
    resolve,
)
from core.conflicts.merging.text_merge import lines
from core.errors import InvalidInput

_MARKS = re.compile(r"^(<{7} |\|{7} |={7}$|>{7} )")
_OPEN = "<<< open: "


def editing_text(decisions: Decisions, media: Media, names: tuple[str, str, str]) -> str:
    """The result as text; what is open is marked with all three sides, in JSON by a text that names the place.

    ``names`` are those of base, local and remote. Raises InvalidInput for what is no text. Pure.
    """
    if decisions.written is None and decisions.form is Form.TEXT:
        return "".join(_pieces(decisions, names))
    if media is Media.BINARY:
        raise InvalidInput("This is no text.", "Take one of the sides.")
    marked = replace(decisions, decisions=tuple(_marked(each) for each in decisions.decisions))
    content = resolve(marked).content
    if isinstance(content, Absent):
        return ""
    if media is Media.TEXT:
        return content if isinstance(content, str) else ""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def edited(decisions: Decisions, media: Media, names: tuple[str, str, str], text: str) -> Decisions:
    """The decisions that an editor made of ``editing_text``: where a text was changed, what was written is chosen.

    Raises InvalidInput for marks that are left half, for what is open in JSON still, and for what is no JSON. Pure.
    """
    if text == editing_text(decisions, media, names):
        return decisions
    if decisions.written is None and decisions.form is Form.TEXT:
        return _by_piece(decisions, names, text)
    if media is Media.JSON:
        return replace(decisions, written=Written(_json(text)))
    return replace(decisions, written=Written(text))


def _by_piece(decisions: Decisions, names: tuple[str, str, str], text: str) -> Decisions:
    given = _pieces(decisions, names)
    made = []
    is_open = [each.is_open for each in decisions.decisions]
    for decision, before, after in zip(decisions.decisions, given, _placed(given, text, is_open), strict=True):
        if before == after:
            made.append(decision)
        else:
            _require_no_marks(after, decision)
            made.append(decision.chosen(Choice.CUSTOM, after))
    return replace(decisions, decisions=tuple(made))


def _placed(given: Sequence[str], text: str, is_open: Sequence[bool]) -> list[str]:
    """``text`` divided as ``given`` is; joined, the parts are ``text``.

    What was written in place of several pieces belongs to the first of them, what was put in between two to the one
    before, unless that is open and the other is not.
    """
    before = [(number, line) for number, piece in enumerate(given) for line in lines(piece)]
    after = lines(text)
    placed = [""] * len(given)
    at = new = 0
    for block in (*blocks([line for _, line in before], after), None):
        first, second = (block.first, block.second) if block else (len(before), len(after))
        if second > new:
            placed[_owner(before, at, first, is_open)] += "".join(after[new:second])
        if block:
            for number, line in before[first : first + block.length]:
                placed[number] += line
            at, new = first + block.length, second + block.length
    return placed


def _owner(before: Sequence[tuple[int, str]], start: int, end: int, is_open: Sequence[bool]) -> int:
    if start < end:
        return before[start][0]
    previous = before[start - 1][0] if start else None
    following = before[start][0] if start < len(before) else None
    if previous is None or (following is not None and following != previous and is_open[previous]):
        return following or 0
    return previous


def _pieces(decisions: Decisions, names: tuple[str, str, str]) -> list[str]:
    outcomes = [_hunk(each, names) if each.is_open else each.outcome() for each in decisions.decisions]
    pieces = [each if isinstance(each, str) else "" for each in outcomes]
    return [f"{piece}\n" if piece and piece[-1] != "\n" and any(pieces[number:]) else piece
            for number, piece in enumerate(pieces, 1)]  # fmt: skip


def _hunk(decision: Decision, names: tuple[str, str, str]) -> str:
    """All three sides between marks, as Git's diff3 style has them."""
    base, local, remote = (_line_end(each) for each in (decision.base, decision.local, decision.remote))
    return f"<<<<<<< {names[1]}\n{local}||||||| {names[0]}\n{base}=======\n{remote}>>>>>>> {names[2]}\n"


def _line_end(side: Content) -> str:
    text = side if isinstance(side, str) else ""
    return f"{text}\n" if text and not text.endswith("\n") else text


def _require_no_marks(piece: str, decision: Decision) -> None:
    if any(_MARKS.match(line) for line in lines(piece)) and not any(
        _MARKS.match(line)
        for side in (decision.base, decision.local, decision.remote)
        for line in lines(_line_end(side))
    ):
        raise InvalidInput(
            f"At {decision.path} of what both began with, marks of the conflict are left.",
            "Take all of its marks away, or leave it as it was to decide later.",
        )


def _marked(decision: Decision) -> Decision:
    if not decision.is_open:
        return decision
    if isinstance(decision.local, list) and isinstance(decision.remote, list):
        return decision.chosen(Choice.CUSTOM, [f"{_OPEN}{decision.path} >>>"])
    return decision.chosen(Choice.CUSTOM, f"{_OPEN}{decision.path or 'all of it'} >>>")


def _json(text: str) -> Content:
    value = read_json(text)
    if f'"{_OPEN}' in text:
        line = next(number for number, each in enumerate(text.split("\n"), 1) if f'"{_OPEN}' in each)
        raise InvalidInput(f"Line {line} is still open.", f"Write a value in place of `{_OPEN}…`.")
    return value


def read_json(text: str) -> Content:
    """JSON that a person wrote; raises InvalidInput, naming line and column, for what is none."""
    try:
        return parse_json(text)
    except RecursionError:
        raise InvalidInput("This is nested too deeply.") from None
    except json.JSONDecodeError as error:
        where = f"Line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{where}: this is not JSON ({error.msg}).", "Text stands in double quotes.") from None
    except ValueError as error:
        raise InvalidInput(f"This cannot be kept as JSON: {error}.") from None
