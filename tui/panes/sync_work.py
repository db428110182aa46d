"""What the sync pane has done when a key asks for it: each on a thread of its own, one at a time, and stoppable."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from core.errors import BailiwickError
from core.sync_model import SyncActivity
from tui.amounts import counted
from tui.bridge import in_thread
from tui.locking import sentence
from tui.panes.sync_reading import Advance, Section, Stopped
from tui.pooled import as_sentence
from tui.printable import printable
from tui.widgets.sync_words import STRATEGIES

if TYPE_CHECKING:
    from core.sync.joining import Founded, Joined
    from core.sync_model import Repair, SyncPlan, SyncRun, SyncStrategy, Verification
    from tui.panes.sync import SyncPane
    from tui.panes.sync_reading import SyncLike

T = TypeVar("T")
WHY = "asked for in the dashboard"
LEAST_GAP_SECONDS = 0.1


class SyncWork:
    """For the screen's thread alone."""

    def __init__(self, pane: SyncPane, sync: SyncLike) -> None:
        self._pane = pane
        self._sync = sync
        self._stop: threading.Event | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something long runs that was asked for here."""
        return self._stop is not None

    def can(self, what: str) -> bool:
        """Whether the method named ``what`` works now."""
        contents = self._pane.contents
        status, remote = contents.status, contents.has_remote
        if status is None:
            return False
        match what:
            case "set_remote":
                return not self.is_busy
            case "join":
                return not self.is_busy and not remote
            case "sync_now":
                resting = status.activity not in (SyncActivity.SYNCING, SyncActivity.PAUSED)
                return remote and resting and not self.is_busy
            case "plan" | "verify" | "repair":
                return remote and not self.is_busy
            case "answer":
                return bool(status.asks)
            case "fetch":
                return bool(contents.fetchable(self._pane.rows.key))
        return remote

    def stop(self) -> None:
        """Give up what runs; what is done stays done."""
        if self._stop is not None:
            self._stop.set()
            self._sync.cancel()
            self._pane.contents.working = "Stopping …"
            self._pane.draw()

    # Long works

    def sync_now(self) -> None:
        """Sync, and say what moved."""

        self._long("Syncing …", lambda _: self._sync.sync_now(WHY), self._tell_run)

    def _tell_run(self, run: SyncRun) -> None:
        if run.problem:
            self._say(f"{run.problem} {run.cure}".strip(), failed=True)
        else:
            self._say(f"{run.sent:,} sent, {run.received:,} received.")

    def plan(self) -> None:
        """Make a plan and show it."""

        def told(plan: SyncPlan) -> None:
            self._pane.contents.plan = plan

        self._pane.contents.plan = None
        self._pane.show_section(Section.PLAN)
        self._long("Looking what a sync would do …", lambda _: self._sync.plan(), told)

    def verify(self) -> None:
        """Check the remote and show what was found."""

        def told(verification: Verification) -> None:
            self._pane.contents.verification, self._pane.contents.repair = verification, None

        self._pane.show_section(Section.VERIFY)
        self._long("Verifying", self._sync.verify, told)

    def repair(self) -> None:
        """Mend the remote, after asking."""
        from tui.screens.confirm import ConfirmScreen

        def told(repair: Repair) -> None:
            self._pane.contents.repair = repair

        def answered(yes: bool | None) -> None:
            if yes and not self.is_busy:
                self._pane.show_section(Section.VERIFY)
                self._long("Repairing", self._sync.repair, told)

        question = (
            "Mend the remote from what this device has? Everything is verified first; missing and damaged objects are "
            "sent again, nothing whole is overwritten. It can be stopped and run again."
        )
        self._pane.app.push_screen(ConfirmScreen(question, "Repair", no="Leave it"), answered)

    def _long(self, name: str, job: Callable[[Advance], T], told: Callable[[T], None]) -> None:
        if not self.is_busy:
            self._pane.run_worker(self._run(name, job, told))

    async def _run(self, name: str, job: Callable[[Advance], T], told: Callable[[T], None]) -> None:
        stop = self._stop = threading.Event()
        contents = self._pane.contents
        contents.working, contents.seen = name, ("", 0, 0)
        self._pane.draw()
        try:
            told(await in_thread(lambda: job(self._advance(stop))))
        except Stopped:
            self._say("Stopped; what is done stays done.")
        except Exception as error:  # noqa: BLE001 - the person gets a sentence, the log the rest
            self._refused(error)
        finally:
            self._stop = None
            contents.working = ""
            if self._pane.is_attached:
                self._pane.draw()
                self._pane.look()

    def _advance(self, stop: threading.Event) -> Advance:
        newest = 0.0

        def advance(what: str, done: int, total: int) -> None:
            nonlocal newest
            if stop.is_set():
                raise Stopped
            moment = time.monotonic()
            if moment - newest >= LEAST_GAP_SECONDS:
                newest = moment
                self._pane.post_message(self._pane.Seen((what, done, total)))

        return advance

    # Short works

    def pause(self) -> None:
        """Pause, or go on."""
        status = self._pane.contents.status
        paused = status is not None and status.activity is SyncActivity.PAUSED
        self._short(self._sync.resume if paused else self._sync.pause)

    def answer(self) -> None:
        """Ask the person what the safety brake asks."""
        from tui.screens.brake import BrakeScreen

        status = self._pane.contents.status

        def answered(yes: bool | None) -> None:
            if yes is not None:
                self._long("Syncing …", lambda _: self._sync.answer(yes), lambda _: None)

        if status is not None and status.asks:
            self._pane.app.push_screen(BrakeScreen(status.asks), answered)

    def fetch(self) -> None:
        """Fetch the content of what is at the cursor."""
        path = self._pane.contents.fetchable(self._pane.rows.key)
        if path:
            self._say(f"Fetching {printable(path)} …")
            self._short(lambda: self._sync.fetch(path))

    def strategy(self) -> None:
        """Choose the strategy, or have it chosen."""
        from tui.screens.choose_strategy import StrategyScreen

        status = self._pane.contents.status

        def chosen(answer: tuple[SyncStrategy | None] | None) -> None:
            if answer is not None:
                self._short(lambda: self._sync.choose(answer[0]))
                name = STRATEGIES[answer[0]] if answer[0] is not None else "chosen by itself"
                self._say(f"The strategy is {name} from now on.")

        self._pane.app.push_screen(StrategyScreen(status.choice if status is not None else None), chosen)

    def set_remote(self) -> None:
        """Found a remote; its recovery code is shown once."""
        from tui.screens.recovery_code import ShownCodeScreen
        from tui.screens.set_remote import SetRemoteScreen

        def founded(answer: Founded | None) -> None:
            if answer is not None:
                self._pane.look()
                self._pane.app.push_screen(ShownCodeScreen(answer.recovery_code))

        self._pane.app.push_screen(SetRemoteScreen(self._sync), founded)

    def join(self) -> None:
        """Join a remote that holds a workspace."""
        from tui.screens.set_remote import JoinScreen

        def joined(answer: Joined | None) -> None:
            if answer is not None:
                self._say(f"Joined; {counted(answer.slots, 'key slot')} came along. The first sync brings the rest.")
                self._pane.look()

        self._pane.app.push_screen(JoinScreen(self._sync), joined)

    def _short(self, job: Callable[[], object]) -> None:
        async def run() -> None:
            try:
                await in_thread(job)
            except Exception as error:  # noqa: BLE001 - the person gets a sentence, the log the rest
                self._refused(error)
            self._pane.look()

        self._pane.run_worker(run())

    def _refused(self, error: Exception) -> None:
        shown: BailiwickError = as_sentence(error)
        self._say(sentence(shown, self._pane.app), failed=True)

    def _say(self, text: str, *, failed: bool = False) -> None:
        self._pane.notify(printable(text), severity="error" if failed else "information", markup=False, timeout=10)
