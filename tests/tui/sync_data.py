"""Synchronising by hand-made values: a remote in every state, and a sync that does what it is told to."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agent_data import NOW

from core.crypto.secret import Secret
from core.errors import BailiwickError, Unreachable
from core.events import EventBus, SyncChanged
from core.sync.joining import Founded, Joined, JoinWay
from core.sync_model import (
    Area,
    AreaKind,
    AreaStatus,
    Change,
    Damage,
    DamageKind,
    DataVolume,
    DeviceStatus,
    Direction,
    NetworkQuality,
    NetworkSample,
    Operations,
    PlannedChange,
    RemoteStatus,
    Repair,
    Spending,
    StrategyChoice,
    SyncActivity,
    SyncPlan,
    SyncRun,
    SyncStatus,
    SyncStrategy,
    Transfer,
    UserTier,
    Verification,
)

if TYPE_CHECKING:
    from tui.panes.sync_reading import Advance

CODE = "ABCD-EFGH-JKMN-PQRS"
LIBRARY = "libraries/python"
URL = "s3://workflow-docs?profile=r2"
QUALITIES = "EEEEGGGEEGGPPPGGGEEEGGPPXXXPPGGGEEEEGGGGGEEEGGGG"


def ago(at: datetime, seconds: float) -> datetime:
    """A moment before."""
    return at - timedelta(seconds=seconds)


def samples(at: datetime) -> tuple[NetworkSample, ...]:
    """An afternoon with a gap in it."""
    of = {
        "E": (NetworkQuality.EXCELLENT, 24.0, 0.0),
        "G": (NetworkQuality.GOOD, 61.0, 0.0),
        "P": (NetworkQuality.POOR, 640.0, 0.2),
        "X": (NetworkQuality.OFFLINE, None, 1.0),
    }
    return tuple(
        NetworkSample(
            ago(at, 30 * (len(QUALITIES) - number)), quality, trip and trip + number % 5 * 3, trip and 3.1e6, failed
        )
        for number, (quality, trip, failed) in enumerate(of[letter] for letter in QUALITIES)
    )


def run(
    at: datetime, seconds: float, *, sent: int = 3, received: int = 1, problem: str = "", cure: str = ""
) -> SyncRun:
    """One sync that ended."""
    operations = Operations(sent + 1, 2 + received, 0, 40_000, 9000)
    why = "something changed" if sent else "looking for news"
    return SyncRun(
        ago(at, seconds), 1.4, why, SyncStrategy.ADAPTIVE, sent, received, 0, operations, 0.0000192, problem, cure
    )


def synced(at: datetime = NOW) -> SyncStatus:
    """Everything is where it belongs."""
    return SyncStatus(
        SyncActivity.IDLE,
        RemoteStatus(URL, "R2", "many", "w" * 26, ago(at, 40 * 86_400)),
        StrategyChoice(
            SyncStrategy.ADAPTIVE,
            "Pro on a good network with little waiting: small things at once, large ones in quiet moments.",
            UserTier.PRO,
            NetworkQuality.GOOD,
            DataVolume.LOW,
            ago(at, 750),
        ),
        areas=(
            AreaStatus(Area(AreaKind.USER, "ada"), 412, 0, 0, 0, ago(at, 12)),
            AreaStatus(Area(AreaKind.TEAM, "harbour"), 57, 0, 0, 0, ago(at, 12)),
            AreaStatus(Area(AreaKind.SHARED), 1204, 0, 0, 31, ago(at, 13)),
        ),
        devices=(
            DeviceStatus("d1aaaaaaaaaaaaaaaaaaaaaaaa", "workshop", "ada", True, 301, ago(at, 95), 4120),
            DeviceStatus("d2aaaaaaaaaaaaaaaaaaaaaaaa", "laptop", "ada", False, 111, ago(at, 3700), 980),
            DeviceStatus("d3aaaaaaaaaaaaaaaaaaaaaaaa", "pier", "mara", False, 57, ago(at, 86_400 * 2), 410),
        ),
        network=samples(at),
        runs=(run(at, 12, sent=0, received=0), run(at, 95), run(at, 400, sent=0, received=12)),
        spending=Spending("2026-01", Operations(1204, 30_120, 40, 3_400_000, 12_500_000), 0.0163, 5.0, False),
        next_at=at + timedelta(seconds=42),
    )


def busy(at: datetime = NOW) -> SyncStatus:
    """Much of everything: transfers, waiting, an audit that was cut, conflicts, and a run that failed."""
    whole = synced(at)
    areas = (
        replace(whole.areas[0], waiting=12, waiting_bytes=3_560_000),
        replace(whole.areas[1], waiting=1, waiting_bytes=900, problem="mara's card is not known here."),
        whole.areas[2],
    )
    cut = "its audit was truncated: records 381 to 410 are gone since its commit 55"
    failed = run(
        at,
        700,
        problem="The remote does not let this key list the bucket (403 AccessDenied).",
        cure="Give the token the right to list; `bailiwick remote probe` checks it.",
    )
    return replace(
        whole,
        activity=SyncActivity.SYNCING,
        areas=areas,
        devices=(*whole.devices[:2], replace(whole.devices[2], problem=cut)),
        transfers=(
            Transfer(
                "t1", "u-ada", "libraries/python/kettle/v1.2.0/kettle.json", Direction.UP, 1_300_000, 2_900_000, 310e3
            ),
            Transfer("t2", "shared", "libraries/python/teapot/v0.9/teapot.json", Direction.DOWN, 220_000, 0, 88e3),
        ),
        runs=(*whole.runs, failed),
        open_conflicts=2,
        next_at=None,
    )


def queued() -> tuple[PlannedChange, ...]:
    """What waits, and what is known but not here."""
    return (
        PlannedChange("u-ada", Direction.UP, Change.PUT, "agents/planner/state/plan/today", 2100),
        PlannedChange("u-ada", Direction.UP, Change.PUT, "notes/harbour.md", 18_000, "waits for the keys"),
        PlannedChange("u-ada", Direction.UP, Change.DELETE, "notes/old.md", 0),
        PlannedChange("shared", Direction.DOWN, Change.PUT, "libraries/python/teapot/v0.9/teapot.json", 2_400_000),
        PlannedChange("shared", Direction.DOWN, Change.PUT, "libraries/python/kettle/v1.1.0/kettle.json", 990_000),
    )


def planned() -> SyncPlan:
    """What a sync would do."""
    conflict = PlannedChange(
        "u-ada", Direction.DOWN, Change.CONFLICT, "notes/tides.md", 400, "changed here and on laptop"
    )
    return SyncPlan((*queued()[:4], conflict), Operations(5, 4), 0.0000239)


DAMAGES = (
    Damage(
        DamageKind.MISSING,
        ".bailiwick/blobs/u-ada/3f/3f9c2a",
        "Commit 311 names it, and it is not there.",
        "`bailiwick repair` sends it again: this device has the bytes.",
    ),
    Damage(
        DamageKind.DAMAGED,
        ".bailiwick/log/shared/000000000087",
        "Its bytes are not those that commit 88 was made on.",
        "`bailiwick repair` on a device that has seen commit 87.",
    ),
)


class FakeSync:
    """Answers what it was given; every call is noted in ``calls``."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self.now = SyncStatus(SyncActivity.NO_REMOTE, RemoteStatus())
        self.waits: tuple[PlannedChange, ...] = ()
        self.calls: list[str] = []
        self.refusal: BailiwickError | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.damages = DAMAGES
        self.approved = threading.Event()

    def become(self, status: SyncStatus) -> None:
        """Change how it stands, and tell."""
        self.now = status
        self._bus.publish(SyncChanged())

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.refusal is not None:
            raise self.refusal

    def status(self) -> SyncStatus:
        return self.now

    def queue(self, limit: int) -> tuple[PlannedChange, ...]:
        return self.waits[:limit]

    def plan(self) -> SyncPlan:
        self._call("plan")
        return planned()

    def sync_now(self, why: str) -> SyncRun:
        self._call(f"sync: {why}")
        return run(NOW, 0)

    def pause(self) -> None:
        self._call("pause")
        self.become(replace(self.now, activity=SyncActivity.PAUSED))

    def resume(self) -> None:
        self._call("resume")
        self.become(replace(self.now, activity=SyncActivity.IDLE))

    def choose(self, strategy: SyncStrategy | None) -> None:
        self._call(f"choose {strategy}")

    def answer(self, yes: bool) -> None:
        self._call(f"answer {yes}")
        self.become(replace(self.now, asks=""))

    def cancel(self) -> None:
        self._call("cancel")

    def fetch(self, path: str) -> None:
        self._call(f"fetch {path}")

    def verify(self, progress: Advance | None = None) -> Verification:
        self._call("verify")
        self._advance("u-ada", progress)
        return Verification(1673, 2210, 48_000_000, self.damages, Operations(3, 1702))

    def repair(self, progress: Advance | None = None) -> Repair:
        self._call("repair")
        self._advance("u-ada", progress)
        return Repair(self.damages[:1], self.damages[1:])

    def _advance(self, what: str, progress: Advance | None) -> None:
        """Report until the gate opens."""
        done = 0
        while progress is not None:
            done += 1
            progress(what, min(done, 99), 100)
            if self.gate.wait(0.01):
                return

    def set_remote(self, url: str) -> Founded:
        self._call(f"set {url}")
        self.become(synced())
        return Founded("w" * 26, Secret(CODE), "many", 0)

    def ask_to_join(self, url: str) -> Secret:
        self._call(f"ask {url}")
        return Secret("0123-4567-89AB")

    def join(self, url: str, way: JoinWay, given: Secret | None = None) -> Joined:
        self._call(f"join {url} {way} {given.text() if given is not None else ''}")
        if way is JoinWay.APPROVAL and not self.approved.is_set():
            raise Unreachable("No other device has approved yet.")
        self.become(synced())
        return Joined("w" * 26, 2, 0)
