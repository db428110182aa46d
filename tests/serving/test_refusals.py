"""Who is turned away at the door leaves a record with the address it came from, and no secret comes back."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from core.agent_model import AuditFilters
from core.events import Event, EventBus, Notice, ProblemFound
from core.model import Problem
from core.privacy import scrub
from tests.agentfs.canaries import new_canary
from tests.workspace.engines import opened, until


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ({"Origin": "https://lighthouse.dev"}, "origin"),
        ({"Host": "lighthouse.dev"}, "host"),
        ({"Authorization": "Bearer wrong"}, "token"),
    ],
)
def test_a_refusal_at_the_door_is_in_the_audit_trail(tmp_path: Path, headers: dict[str, str], rule: str) -> None:
    with opened(tmp_path / "w") as workspace:
        holder = workspace.engine_holder()
        assert holder is not None
        described = json.loads((tmp_path / "w" / "engine.json").read_text())
        connection = http.client.HTTPConnection("127.0.0.1", described["port"], timeout=10)
        sent = {"Authorization": f"Bearer {described['token']}"} | headers
        for _ in range(3):
            connection.request("POST", "/counts", b"{}", sent)
            assert connection.getresponse().status in (401, 403)
            connection.close()
        audit = workspace.agentfs.audit
        records = audit.at(list(audit.matching(AuditFilters(action="access.deny"))))
        assert {record.details["rule"] for record in records} == {rule}
        assert str(records[0].details["peer"]).startswith("127.0.0.1:")
        until(lambda: workspace.agentfs.audit_check.verify().whole, "the signed head")


def test_an_unknown_way_of_unlocking_is_bad_input_and_not_repeated(tmp_path: Path) -> None:
    canary = new_canary()
    with opened(tmp_path / "w"):
        described = json.loads((tmp_path / "w" / "engine.json").read_text())
        connection = http.client.HTTPConnection("127.0.0.1", described["port"], timeout=10)
        body = json.dumps({"way": canary, "given": canary})
        connection.request("POST", "/unlock_keys", body, {"Authorization": f"Bearer {described['token']}"})
        response = connection.getresponse()
        told = response.read().decode()
        connection.close()
    assert (response.status, json.loads(told)["error"]) == (422, "The keys are not unlocked in that way.")
    assert "passphrase" in json.loads(told)["hint"]
    assert canary not in told


def test_events_bring_no_secrets() -> None:
    canary, heard = new_canary(), list[Event]()
    bus = EventBus(scrub)
    bus.subscribe(heard.append)
    bus.publish(Notice(f"It failed with token {canary}"))
    bus.publish(ProblemFound(Problem("notes.md", f"holds {canary}")))
    assert len(heard) == 2
    assert canary not in repr(heard)
