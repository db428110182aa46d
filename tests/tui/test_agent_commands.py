"""Agents from the shell: who they are, who acts, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from commanding import Shell, another_process, shell_on

AGENT_KEYS = {
    "id",
    "name",
    "type",
    "capabilities",
    "status",
    "admission",
    "place",
    "reason",
    "last_activity",
    "current_tool",
    "unread",
    "leases",
    "states",
    "session_id",
    "responsibilities",
    "tools",
}


@pytest.fixture
def shell(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace where the agents scout and critic are registered."""
    made = shell_on(tmp_path / "workspace", capfd, monkeypatch)
    made.told("agents", "register", "scout", "--type", "research")
    made.told("agents", "register", "critic", "--type", "validation")
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        ["state", "get", "scout", "x"],
        ["state", "put", "scout", "y", '{"harmless": ["words", 12]}'],
        ["agents", "list"],
        ["messages", "list"],
        ["audit", "verify"],
        ["keys", "list"],
    ],
)
def test_nothing_heavy_is_imported(shell: Shell, arguments: list[str]) -> None:
    shell.told("state", "put", "scout", "x", "1")
    program = (
        "import sys; from tui.commands.run import run; run(sys.argv[1:]);"
        "heavy = {'textual', 'rich', 'duckdb', 'boto3', 'numpy', 'pyarrow', 'psutil'};"
        "heavy |= {'detect_secrets', 'phonenumbers', 'pyrage', 'cryptography', 'keyring'};"
        "print(sorted(set(sys.modules) & heavy))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--workspace", str(shell.root)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("noun", ["agents", "state", "messages", "leases", "sessions", "audit"])
def test_a_noun_alone_says_that_a_command_is_missing(shell: Shell, noun: str) -> None:
    assert shell.refused(noun)["error"] == "Missing command."


def test_looking_makes_no_workspace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = shell_on(tmp_path / "nowhere", capfd, monkeypatch)
    for arguments in (("agents", "list"), ("state", "get", "a", "b"), ("audit", "verify"), ("leases", "list")):
        assert "no workspace" in shell.refused(*arguments)["error"]
    assert not shell.root.exists()


# Agents


def test_registering_makes_an_agent_with_a_key_and_recognises_it_again(shell: Shell) -> None:
    told = ("agents", "register", "poc-1", "--type", "poc", "--client", "editor", "--tool", "grep", "--tool", "sed")
    answer = shell.json(*told, "--responsibility", "src/**", "--capabilities", '{"languages": ["python"]}')
    assert set(answer) == {"agent", "key_path", "created"}
    assert answer["created"] is True
    assert answer["agent"]["capabilities"] == {
        "languages": ["python"],
        "tools": ["grep", "sed"],
        "responsibilities": ["src/**"],
    }
    assert answer["agent"]["client"] == "editor"
    assert Path(answer["key_path"]).stat().st_mode & 0o777 == 0o600
    again = shell.json("agents", "register", "poc-1", "--type", "poc")
    assert (again["created"], again["agent"]["id"]) == (False, answer["agent"]["id"])
    assert again["agent"]["tools"] == ["grep", "sed"]
    assert "recognised" in shell.told("agents", "register", "poc-1", "--type", "poc")[0]


def test_capabilities_come_from_a_file_too(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "can.json").write_text('{"tools": {"bash": {"timeout": 5}}}')
    given = ("--capabilities", f"@{tmp_path / 'can.json'}", "--tool", "grep")
    agent = shell.json("agents", "register", "poc-1", "--type", "poc", *given)["agent"]
    assert agent["capabilities"]["tools"] == {"bash": {"timeout": 5}, "grep": {}}
    assert sorted(agent["tools"]) == ["bash", "grep"]


def test_the_list_shows_what_every_agent_does(shell: Shell) -> None:
    shell.told("state", "put", "scout", "x", "1")
    shell.told("leases", "take", "scout", "src/**")
    shell.told("messages", "send", "--to", "scout", "hello")
    shell.told("agents", "heartbeat", "scout", "--tool", "grep")
    scout, critic = shell.json("agents", "list")["agents"]
    assert set(scout) >= AGENT_KEYS
    assert (scout["name"], scout["status"], scout["current_tool"]) == ("scout", "busy", "grep")
    assert (scout["unread"], scout["leases"], scout["states"]) == (1, 1, 1)
    assert (critic["status"], critic["admission"], critic["place"]) == ("active", "admitted", None)
    moment = datetime.fromisoformat(scout["last_activity"])
    assert moment.utcoffset() == timedelta(0)
    head, first, *_ = shell.told("agents", "list")
    assert head.split()[:4] == ["NAME", "TYPE", "STATUS", "TOOL"]
    assert first.split()[:4] == ["scout", "research", "busy", "grep"]


def test_one_agent_is_shown_with_everything(shell: Shell) -> None:
    shell.told("agents", "heartbeat", "scout", "--status", "error", "--note", "the disk is full")
    shown = shell.json("agents", "show", "scout")
    assert set(shown) >= {*AGENT_KEYS, "key_path", "note"}
    assert (shown["status"], shown["note"]) == ("error", "the disk is full")
    assert any("the disk is full" in line for line in shell.told("agents", "show", shown["id"]))
    assert "Here are: critic, scout." in shell.refused("agents", "show", "nobody")["hint"]


def test_a_waiting_agent_says_its_place_and_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = shell_on(tmp_path / "workspace", capfd, monkeypatch, places=1)
    shell.told("agents", "register", "scout", "--type", "research")
    why = "waits for a place, 1 in line: this machine allows 1 agent at once."
    assert shell.told("agents", "register", "critic", "--type", "validation")[-1] == f"critic {why}"
    assert shell.told("agents", "list")[-1] == f"critic {why}"
    assert shell.told("agents", "heartbeat", "critic") == [f"critic {why}"]
    assert shell.told("agents", "show", "critic")[-1] == f"critic {why}"
    waiting = shell.json("agents", "list")["agents"][1]
    assert (waiting["admission"], waiting["place"]) == ("waiting", 1)
    assert waiting["reason"] == "this machine allows 1 agent at once."
    refused = shell.refused("state", "put", "critic", "x", "1")
    assert refused["place"] == 1
    assert why in refused["error"]
    shell.told("agents", "retire", "scout")
    assert shell.json("state", "put", "critic", "x", "1")["version"] == 1


def test_a_retired_agent_is_told_of_with_the_reason(shell: Shell) -> None:
    assert shell.told("agents", "retire", "critic", "--reason", "merged into scout") == ["critic is retired."]
    assert shell.refused("messages", "send", "--to", "critic", "hello")["error"] == (
        "critic was retired (merged into scout)."
    )
    assert [each["name"] for each in shell.json("agents", "list")["agents"]] == ["scout"]
    retired = shell.json("agents", "list", "--all")["agents"][1]
    assert (retired["name"], retired["admission"]) == ("critic", "retired")
    assert "retired" in shell.told("agents", "list", "--all")[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("agents", "register", "everyone", "--type", "poc"), "cannot be an agent's name"),
        (("agents", "register", "x", "--type", "POC"), "cannot be an agent's type"),
        (("agents", "register", "x"), "--type"),
        (("agents", "register", "x", "--type", "poc", "--capabilities", "[]"), "not a JSON object"),
        (("agents", "register", "x", "--type", "poc", "--capabilities", "{"), "not JSON"),
        (("agents", "heartbeat", "nobody"), "no agent nobody"),
        (("agents", "heartbeat", "scout", "--status", "happy"), "happy"),
        (("agents", "retire", "nobody"), "no agent nobody"),
        (("state", "put", "scout", "x", "plain words"), "not JSON (line 1, column 1"),
        (("state", "put", "scout", "x", "NaN"), "not JSON"),
        (("state", "put", "scout", "x", "9" * 5000), "too long"),
        (("state", "put", "scout", "x", "[" * 200_000), "too deep"),
        (("state", "put", "scout", "x", "@missing.json"), "missing.json cannot be read"),
        (("state", "put", "scout", "x", "@"), "cannot be read"),
        (("state", "put", "scout", "", "1"), "cannot be a state's key"),
        (("state", "put", "scout", "x", "1", "--kind", "poem"), "poem"),
        (("state", "put", "scout", "x", "1", "--expires", "0"), "expiry"),
        (("state", "put", "scout", "x", "1", "--expires", "nan"), "expiry"),
        (("state", "put", "scout", "x", f'"{"x" * (1 << 20)}"'), "at most 1,048,576"),
        (("state", "put", "nobody", "x", "1"), "no agent nobody"),
        (("state", "put", "scout", "x", "1", "--as", "nobody"), "no agent nobody"),
        (("state", "get", "scout", "nothing"), "no state nothing"),
        (("state", "delete", "scout", "nothing"), "no state nothing"),
        (("state", "history", "scout", "nothing"), "never had a state"),
        (("state", "diff", "scout", "nothing", "1", "2"), "never had a state"),
        (("state", "diff", "scout", "nothing", "0", "2"), "0 is not in the range"),
        (("state", "restore", "scout", "nothing", "9" * 30), "not in the range"),
        (("messages", "send", "--to", "nobody", "x"), "no agent nobody"),
        (("messages", "send", "--to", "type:poc", "x"), "no agent of type poc"),
        (("messages", "send", "--from", "nobody", "--to", "scout", "x"), "no agent nobody"),
        (("messages", "send", "--to", "scout", "--reply-to", "nothing", "x"), "no message nothing"),
        (("messages", "send", "--to", "scout", "--content-json", "5"), "not a JSON object or array"),
        (("messages", "send", "--to", "scout", "--type", "", "x"), "message's type"),
        (("messages", "send", "--to", "scout", "y" * (1 << 16) * 4), "at most 262,144"),
        (("messages", "show", "nothing"), "no message nothing"),
        (("messages", "ack", "scout", "nothing"), "was sent no message nothing"),
        (("messages", "read", "person", "nothing"), "was sent no message nothing"),
        (("messages", "ack", "scout"), "Missing argument"),
        (("messages", "list", "-n", "0"), "0 is not in the range"),
        (("messages", "inbox", "scout", "-n", "9" * 30), "not in the range"),
        (("leases", "take", "scout", "../x"), "must not contain"),
        (("leases", "take", "scout", ""), "cannot be leased"),
        (("leases", "take", "scout", "x", "--seconds", "0"), "1 to 86,400 seconds"),
        (("leases", "release", "scout", "x"), "holds no lease"),
        (("leases", "list", "nobody"), "no agent nobody"),
        (("leases", "take", "scout", "x", "--reason", "\udcff"), "not valid text"),
        (("agents", "show", "\udcff"), "not valid text"),
        (("state", "put", "scout", "x", "1", "--session", "nothing"), "no session nothing"),
        (("state", "put", "scout", "x", "1", "--as", "person", "--session", "x"), "belong to an agent"),
        (("state", "put", "scout", "x", "1", "--key-file", "missing"), "missing cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in shell.refused(*arguments)["error"]


# Who acts


def last_actor(shell: Shell) -> tuple[str, str, bool, str | None]:
    record = shell.json("audit", "log", "-n", "1")["records"][0]
    return record["actor_kind"], record["actor"], record["verified"], record["session_id"]


def test_the_agent_itself_acts_verified_by_its_key_file(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    scout, critic = (each["id"] for each in shell.json("agents", "list")["agents"])
    shell.told("state", "put", "scout", "x", "1")
    assert last_actor(shell) == ("agent", scout, True, None)
    shell.told("state", "put", "scout", "x", "2", "--as", "person")
    assert last_actor(shell) == ("person", "ada", True, None)
    shell.told("state", "put", "scout", "x", "3", "--as", "critic")
    assert last_actor(shell) == ("agent", critic, True, None)
    monkeypatch.setenv("BAILIWICK_AGENT", "critic")
    shell.told("state", "put", "scout", "x", "4")
    assert last_actor(shell) == ("agent", critic, True, None)
    assert shell.json("messages", "send", "--to", "scout", "hello")["sender"] == "critic"
    assert (
        "speaks only for itself" in shell.refused("messages", "send", "--from", "scout", "--to", "critic", "x")["error"]
    )
    assert "not an agent's" in shell.refused("messages", "inbox", "person")["error"]
    shell.told("messages", "inbox", "person", "--as", "person")
    shell.told("state", "put", "scout", "x", "5", "--as", "person")
    assert last_actor(shell) == ("person", "ada", True, None)


def test_a_key_is_shown_or_the_agent_acts_unverified(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shell.json("agents", "show", "scout")
    key_path, other = Path(shown["key_path"]), tmp_path / "copy.key"
    key = key_path.read_text()
    other.write_text(key)
    key_path.unlink()
    shell.told("state", "put", "scout", "x", "1")
    assert last_actor(shell) == ("agent", shown["id"], False, None)
    message = shell.json("messages", "send", "--from", "scout", "--to", "critic", "hello")
    assert message["verified"] is False
    assert "scout (unverified) → critic" in shell.told("messages", "list")[0]
    assert "(unverified)" in shell.told("audit", "log", "-n", "1")[0]
    shell.told("state", "put", "scout", "x", "2", "--key-file", str(other))
    assert last_actor(shell) == ("agent", shown["id"], True, None)
    assert (
        "not the one of critic" in shell.refused("state", "put", "critic", "x", "1", "--key-file", str(other))["error"]
    )
    monkeypatch.setenv("BAILIWICK_AGENT_KEY", key.strip())
    shell.told("state", "put", "scout", "x", "3")
    assert last_actor(shell) == ("agent", shown["id"], True, None)
    assert "not the one of critic" in shell.refused("state", "put", "critic", "x", "1")["error"]


def test_a_key_file_that_others_may_read_is_refused(shell: Shell) -> None:
    os.chmod(shell.json("agents", "show", "scout")["key_path"], 0o644)
    refused = shell.refused("state", "put", "scout", "x", "1")
    assert "Others may read" in refused["error"]
    assert refused["hint"].startswith("chmod 600 ")


def test_what_an_agent_does_counts_to_its_session(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    session = shell.told("sessions", "start", "scout")[0]
    shell.told("state", "put", "scout", "x", "1", "--session", session)
    assert last_actor(shell)[3] == session
    monkeypatch.setenv("BAILIWICK_SESSION", session)
    shell.told("messages", "send", "--from", "scout", "--to", "critic", "hello")
    shell.told("state", "put", "critic", "x", "1")
    assert last_actor(shell)[3] is None
    assert "a session of scout" in shell.refused("state", "put", "critic", "x", "1", "--session", session)["error"]
    ended = shell.json("sessions", "end", session)
    assert (ended["states"], ended["messages"]) == (1, 1)
    assert "is over" in shell.refused("state", "put", "scout", "x", "1")["error"]


def test_two_shells_talk(shell: Shell) -> None:
    sent = another_process(shell.root, "messages", "send", "--to", "critic", "-", "--json", agent="scout", text="hi\n")
    fetched = another_process(shell.root, "messages", "inbox", "critic", "--json", agent="critic")
    (message,) = json.loads(fetched.stdout)["messages"]
    assert (message["id"], message["sender"], message["content"]) == (json.loads(sent.stdout)["id"], "scout", "hi")
    for number in range(2):
        written = another_process(
            shell.root,
            "state",
            "put",
            "scout",
            "turn",
            "-",
            "--expect",
            "0",
            "--json",
            agent="critic",
            text=f"{number}",
        )
        answer = json.loads(written.stdout)
        assert (written.returncode, answer["value"], answer["version"]) == (2 * number, 0, 1)
        assert written.stderr == ""
