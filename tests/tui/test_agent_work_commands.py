"""States, messages and leases from the shell."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from commanding import Shell, shell_on


@pytest.fixture
def shell(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace where the agents scout and critic are registered."""
    made = shell_on(tmp_path / "workspace", capfd, monkeypatch)
    made.told("agents", "register", "scout", "--type", "research")
    made.told("agents", "register", "critic", "--type", "validation")
    return made


# States


def test_a_value_is_written_read_compared_and_restored(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"steps": ["read", "write"]}')
    written = shell.json("state", "put", "scout", "plan", f"@{tmp_path / 'plan.json'}")
    assert set(written) >= {"id", "agent_id", "key", "value", "version", "kind", "critical", "updated_at"}
    assert shell.told("state", "put", "scout", "plan", '{"steps": ["read"]}', "--expect", "1") == [
        "plan is at version 2."
    ]
    assert json.loads("\n".join(shell.told("state", "get", "scout", "plan"))) == {"steps": ["read"]}
    got = shell.json("state", "get", "scout", "plan")
    assert (got["value"], got["version"]) == ({"steps": ["read"]}, 2)
    changes = shell.json("state", "diff", "scout", "plan", "1", "2")["changes"]
    assert changes == [{"path": "/steps/1", "difference": "removed", "before": "write", "after": None}]
    assert shell.told("state", "diff", "scout", "plan", "1", "2") == ["removed /steps/1", '  - "write"']
    assert shell.told("state", "diff", "scout", "plan", "2", "2") == ["Versions 2 and 2 of plan are the same."]
    assert shell.json("state", "restore", "scout", "plan", "1")["value"] == {"steps": ["read", "write"]}
    assert shell.json("state", "delete", "scout", "plan") == {"key": "plan", "version": 4}
    versions = shell.json("state", "history", "scout", "plan")["versions"]
    assert [each["operation"] for each in versions] == ["delete", "restore", "put", "put"]
    assert versions[1]["restored_from"] == 1
    assert shell.told("state", "history", "scout", "plan")[2].split()[:4] == ["3", "restore", "of", "1"]
    assert "no state plan" in shell.refused("state", "get", "scout", "plan")["error"]


def test_a_lost_race_tells_the_current_value_and_version(shell: Shell) -> None:
    shell.told("state", "put", "scout", "x", '{"mine": false}')
    refused = shell.refused("state", "put", "scout", "x", "1", "--expect", "0")
    assert set(refused) == {"error", "hint", "value", "version"}
    assert (refused["value"], refused["version"]) == ({"mine": False}, 1)
    assert shell.refused("state", "delete", "scout", "x", "--expect", "7")["version"] == 1
    assert shell.refused("state", "restore", "scout", "x", "1", "--expect", "7")["version"] == 1


def test_kind_flag_and_expiry_of_a_state(shell: Shell) -> None:
    told = ("--kind", "assumption", "--critical", "--expires", "60")
    written = shell.json("state", "put", "scout", "x", "null", *told)
    assert (written["kind"], written["critical"]) == ("assumption", True)
    lasts = datetime.fromisoformat(written["expires_at"]) - datetime.fromisoformat(written["updated_at"])
    assert timedelta(seconds=58) < lasts < timedelta(seconds=61)
    assert shell.json("state", "put", "scout", "x", "null", "--no-critical")["critical"] is False


def test_states_are_listed_by_prefix_without_their_values(shell: Shell) -> None:
    for key in ("plan/a", "plan/b", "other"):
        shell.told("state", "put", "scout", key, "1")
    listed = shell.json("state", "list", "scout", "plan/")["states"]
    assert [each["key"] for each in listed] == ["plan/a", "plan/b"]
    assert "value" not in listed[0]
    assert len(shell.told("state", "list", "scout")) == 4
    assert shell.told("state", "list", "scout", "nothing") == ["scout has no states that begin with nothing."]


