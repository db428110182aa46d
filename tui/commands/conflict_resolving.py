"""``bailiwick conflicts resolve``: one conflict place by place or whole, or many from one side."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from core.agent_model import Actor
from core.conflicts.many import choosing_side
from core.conflicts.merging.decisions import Choice, Content
from core.conflicts.outcomes import Took, outcome_json
from core.conflicts.records import ConflictStatus
from core.disclosure.finding import readable_path
from core.errors import InvalidInput, StateConflict
from tui.amounts import counted
from tui.commands.acting import Acting, acting_options
from tui.commands.conflict_finding import KINDS, Ruling, expectation, ruling
from tui.commands.conflict_lines import content_lines, outcome_text, place_name, places, preview_line, result_text
from tui.commands.given import bytes_of, decoded
from tui.commands.nouns import answer
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.syncing import Report
from tui.printable import printable

if TYPE_CHECKING:
    from core.conflicts.arbitration import Arbitration
    from core.conflicts.summaries import Applied, Moved, Refused

MERGED = "merged"
_CHOICES = {
    "local": Choice.LOCAL,
    "remote": Choice.REMOTE,
    "base": Choice.BASE,
    "both": Choice.BOTH_LOCAL_FIRST,
    "both-remote-first": Choice.BOTH_REMOTE_FIRST,
}
_SIDES = {"local": Took.LOCAL, "remote": Took.REMOTE, "base": Took.BASE, MERGED: Took.MERGED}
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call asks for."""

    take: str
    file: str
    places: tuple[str, ...]
    expect: str
    why: str
    draft: bool
    dry_run: bool

    def check(self) -> None:
        """Raise InvalidInput for what does not go together."""
        if bool(self.take) == bool(self.file):
            raise InvalidInput(
                "Say what to take: a side, or a file.", "--take local|remote|base|both|merged, or --file FILE."
            )
        if self.take == MERGED and self.places:
            raise InvalidInput("--take merged is about the whole of it.", "Name a side for a place.")
        if self.file and len(self.places) > 1:
            raise InvalidInput("A file is the result, or one place of it.", "Name one --path.")


@click.command()
@click.argument("named", nargs=-1, metavar="[ID|PATH]…")
@click.option(
    "--take",
    type=click.Choice([*_CHOICES, MERGED]),
    default=None,
    help="What is taken where it is open, or at each --path; merged: as it stands, nothing more.",
)
@click.option("--file", default="", metavar="FILE", help="The whole result, or what one --path is to be; - for input.")
@click.option("--path", "paths", multiple=True, metavar="PLACE", help="Only there: a number or path that `show` names.")
@click.option("--draft", is_flag=True, help="Only keep the choices; apply nothing yet.")
@click.option("--expect", default="", metavar="MARK", help="Only while all versions are those that `show` gave.")
@click.option("--why", default="", metavar="TEXT", help="The reason, kept with the ruling; without any content.")
@click.option("--all", "everything", is_flag=True, help="Every open conflict.")
@click.option("--kind", type=click.Choice(KINDS), default=None, metavar="K", help="With --all, those of this kind.")
@click.option("--matching", "pattern", default="", metavar="GLOB", help="With --all, those about what matches.")
@click.option("--dry-run", is_flag=True, help="Only say what would come of it.")
@click.option("--yes", is_flag=True, help="For many, do not ask.")
@acting_options(session=False)
@common_options
@pass_invocation
def resolve(
    invocation: Invocation,
    named: tuple[str, ...],
    take: str | None,
    file: str,
    paths: tuple[str, ...],
    draft: bool,
    expect: str,
    why: str,
    everything: bool,
    kind: str | None,
    pattern: str,
    dry_run: bool,
    yes: bool,
    acting: Acting,
) -> None:
    """Rule on conflicts. What fits together stays merged; what is open becomes what you take.

    With --path one place after the other: while places are open your choices are kept as a draft, and the step that
    closes the last one applies them. `conflicts undo` takes a ruling back.
    """
    asked = Asked(take or "", file, paths, expect, why, draft, dry_run)
    asked.check()
    if everything == bool(named):
        raise InvalidInput("Name a conflict, or --all.", "`bailiwick conflicts list` shows them.")
    if (kind or pattern) and not everything:
        raise InvalidInput("--kind and --matching choose among all.", "Say --all too.")
    with ruling(invocation) as those:
        by = those.person(acting)
        if len(named) == 1:
            _resolve_one(invocation, those, those.find(named[0]), asked, by)
            return
        if everything:
            found = [each.id for each in those.matching(ConflictStatus.OPEN, kind or "", pattern)]
        else:
            found = list(dict.fromkeys(those.find(each) for each in named))
        _resolve_many(invocation, those, found, asked, by, yes=yes)


