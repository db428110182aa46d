"""What the conflicts pane has done in the workspace: opened, kept as a draft, applied, taken back, opened again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from core.conflicts.summaries import Applied, Moved, Refused
from core.errors import BailiwickError
from tui.amounts import counted
from tui.locking import sentence
from tui.panes.conflicts_reading import ConflictsWorkspace, read_one, with_names
from tui.pooled import in_pool
from tui.widgets.conflict_words import about, counts_text

if TYPE_CHECKING:
    from textual.timer import Timer

    from core.conflicts.arbitration import Arbitration
    from core.conflicts.service import ConflictService
    from tui.panes.conflicts import ConflictsPane

T = TypeVar("T")
DRAFT_SECONDS = 0.25


class ConflictWork:
    """For the screen's thread alone; what touches the workspace runs in its pool, drafts and rulings one by one."""

    def __init__(self, pane: ConflictsPane, workspace: ConflictsWorkspace) -> None:
        self._pane = pane
        self._workspace = workspace
        self._one_by_one = threading.Lock()
        self._unkept: Arbitration | None = None
        self._newest: Arbitration | None = None
        self._draft_due: Timer | None = None
        self._opening = 0
        self._busy = False
        self.applied: list[str] = []
        """The ids of the conflicts that were ruled on here, the last one last."""

    @property
    def service(self) -> ConflictService:
        """The conflicts of the workspace."""
        return self._workspace.conflicts

    @property
    def is_ruling(self) -> bool:
        """Whether a result is being applied."""
        return self._busy

    @property
    def workspace(self) -> ConflictsWorkspace:
        """The workspace, for dialogs."""
        return self._workspace

    # Opening

    def open(self, identifier: str, taken: Callable[[Arbitration], None]) -> None:
        """Open a conflict; of two the one that was asked for later counts."""
        self._opening += 1
        self._run(self._open(identifier, taken, self._opening))

    async def _open(self, identifier: str, taken: Callable[[Arbitration], None], number: int) -> None:
        keep = self._keeping()

        def read() -> Arbitration:
            keep()
            return read_one(self._workspace, identifier)

        found = await self._done(read)
        if found is not None and number == self._opening:
            taken(found)

    def forget_opening(self) -> None:
        """What is being opened is not wanted any more."""
        self._opening += 1

    def look_again(self, arbitration: Arbitration, moved: Callable[[Arbitration], None]) -> None:
        """See whether a side moved while somebody rules; what was chosen is kept first."""
        keep = self._keeping()

        def look() -> Arbitration | None:
            keep()
            found = self.service.open(arbitration.id)
            same = found.exchanged == arbitration.exchanged and found.versions == arbitration.versions
            return None if same and found.status is arbitration.status else with_names(self._workspace, found)

        def take(found: Arbitration | None) -> None:
            now = self._pane.desk.arbitration
            if found is None or now is None or now.id != arbitration.id:
                return
            if now is arbitration:
                moved(found)
            else:
                # Something was chosen meanwhile: that is carried over, too.
                self.look_again(now, moved)

        self._pane.fetch("again", look, take)

    # Drafts

    def keep(self, arbitration: Arbitration) -> None:
        """Keep what is chosen, a moment later: of choices that follow each other quickly only the last is written."""
        self._unkept = self._newest = arbitration
        if self._draft_due is None:
            self._draft_due = self._pane.set_timer(DRAFT_SECONDS, self.keep_now)

    def keep_now(self) -> None:
        """Keep what is chosen without delay."""
        if self._unkept is not None:
            self._pane.fetch(f"draft {self._unkept.id}", self._keeping(), lambda _: None)

    def keep_at_the_end(self) -> None:
        """Keep what is chosen before this returns: the screen is gone, and the pool takes no more jobs soon."""
        with contextlib.suppress(BailiwickError):
            self._keeping()()

    def _keeping(self) -> Callable[[], None]:
        """What keeps what is not kept yet, unless something newer was chosen or ruled by then."""
        arbitration = self._take_unkept()

        def save() -> None:
            with self._one_by_one:
                if arbitration is not None and arbitration is self._newest:
                    self.service.save_draft(arbitration)

        return save

    def _take_unkept(self) -> Arbitration | None:
        if self._draft_due is not None:
            self._draft_due.stop()
        arbitration, self._unkept, self._draft_due = self._unkept, None, None
        return arbitration

    # Rulings

    def apply(
        self, arbitration: Arbitration, done: Callable[[], None], moved: Callable[[Arbitration, int], None]
    ) -> None:
        """Have the result hold; ``moved`` is told the conflict as it is now where a side moved meanwhile."""
        if not self._busy:
            self._busy = True
            self._take_unkept()
            self._newest = None
            self._run(self._apply(arbitration, done, moved))

    async def _apply(
        self, arbitration: Arbitration, done: Callable[[], None], moved: Callable[[Arbitration, int], None]
    ) -> None:
        by = self._workspace.person

        def rule() -> Applied | Moved:
            with self._one_by_one:
                ruled = self.service.apply(arbitration, by=by)
            if isinstance(ruled, Moved):
                return Moved(with_names(self._workspace, ruled.arbitration), ruled.reopened)
            return ruled

        ruled = await self._done(rule)
        self._busy = False
        if ruled is None:
            self.keep(arbitration)
        elif isinstance(ruled, Moved):
            moved(ruled.arbitration, ruled.reopened)
        else:
            self.applied.append(ruled.id)
            taken = "written by hand" if arbitration.is_written else counts_text(arbitration.counts)
            key = self._pane.bailiwick.key_of("conflicts.undo")
            self._say(f"{about(ruled)}: {taken}. {key} takes it back.")
            done()

    def undo_applied(self, identifier: str, done: Callable[[], None]) -> None:
        """Bring back what stood before a ruling, and open the conflict again."""
        self._run(self._undo_applied(identifier, done))

    async def _undo_applied(self, identifier: str, done: Callable[[], None]) -> None:
        by = self._workspace.person
        undone = await self._done(partial(self.service.undo_applied, identifier, by=by))
        if undone is not None:
            self.applied = [each for each in self.applied if each != identifier]
            self._say(f"{about(undone)} is as it was before, and its conflict is open again.")
            done()

    def reopen(self, identifier: str, done: Callable[[Arbitration], None]) -> None:
        """Open what was settled."""
        self._run(self._reopen(identifier, done))

    async def _reopen(self, identifier: str, done: Callable[[Arbitration], None]) -> None:
        by = self._workspace.person
        found = await self._done(lambda: with_names(self._workspace, self.service.reopen(identifier, by=by)))
        if found is not None:
            self._say(f"The conflict about {about(found)} is open again; what stands there stands until then.")
            done(found)

    def ruled_many(self, outcomes: list[Applied | Refused]) -> None:
        """Say how a ruling on many went."""
        ruled = [each.id for each in outcomes if isinstance(each, Applied)]
        refused = [each for each in outcomes if isinstance(each, Refused)]
        self.applied += ruled
        key = self._pane.bailiwick.key_of("conflicts.undo")
        told = f"{counted(len(ruled), 'conflict')} ruled on." + (f" {key} takes the last back." if ruled else "")
        if refused:
            told += f" {len(refused):,} left open: {about(refused[0])}: {refused[0].why}"
        self._say(told, failed=bool(refused))

    # How it is run

    def _run(self, work: Coroutine[None, None, None]) -> None:
        self._pane.run_worker(work)

    async def _done(self, job: Callable[[], T]) -> T | None:
        """What ``job`` answers; ``None`` where it was refused, which is said."""
        try:
            return await in_pool(self._workspace.pool, job)
        except BailiwickError as error:
            self._say(sentence(error, self._pane.app), failed=True)
            return None

    def _say(self, text: str, *, failed: bool = False) -> None:
        self._pane.notify(text, severity="warning" if failed else "information", markup=False, timeout=10)
