"""Synchronising from the shell: two machines over a folder, what each command answers, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from shells import Machine, machines, remote

__all__ = ["machines", "remote"]


def test_without_a_remote_each_command_names_the_one_that_sets_it(machines: tuple[Machine, Machine]) -> None:
    first, second = machines
    assert "`bailiwick remote set URL`" in first.told("sync", "status")
    assert first.json("sync", "status")["activity"] == "no_remote"
    assert first.json("remote", "show")["remote"]["url"] == ""
    for arguments in (["sync"], ["sync", "--plan"], ["verify"], ["repair"], ["remote", "probe"]):
        assert first.refused(*arguments)["error"] == "This workspace has no remote."
    assert "no workspace" in second.refused("sync")["error"]
    code, _, err = first("remote", "set", "/nowhere/at/all")
    assert (code, "is not there" in err) == (3, True)


def test_two_machines_become_one_and_what_is_written_on_one_is_on_the_other(
    machines: tuple[Machine, Machine], remote: str
) -> None:
    first, second = machines
    founded = first.json("remote", "set", remote)
    assert founded["recovery_code"]
    assert (founded["url"], founded["writers"]) == (remote, "many")
    assert "already holds a workspace" in second.refused("remote", "set", remote)["error"]

    plan = first.json("sync", "--plan")
    assert {change["path"].rpartition("/")[2] for change in plan["changes"]} >= {"today"}
    assert plan["operations"]["class_a"] > 0
    assert not plan["asks"]
    run = first.json("sync")
    assert (run["sent"], run["received"], run["problem"]) == (len(plan["changes"]), 0, "")
    assert first.json("sync", "--plan")["changes"] == []
    assert "Nothing to do" in first.told("sync", "--plan")

    code_file = second.secret_file("code", founded["recovery_code"])
    wrong = second.secret_file("wrong", "0000-0000-0000-0000-0000-0000-0000")
    assert second("remote", "join", remote, "--code-file", wrong)[0] == 2
    joined = second.json("remote", "join", remote, "--code-file", code_file)
    assert joined["workspace"] == founded["workspace"]
    assert second.json("sync")["received"] == run["sent"]
    assert second.json("state", "get", "planner", "plan/today")["value"] == {"do": "measure"}

    devices = first.json("remote", "devices")["devices"]
    assert [(each["is_this"], each["commits"], each["problem"]) for each in devices if each["commits"]] == [
        (True, 1, "")
    ]
    shown = second.json("remote", "show")
    assert shown["remote"]["url"] == remote
    assert "adaptive" in second.told("sync", "status")
    areas = {each["area"]["kind"]: each for each in shown["status"]["areas"]}
    assert (areas["user"]["commits"], areas["user"]["waiting"]) == (1, 0)


def test_pause_and_strategy_are_remembered(machines: tuple[Machine, Machine], remote: str) -> None:
    first, _ = machines
    first.json("remote", "set", remote)
    assert first.json("sync", "pause") == {"paused": True}
    assert first.json("sync", "status")["activity"] == "paused"
    assert first.json("sync", "resume") == {"paused": False}
    assert first.json("sync", "status")["activity"] == "idle"
    chosen = first.json("sync", "strategy", "on-demand")
    assert (chosen["strategy"], chosen["forced"]) == ("on_demand", True)
    assert "chosen by you" in first.told("sync", "strategy")
    assert first.json("sync", "strategy", "auto")["forced"] is False
    assert first.refused("sync", "strategy", "sometimes")["error"]


def test_verify_names_what_is_wrong_and_exits_1(machines: tuple[Machine, Machine], remote: str) -> None:
    first, _ = machines
    first.json("remote", "set", remote)
    first.json("sync")
    whole = first.json("verify")
    assert whole["damages"] == []
    assert whole["commits"] >= 1
    (commit,) = (Path(remote) / ".bailiwick" / "log" / "u-ada").iterdir()
    commit.chmod(0o600)
    data = commit.read_bytes()
    commit.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    code, out, _ = first("verify", "--json")
    damages = json.loads(out)["damages"]
    assert code == 1
    assert any(str(commit).endswith(each["key"]) and each["reason"] and each["cure"] for each in damages)
    code, out, _ = first("verify")
    assert (code, "→" in out) == (1, True)
    commit.write_bytes(data)
    assert first.json("verify")["damages"] == []


def test_verify_reads_every_content_and_repair_puts_it_back(machines: tuple[Machine, Machine], remote: str) -> None:
    first, _ = machines
    first.json("remote", "set", remote)
    first.json("sync")
    (blob,) = (path for path in (Path(remote) / ".bailiwick" / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o600)
    data = bytearray(blob.read_bytes())
    data[5] ^= 1
    blob.write_bytes(data)
    code, out, _ = first("verify", "--json")
    assert (code, [each["kind"] for each in json.loads(out)["damages"]]) == (1, ["damaged"])
    assert "a fiftieth" in first("verify", "--quick")[1]
    assert [each["kind"] for each in first.json("repair")["mended"]] == ["damaged"]
    assert first.json("verify")["damages"] == []
    assert "nothing to mend" in first.told("repair")


def test_a_remote_that_is_gone_exits_3_and_loses_nothing(machines: tuple[Machine, Machine], remote: str) -> None:
    first, _ = machines
    first.json("remote", "set", remote)
    away = Path(remote).rename(f"{remote}-away")
    for arguments in (["sync"], ["sync", "--plan"], ["verify"], ["remote", "probe"]):
        code, out, _ = first(*arguments, "--json")
        assert code == 3
        assert json.loads(out)["hint"]
    area = next(each for each in first.json("sync", "status")["areas"] if each["area"]["kind"] == "user")
    assert area["waiting"] == 1
    assert "1 change waits" in first.told("sync", "status")
    away.rename(remote)
    assert first.json("sync")["sent"] > 0
    assert "Nothing waits" in first.told("sync", "status")


def test_joining_says_one_thing_that_opens_the_remote(machines: tuple[Machine, Machine], remote: str) -> None:
    first, second = machines
    first.json("remote", "set", remote)
    one = second.secret_file("one", "abc")
    asked = second.refused("remote", "join", remote, "--code-file", one, "--passphrase-file", one)
    assert "one thing" in asked["error"]
    assert second.refused("remote", "join", remote, "--code-file", "/nowhere/code")["error"]
    assert "abc" not in json.dumps(asked)


def test_a_device_joins_when_another_approves_its_code(machines: tuple[Machine, Machine], remote: str) -> None:
    first, second = machines
    first.json("remote", "set", remote)
    first.json("sync")
    second.patch.setenv("BAILIWICK_HOME", str(second.home))
    command = ["remote", "join", remote, "--approval", "--json", "--workspace", str(second.shell.root)]
    with subprocess.Popen(
        [sys.executable, "-m", "tui", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as joining:
        assert joining.stderr is not None
        line = ""
        while "remote approve" not in line:
            line = joining.stderr.readline()
            assert line, "the code was never shown"
        assert "may join" in first.told("remote", "approve", line.split()[-1])
        assert first.refused("remote", "approve", "ABCDEFGHJKMN")["error"].startswith("No device")
        out, _ = joining.communicate(timeout=60)
    assert joining.returncode == 0
    assert json.loads(out)["slots"] >= 1
    assert second.json("sync")["received"] > 0


def test_watching_tells_a_change_at_once_and_ends_by_a_signal(machines: tuple[Machine, Machine], remote: str) -> None:
    first, _ = machines
    first.json("remote", "set", remote)
    command = ["sync", "--watch", "--json", "--workspace", str(first.shell.root)]
    with subprocess.Popen([sys.executable, "-m", "tui", *command], stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["activity"] == "idle"
        first.json("sync", "pause")
        deadline = time.monotonic() + 30
        while json.loads(watching.stdout.readline())["activity"] != "paused":
            assert time.monotonic() < deadline
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=30)
    assert watching.returncode == 130


def test_members_are_added_by_the_cards_they_give(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    first, second = machines
    second.patch.setenv("BAILIWICK_USER_ID", "mara")
    second.told("agents", "register", "scout", "--type", "research")
    card = second.json("teams", "card")
    second.patch.setenv("BAILIWICK_USER_ID", "ada")
    file = tmp_path / "mara.card"
    file.write_text(card["card"] + "\n")
    added = first.json("teams", "add", "harbour", f"@{file}")
    assert (added["user"], added["fingerprint"]) == ("mara", card["fingerprint"])
    (member,) = first.json("teams", "list")["members"]
    assert (member["id"], member["is_self"]) == ("harbour/mara", False)
    assert card["fingerprint"] in first.told("teams", "list", "harbour")
    assert first.refused("teams", "add", "harbour", card["card"][:-3])["error"] == "That is not a whole member card."
    assert first.json("teams", "remove", "harbour", "mara") == {"team": "harbour", "user": "mara"}
    assert first.json("teams", "list")["members"] == []


def test_help_imports_neither_screen_nor_index_nor_network() -> None:
    program = (
        "import sys; from tui.commands.run import run; run(sys.argv[1:]);"
        "print(sorted(set(sys.modules) & {'textual', 'duckdb', 'boto3', 'pyrage', 'cryptography'}))"
    )
    for noun in ("remote", "sync", "verify", "repair", "teams"):
        answer = subprocess.run(
            [sys.executable, "-c", program, noun, "--help"], capture_output=True, text=True, check=True, env=os.environ
        )
        assert answer.stdout.splitlines()[-1] == "[]", noun
