"""What synchronising did, cost and measured, kept so that every process and every start can show it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.model import JSONObject
from core.sync_model import (
    DataVolume,
    Direction,
    NetworkQuality,
    NetworkSample,
    Operations,
    StrategyChoice,
    SyncActivity,
    SyncRun,
    SyncStrategy,
    Transfer,
    UserTier,
)

_KEPT = {"run": 500, "network": 2000, "strategy": 500}


class SyncHistory:
    """Safe from any thread and process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Runs, samples and choices

    def add_run(self, run: SyncRun) -> None:
        """Keep a run that ended."""
        self._add("run", run.started_at, asdict(run))

    def count(self, operations: Operations) -> None:
        """Count requests to this month's."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO sync_usage (month, class_a, class_b, free, bytes_up, bytes_down)"
                " VALUES (:month, :class_a, :class_b, :free, :bytes_up, :bytes_down)"
                " ON CONFLICT (month) DO UPDATE SET class_a = class_a + excluded.class_a,"
                " class_b = class_b + excluded.class_b, free = free + excluded.free,"
                " bytes_up = bytes_up + excluded.bytes_up, bytes_down = bytes_down + excluded.bytes_down",
                {"month": this_month(), **asdict(operations)},
            )

    def used(self) -> Operations:
        """This month's requests."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute(
                    "SELECT class_a, class_b, free, bytes_up, bytes_down FROM sync_usage WHERE month = ?",
                    (this_month(),),
                )
                .fetchone()
            )
        return Operations(*row) if row is not None else Operations()

    def runs(self, limit: int = 50) -> tuple[SyncRun, ...]:
        """The newest runs, newest first."""
        return tuple(_run(body) for body in self._newest("run", limit))

    def add_sample(self, sample: NetworkSample) -> None:
        """Keep what was measured."""
        self._add("network", sample.at, asdict(sample))

    def samples(self, limit: int = 120) -> tuple[NetworkSample, ...]:
        """The newest samples, oldest first."""
        return tuple(_sample(body) for body in reversed(self._newest("network", limit)))

    def add_choice(self, choice: StrategyChoice) -> None:
        """Keep which strategy was chosen, and why."""
        self._add("strategy", choice.since, asdict(choice))

    def choices(self, limit: int = 20) -> tuple[StrategyChoice, ...]:
        """The newest choices, newest first."""
        return tuple(_choice(body) for body in self._newest("strategy", limit))

    def _add(self, noun: str, at: datetime, told: dict[str, Any]) -> None:
        body = json.dumps(told, default=_plain, sort_keys=True)
        with self._database.transaction() as connection:
            position = connection.execute(
                "INSERT INTO sync_history (noun, at, body) VALUES (?, ?, ?)", (noun, to_text(at), body)
            ).lastrowid
            connection.execute(
                "DELETE FROM sync_history WHERE noun = ? AND position <= ("
                " SELECT position FROM sync_history WHERE noun = ? ORDER BY position DESC LIMIT 1 OFFSET ?)",
                (noun, noun, _KEPT[noun]),
            )
            assert position is not None

    def _newest(self, noun: str, limit: int) -> list[Any]:
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT body FROM sync_history WHERE noun = ? ORDER BY position DESC LIMIT ?", (noun, limit)
            )
            return [json.loads(row["body"]) for row in rows]

    # What happens now

    def tell(self, told: JSONObject) -> None:
        """Say what happens now, for every process to see."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO sync_live (only, number, at, body) VALUES (1, 1, ?, ?) ON CONFLICT (only) DO UPDATE SET"
                " number = number + 1, at = excluded.at, body = excluded.body",
                (to_text(now()), to_json(dict(told))),
            )

    def told(self) -> dict[str, Any]:
        """What was said last; empty where nothing was."""
        with translated(self._database.path):
            row = self._database.connection().execute("SELECT at, body FROM sync_live").fetchone()
        return {**json.loads(row["body"]), "at": row["at"]} if row is not None else {}


def this_month() -> str:
    """The month, in UTC, as ``2026-11``."""
    return now().strftime("%Y-%m")


def transfers_of(told: dict[str, Any]) -> tuple[Transfer, ...]:
    """The transfers in what was told."""
    return tuple(
        Transfer(
            each["id"],
            each["area"],
            each["label"],
            Direction(each["direction"]),
            each["done"],
            each["total"],
            each["rate"],
        )
        for each in told.get("transfers", [])
    )


def activity_of(told: dict[str, Any]) -> SyncActivity:
    """The activity in what was told."""
    return SyncActivity(told.get("activity", SyncActivity.IDLE))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return to_text(value)
    raise TypeError(type(value).__name__)


def _run(body: Any) -> SyncRun:
    return SyncRun(
        **{
            **body,
            "started_at": from_text(body["started_at"]),
            "strategy": SyncStrategy(body["strategy"]),
            "operations": Operations(**body["operations"]),
        }
    )


def _sample(body: Any) -> NetworkSample:
    return NetworkSample(**{**body, "at": from_text(body["at"]), "quality": NetworkQuality(body["quality"])})


def _choice(body: Any) -> StrategyChoice:
    return StrategyChoice(
        SyncStrategy(body["strategy"]),
        body["reason"],
        UserTier(body["tier"]),
        NetworkQuality(body["network"]),
        DataVolume(body["volume"]),
        from_text(body["since"]),
        body["forced"],
    )