def _resolve_one(invocation: Invocation, those: Ruling, conflict: str, asked: Asked, by: Actor) -> None:
    before = those.service.open(conflict)
    path = readable_path(those.agentfs, before.path)
    _check_expected(before, path, asked.expect)
    if before.reopened:
        _say_reopened(invocation, before, path)
    shown = _chosen(before, asked)
    if asked.draft or (shown.open and asked.take != MERGED):
        _keep(invocation, those, shown, path, asked)
        return
    if (problem := shown.problem()) != "":
        raise InvalidInput(problem)
    if asked.dry_run:
        text = result_text(shown)
        told = content_lines(shown.resolved.content) if text is None else text.removesuffix("\n").split("\n")
        answer(invocation, {**_document(shown, applied=False), "result": text}, told)
        return
    done = those.service.apply(shown, by=by, why=asked.why)
    applied = _applied(done, path)
    answer(
        invocation,
        {**_document(shown, applied=True), "outcome": outcome_json(applied.outcome), "changed": applied.changed},
        [f"{path}: {outcome_text(applied.outcome)}.", f"`bailiwick conflicts undo {applied.id}` takes it back."],
    )


def _check_expected(before: Arbitration, path: str, expect: str) -> None:
    if expect and expect != expectation(before):
        raise StateConflict(
            f"The versions of {path} are not those that were expected.",
            f"`bailiwick conflicts show {before.id}` shows them.",
            {"expect": expectation(before)},
        )


def _say_reopened(invocation: Invocation, before: Arbitration, path: str) -> None:
    names = ", ".join(place_name(before.decisions[number]) for number in before.reopened)
    invocation.say(printable(f"Since your draft {path} changed at {names}: what you chose there is open again."))


def _chosen(shown: Arbitration, asked: Asked) -> Arbitration:
    numbers = [_number(shown, each) for each in asked.places]
    if asked.file:
        data = bytes_of(asked.file, "The result")
        if not numbers:
            return shown.with_content(data)
        custom: Content = shown.checked(decoded(data, "The result", asked.file), numbers[0])
        return shown.choose(numbers, Choice.CUSTOM, custom)
    if asked.take == MERGED:
        return shown
    choice = _CHOICES[asked.take]
    return shown.choose(numbers, choice) if numbers else choosing_side(shown, choice)


def _number(shown: Arbitration, text: str) -> int:
    """The number of the decision that a person calls ``text``."""
    found = places(shown.decisions)
    if _NUMBER.fullmatch(text):
        if 1 <= int(text) <= len(found):
            return found[int(text) - 1][0]
        raise InvalidInput(f"There is no place {text}: there are {len(found)}.", _where(shown))
    named = [number for number, each in found if text in (each.path, place_name(each))]
    if not named:
        raise InvalidInput(f"Nothing differs at {text}.", _where(shown))
    if len(named) > 1:
        raise InvalidInput(f"{text} names {len(named)} places.", f"Say a number: {_where(shown)}")
    return named[0]


def _where(shown: Arbitration) -> str:
    return f"`bailiwick conflicts show {shown.id}` names the places."