def test_what_a_terminal_would_obey_is_shown_and_kept(shell: Shell) -> None:
    hostile = "a\x1b[2Jb\u202ec\x9bd\ne"
    shell.told("state", "put", "scout", "x", json.dumps(hostile))
    assert shell.json("state", "get", "scout", "x")["value"] == hostile
    shell.told("messages", "send", "--from", "scout", "--to", "critic", hostile)
    shell.told("leases", "take", "critic", "src/**", "--reason", hostile)
    shell.told("agents", "heartbeat", "scout", "--note", hostile)
    shell.told("sessions", "start", "scout", "--title", hostile)
    for arguments in (
        ("state", "get", "scout", "x"),
        ("messages", "list"),
        ("messages", "inbox", "critic"),
        ("leases", "list"),
        ("sessions", "list"),
        ("agents", "show", "scout"),
        ("leases", "take", "scout", "src/a"),
        ("conflicts", "list"),
    ):
        _, out, err = shell(*arguments)
        assert not set("\x1b\u202e\x9b") & set(out + err), arguments


def test_a_write_that_comes_too_late_is_kept_where_that_is_asked_for(shell: Shell) -> None:
    shell.told("state", "put", "scout", "plan", '{"a": 1, "b": 1}')
    shell.told("state", "put", "scout", "plan", '{"a": 2, "b": 1}', "--expect", "1")
    late = ("state", "put", "scout", "plan", '{"a": 1, "b": 3}', "--expect", "1")
    assert shell.refused(*late)["hint"].endswith("or have yours kept: `--keep`.")
    (line,) = shell.told(*late, "--keep")
    assert line.startswith("plan is at version 3, merged with what came first (conflict ")
    assert shell.json("state", "get", "scout", "plan")["value"] == {"a": 2, "b": 3}
    kept = shell.json("state", "put", "scout", "plan", '{"a": 9, "b": 1}', "--expect", "1", "--keep")
    assert (kept["written"], kept["version"]) == (False, 3)
    (line,) = shell.told("state", "put", "scout", "plan", '{"a": 9, "b": 1}', "--expect", "1", "--keep")
    assert line.startswith(f"Kept as conflict {kept['conflict']}; version 3 of plan stands until it is ruled on.")
    assert shell.told("state", "put", "scout", "fresh", "1", "--expect", "0", "--keep") == ["fresh is at version 1."]
    assert shell.refused("state", "put", "scout", "plan", "1", "--keep")["hint"] == "Give --expect with --keep."
    shell.told("conflicts", "resolve", kept["conflict"], "--take", "local")
    assert shell.json("state", "get", "scout", "plan")["value"]["a"] == 9


# Messages


def test_a_message_is_followed_from_queued_to_acknowledged(shell: Shell) -> None:
    sent = shell.json("messages", "send", "--from", "scout", "--to", "critic", "look at\nsrc", "--importance", "high")
    assert (sent["sender"], sent["recipient"], sent["content"]) == ("scout", "critic", "look at\nsrc")
    assert (sent["status"], sent["verified"], sent["importance"]) == ("queued", True, "high")
    (fetched,) = shell.json("messages", "inbox", "critic")["messages"]
    assert (fetched["id"], fetched["status"]) == (sent["id"], "delivered")
    assert shell.json("messages", "read", "critic", sent["id"])["messages"][0]["status"] == "read"
    assert shell.json("messages", "inbox", "critic")["messages"] == []
    assert len(shell.json("messages", "inbox", "critic", "--all")["messages"]) == 1
    assert shell.told("messages", "ack", "critic", sent["id"]) == [f"{sent['id']} is acknowledged by critic."]
    shown = shell.json("messages", "show", sent["id"])
    (receipt,) = shown["receipts"]
    assert (receipt["agent"], receipt["status"]) == ("critic", "acknowledged")
    assert receipt["delivered_at"] <= receipt["read_at"] <= receipt["acknowledged_at"]
    lines = shell.told("messages", "show", sent["id"])
    assert lines[0].startswith("scout → critic")
    assert lines[3:5] == ["look at", "src"]
    assert lines[-1].startswith("critic: delivered ")
    assert shell.told("messages", "inbox", "critic") == ["Nothing is unread."]


