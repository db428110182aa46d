"""What is shown of decisions says what they say: nothing is left out of a result, no line of a side is lost."""

from __future__ import annotations

import json
import random

import pytest

from core.conflicts.merging.automatic import merge
from core.conflicts.merging.decisions import Choice, Choosing, Decisions, resolve
from core.conflicts.merging.line_changes import LineMark, line_changes
from core.conflicts.merging.outline import Equal, Place, is_equal, outline, result_lines
from core.conflicts.merging.text_merge import Mark, lines
from core.model import JSONValue

WORDS = ("tide", "pier", "crane", "net", "buoy", "  ", "six", "-")
CHOICES = (Choice.LOCAL, Choice.REMOTE, Choice.BASE, Choice.UNRESOLVED)


def text_of(chance: random.Random, count: int) -> str:
    made = (" ".join(chance.choices(WORDS, k=chance.randrange(5))) for _ in range(count))
    return "".join(f"{line}\n" for line in made).removesuffix("\n" if chance.random() < 0.3 else "\0")


def value_of(chance: random.Random, depth: int = 3) -> JSONValue:
    kind = chance.randrange(5 if depth else 2)
    if kind == 0:
        return chance.choice((1, 2, True, None, "a", "b"))
    if kind == 1:
        return chance.choice(("one\ntwo\n", "one\n", 3.5))
    if kind == 2:
        return [value_of(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 3:
        names = chance.sample("pqrs", chance.randrange(4))
        return [{"id": name, "value": value_of(chance, depth - 1)} for name in names]
    return {name: value_of(chance, depth - 1) for name in chance.sample("uvwx", chance.randrange(4))}


def chosen(chance: random.Random, decisions: Decisions) -> Decisions:
    choosing = Choosing(decisions)
    for number in range(len(decisions.decisions)):
        choosing = choosing.choose([number], chance.choice(CHOICES))
    return choosing.decisions


@pytest.mark.parametrize("seed", range(40))
def test_the_lines_of_a_json_result_are_that_result(seed: int) -> None:
    chance = random.Random(seed)
    versions = [json.dumps({"of": value_of(chance), "and": value_of(chance)}).encode() for _ in range(3)]
    decisions = chosen(chance, merge(*versions).decisions)
    shown = result_lines(decisions)
    assert json.loads("\n".join(line.text for line in shown if not line.is_nothing)) == resolve(decisions).content
    changed = {each.number for each in outline(decisions) if isinstance(each, Place)}
    assert changed == set(range(len(decisions.decisions)))


@pytest.mark.parametrize("seed", range(40))
def test_the_lines_of_a_text_are_its_result_and_every_place_is_seen(seed: int) -> None:
    chance = random.Random(seed)
    versions = [text_of(chance, chance.randrange(1, 14)).encode() for _ in range(3)]
    decisions = merge(*versions).decisions
    if decisions.form != "text":
        return
    decisions = chosen(chance, decisions)
    shown = result_lines(decisions)
    content = resolve(decisions).content
    assert isinstance(content, str)
    assert [line.text for line in shown if not line.is_nothing] == [each.removesuffix("\n") for each in lines(content)]
    changed = {number for number, each in enumerate(decisions.decisions) if not is_equal(each)}
    assert {each.number for each in outline(decisions) if isinstance(each, Place)} == changed
    assert {line.number for line in shown} - {None} == changed
    equal = sum(len(each.lines) for each in outline(decisions) if isinstance(each, Equal))
    assert equal == sum(len(lines(str(each.base))) for each in decisions.decisions if is_equal(each))


@pytest.mark.parametrize("seed", range(60))
def test_changes_by_line_hold_both_texts(seed: int) -> None:
    chance = random.Random(seed)
    base, side = (text_of(chance, chance.randrange(12)) for _ in range(2))
    changes = line_changes(base, side)

    def read(marks: tuple[LineMark, ...], left_out: Mark) -> list[str]:
        return [
            "".join(each.text for each in change.words if each.mark is not left_out).removesuffix("\n")
            for change in changes
            if change.mark in marks
        ]

    was, now = ([each.removesuffix("\n") for each in lines(text)] for text in (base, side))
    assert read((LineMark.KEPT, LineMark.CHANGED, LineMark.REMOVED), Mark.ADDED) == was
    assert read((LineMark.KEPT, LineMark.CHANGED, LineMark.ADDED), Mark.REMOVED) == now
    assert [each.at for each in changes] == sorted(each.at for each in changes)
    kept = [each.at for each in changes if each.mark is not LineMark.ADDED]
    assert kept == list(range(len(was)))


def test_a_line_that_was_changed_a_little_stands_for_the_one_before() -> None:
    changes = line_changes("High at noon.\nLow at six.\n", "New first.\nHigh at one.\nLow at six.\n")
    assert [(each.mark, each.at) for each in changes] == [
        (LineMark.ADDED, 0),
        (LineMark.CHANGED, 0),
        (LineMark.KEPT, 1),
    ]
    assert [(each.mark, each.text) for each in changes[1].words if each.mark is not Mark.KEPT] == [
        (Mark.REMOVED, "noon"),
        (Mark.ADDED, "one"),
    ]


def test_nothing_in_common_is_one_line_gone_and_another_new() -> None:
    assert [each.mark for each in line_changes('"open"\n', '"done"\n')] == [LineMark.REMOVED, LineMark.ADDED]
