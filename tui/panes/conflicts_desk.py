"""The conflict that somebody rules on: where they stand in it, and what each act makes of it. Draws nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.conflicts.merging.decisions import Choice
from core.conflicts.merging.outline import Place, outline
from core.conflicts.records import ConflictStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.conflicts.arbitration import Arbitration
    from core.conflicts.merging.decisions import Content, Decision


class Desk:
    """Holds one arbitration or none, and the number of the decision at which somebody stands."""

    def __init__(self) -> None:
        self.arbitration: Arbitration | None = None
        self.place: int | None = None
        self.advances = True
        """Whether taking a side goes on to the next open place."""
        self._places: tuple[int, ...] = ()

    @property
    def decision(self) -> Decision | None:
        """The decision at the place."""
        if self.arbitration is None or self.place is None:
            return None
        return self.arbitration.decisions[self.place]

    @property
    def can_choose(self) -> bool:
        """Whether something can be chosen here."""
        is_open = self.arbitration is not None and self.arbitration.status is ConflictStatus.OPEN
        return is_open and self.place is not None

    @property
    def open_elsewhere(self) -> bool:
        """Whether another place than this one is open."""
        return self.arbitration is not None and any(number != self.place for number in self.arbitration.open)

    def lay(self, arbitration: Arbitration) -> None:
        """Put a conflict here; of the one that was here already the place is kept, unless others are open again."""
        same = self.arbitration is not None and self.arbitration.id == arbitration.id
        self.arbitration = arbitration
        parts = outline(arbitration.choosing.decisions)
        self._places = tuple(each.number for each in parts if isinstance(each, Place))
        if not (same and self.place in self._places) or arbitration.reopened:
            first = (*arbitration.reopened, *arbitration.open, *self._places)
            self.place = next((each for each in first if each in self._places), None)

    def clear(self) -> None:
        """Put nothing here."""
        self.arbitration, self.place, self._places = None, None, ()

    def go_to(self, number: int) -> None:
        """Stand at a place."""
        if number in self._places:
            self.place = number

    def step(self, step: int, *, only_open: bool) -> bool:
        """Go to the next or the previous place, around the end; whether there was one."""
        if self.arbitration is None or not self._places:
            return False
        is_open = frozenset(self.arbitration.open)
        wanted = [each for each in self._places if not only_open or each in is_open or each == self.place]
        if len(wanted) < 2:
            return False
        at = wanted.index(self.place) if self.place in wanted else 0
        self.place = wanted[(at + step) % len(wanted)]
        return True

    # Acts; each raises InvalidInput where it cannot be

    def take(self, choice: Choice) -> None:
        """Choose at the place, and go on where that is wanted."""
        self._act(lambda arbitration, place: arbitration.choose([place], choice))
        if self.advances and choice is not Choice.UNRESOLVED:
            self.step(1, only_open=True)

    def both(self) -> None:
        """Take both; again, in the other order. Stays at the place."""
        decision = self.decision
        if decision is not None:
            again = decision.choice is Choice.BOTH_LOCAL_FIRST
            choice = Choice.BOTH_REMOTE_FIRST if again else Choice.BOTH_LOCAL_FIRST
            self._act(lambda arbitration, place: arbitration.choose([place], choice))

    def write(self, content: Content) -> None:
        """Take what was written by hand, and go on where that is wanted."""
        self._act(lambda arbitration, place: arbitration.choose([place], Choice.CUSTOM, content))
        if self.advances:
            self.step(1, only_open=True)

    def whole(self, text: str) -> None:
        """Take over what an editor made of the whole result."""
        self._go_to_change(lambda arbitration: arbitration.with_text(text))

    def rest(self, choice: Choice) -> None:
        """Choose at everything that is open, as one act."""
        self._act(lambda arbitration, _: arbitration.choose_open(choice))

    def undo(self) -> None:
        """Take the last act back, and go where it was."""
        self._go_to_change(lambda arbitration: arbitration.undo())

    def redo(self) -> None:
        """Do again what was taken back, and go where it is."""
        self._go_to_change(lambda arbitration: arbitration.redo())

    def _act(self, act: Callable[[Arbitration, int], Arbitration]) -> None:
        if self.arbitration is not None and self.place is not None:
            self.arbitration = act(self.arbitration, self.place)

    def _go_to_change(self, act: Callable[[Arbitration], Arbitration]) -> None:
        if self.arbitration is None:
            return
        before, self.arbitration = self.arbitration, act(self.arbitration)
        changed = _changed(before.decisions, self.arbitration.decisions)
        if changed and self.place not in changed:
            self.go_to(changed[0])


def _changed(before: Sequence[Decision], after: Sequence[Decision]) -> list[int]:
    return [number for number, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