def _keep(invocation: Invocation, those: Ruling, shown: Arbitration, path: str, asked: Asked) -> None:
    """Keep what is chosen so far, and say what is open."""
    if not asked.dry_run:
        those.service.save_draft(shown)
    names = [place_name(shown.decisions[number]) for number in shown.open]
    kept = "would be kept" if asked.dry_run else "is kept"
    if not names:
        told = [f"{path}: nothing is open, and your draft {kept}; `--take merged` applies it."]
    else:
        count = counted(len(names), "place")
        told = [f"{path}: {count} still open, your draft {kept}.", *(f"  {each}" for each in names)]
    answer(invocation, _document(shown, applied=False), told)


def _document(shown: Arbitration, *, applied: bool) -> dict[str, object]:
    ordinals = {number: ordinal for ordinal, (number, _) in enumerate(places(shown.decisions), 1)}
    return {
        "id": shown.id,
        "path": shown.path,
        "applied": applied,
        "open": [{"number": ordinals[number], "path": shown.decisions[number].path} for number in shown.open],
    }


def _applied(done: Applied | Moved, path: str) -> Applied:
    # Imported here, as the service is.
    from core.conflicts.summaries import Moved

    if not isinstance(done, Moved):
        return done
    moved = done.arbitration
    if moved.status is ConflictStatus.RESOLVED:
        raise StateConflict(
            f"{path} was ruled on meanwhile, and nothing was written.",
            f"`bailiwick conflicts show {moved.id}` shows how; `reopen` opens it again.",
        )
    names = [place_name(moved.decisions[number]) for number in moved.reopened]
    where = f" at {', '.join(names)}" if names else ""
    raise StateConflict(
        f"{path} was changed meanwhile{where}: {counted(done.reopened, 'place')} open again, and nothing was written.",
        f"`bailiwick conflicts show {moved.id}` shows what it is now.",
        {"open": names, "expect": expectation(moved)},
    )


def _resolve_many(
    invocation: Invocation, those: Ruling, found: list[str], asked: Asked, by: Actor, *, yes: bool
) -> None:
    if asked.file or asked.places or asked.draft or asked.expect or asked.take not in _SIDES:
        raise InvalidInput("Of many conflicts the same side is taken.", f"--take {'|'.join(_SIDES)}, and nothing else.")
    if not (yes or asked.dry_run or sys.stdin.isatty()):
        raise InvalidInput("Without a terminal nobody can be asked.", "Say --yes, or --dry-run to look first.")
    took = _SIDES[asked.take]
    previews = [] if yes and not asked.dry_run else those.service.preview_many(found, took)
    told = [preview_line(each, readable_path(those.agentfs, each.path)) for each in previews]
    if asked.dry_run:
        answer(invocation, {"previews": previews}, told or ["Nothing is in conflict."])
        return
    if previews:
        for line in told:
            invocation.say(printable(line))
        ruled = sum(not each.refused for each in previews)
        if not click.confirm(f"Take {asked.take} in {counted(ruled, 'conflict')}?", err=True):
            raise InvalidInput("Nothing was resolved.")
    report = Report()
    results = those.service.resolve_many(
        found,
        took,
        by=by,
        why=asked.why,
        progress=lambda done, total: report.advance("ruling", done, total),
    )
    report.end()
    _answer_many(invocation, those, results)


def _answer_many(invocation: Invocation, those: Ruling, results: list[Applied | Refused]) -> None:
    # Imported here, as the service is.
    from core.conflicts.summaries import Refused

    lines: list[str] = []
    resolved: list[dict[str, object]] = []
    refused: list[Refused] = []
    for each in results:
        path = readable_path(those.agentfs, each.path)
        if isinstance(each, Refused):
            refused.append(each)
            lines.append(f"{path}  stays open: {each.why}")
        else:
            resolved.append({"id": each.id, "path": each.path, "outcome": outcome_json(each.outcome)})
            lines.append(f"{path}  {outcome_text(each.outcome, short=True)}")
    lines.append(f"{counted(len(resolved), 'conflict')} resolved, {len(refused)} left open.")
    answer(invocation, {"resolved": resolved, "refused": refused}, lines)
    if refused:
        raise click.exceptions.Exit(InvalidInput.exit_code)