def test_the_person_speaks_and_is_spoken_to(shell: Shell) -> None:
    sent = shell.json("messages", "send", "--to", "everyone", "--content-json", '{"pause": true}')
    assert (sent["sender"], sent["recipient"], sent["content"]) == ("ada", "everyone", {"pause": True})
    shell.told("messages", "send", "--from", "scout", "--to", "person", "--reply-to", sent["id"], "paused")
    (answered,) = shell.json("messages", "inbox", "person")["messages"]
    assert (answered["sender"], answered["thread_id"]) == ("scout", sent["thread_id"])
    assert shell.json("messages", "ack", "person", answered["id"])["messages"][0]["status"] == "acknowledged"
    assert "yours to read" in shell.refused("messages", "inbox", "person", "--as", "scout")["error"]


def test_the_log_is_filtered(shell: Shell) -> None:
    shell.told("messages", "send", "--from", "scout", "--to", "critic", "--type", "finding", "the Kettle boils")
    shell.told("messages", "send", "--to", "type:research", "the lamp shines")
    first, second = shell.json("messages", "list")["messages"]
    assert [first["sequence"], second["sequence"]] == [1, 2]

    def matching(*filters: str) -> list[int]:
        return [each["sequence"] for each in shell.json("messages", "list", *filters)["messages"]]

    assert matching("-n", "1") == [2]
    assert matching("--agent", "critic") == [1]
    assert matching("--agent", "person") == [2]
    assert matching("--type", "finding") == [1]
    assert matching("--text", "kettle") == [1]
    assert matching("--thread", second["id"]) == [2]
    assert matching("--agent", "scout", "-n", "1") == [2]
    assert shell.told("messages", "list", "--text", "nothing") == ["There are no such messages."]
    assert "scout → critic  [finding]  the Kettle boils  queued" in shell.told("messages", "list")[0]


# Leases


def test_a_lease_is_refused_with_the_holder_until_it_is_given_up(shell: Shell) -> None:
    lease = shell.json("leases", "take", "critic", "src/**", "--seconds", "60", "--reason", "a rename")
    assert (lease["agent"], lease["resource"], lease["mode"], lease["seconds"]) == (
        "critic",
        "src/**",
        "exclusive",
        60,
    )
    refused = shell.refused("leases", "take", "scout", "src/a.py")
    assert set(refused) >= {"holder", "resource", "seconds_left", "next", "conflict", "ruling"}
    assert refused["holder"] == "critic"
    assert 50 < refused["seconds_left"] <= 60
    assert "(a rename)" in refused["error"]
    assert [each["id"] for each in shell.json("leases", "list")["leases"]] == [lease["id"]]
    assert shell.json("leases", "list", "scout")["leases"] == []
    assert shell.told("leases", "list")[1].split()[:3] == ["critic", "src/**", "exclusive"]
    assert shell.json("leases", "release", "critic", "src/**")["ended_because"] == "released"
    assert shell.told("leases", "take", "scout", "src/a.py", "--shared") == ["scout holds src/a.py (shared) for 300 s."]
    assert shell.json("leases", "take", "critic", "src/a.py", "--shared")["mode"] == "shared"


def test_the_supervisor_gives_a_lease_to_who_has_more_say_and_a_person_is_asked_where_nobody_has(shell: Shell) -> None:
    shell.told("leases", "take", "scout", "src/**")
    assert shell.told("leases", "take", "critic", "src/a.py") == ["critic holds src/a.py (exclusive) for 300 s."]
    assert [each["agent"] for each in shell.json("leases", "list")["leases"]] == ["critic"]
    (message,) = shell.json("messages", "inbox", "scout")["messages"]
    assert message["type"] == "claim.ruled"
    assert message["content"]["text"].startswith("The supervisor ruled: your lease on src/** has ended, critic has")
    assert "more say" in message["content"]["text"]
    shell.told("agents", "register", "second", "--type", "validation")
    refused = shell.refused("leases", "take", "second", "src/**")
    assert f"Conflict {refused['conflict']} is open: the person is asked to rule." in refused["error"]
    code, out, _ = shell("conflicts", "list", "--json")
    assert code == 1
    assert [each["path"] for each in json.loads(out)["conflicts"]] == ["claims/src/a.py"]
    shell.told("conflicts", "resolve", refused["conflict"], "--take", "local")
    assert [(each["agent"], each["resource"]) for each in shell.json("leases", "list")["leases"]] == [
        ("second", "src/**")
    ]
