"""Keys from the shell: each way in, what is refused, and what survives."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keyring
import pytest
from commanding import Shell, shell_on

from core.config import user_config_folder
from core.crypto.openers import add_passphrase
from core.crypto.secret import Secret
from core.crypto.workspace_keys import WorkspaceKeys
from tests.agentfs.canaries import new_canary

PASSPHRASE = "correct horse battery"
CHEAP = 2


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own files."""
    monkeypatch.setenv("BAILIWICK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BAILIWICK_PASSPHRASE_FILE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def shell(home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace without keys."""
    made = shell_on(tmp_path / "workspace", capfd, monkeypatch)
    made.told("agents", "register", "scout", "--type", "research")
    return made


def keys_of(root: Path) -> WorkspaceKeys:
    """The keys of the workspace, as another process has them."""
    return WorkspaceKeys(root / "keys", user_config_folder() / "keys")


def secret_file(path: Path, text: str) -> Path:
    """A new file that only its owner can read."""
    path.touch(0o600)
    path.write_text(text + "\n")
    return path


def with_cheap_passphrase(shell: Shell) -> str:
    """Give the workspace a passphrase slot that costs nothing to open; its id."""
    keys = keys_of(shell.root)
    keys.found()
    keys.keys.slots._work_factor = CHEAP
    return add_passphrase(keys.keys.slots, keys.keys.identity, Secret(PASSPHRASE)).id


def lose_key_files(home: Path) -> None:
    """As if this were another machine."""
    for path in (home / "config" / "keys").iterdir():
        path.unlink()


def actions(shell: Shell) -> list[tuple[str, str, Any]]:
    """What the audit trail says about keys, oldest first."""
    records = shell.json("audit", "log", "--action", "keys")["records"]
    return [(each["action"], each["subject"], each["details"]) for each in records]


def test_help_imports_no_cryptography(shell: Shell) -> None:
    program = (
        "import sys; from tui.commands.run import run; run(sys.argv[1:]);"
        "print(sorted(set(sys.modules) & {'pyrage', 'keyring', 'cryptography', 'textual', 'duckdb'}))"
    )
    for arguments in (["keys", "--help"], ["keys", "add", "--help"], ["keys", "list", "--workspace", str(shell.root)]):
        arguments = [sys.executable, "-c", program, *arguments]
        answer = subprocess.run(arguments, capture_output=True, text=True, check=True)
        assert answer.stdout.splitlines()[-1] == "[]"


def test_a_workspace_without_keys_names_the_command(shell: Shell, home: Path) -> None:
    assert "`bailiwick keys add`" in shell.told("keys", "list")[0]
    assert shell.json("keys", "list") == {
        "keys": [],
        "locked": True,
        "recoverable": False,
        "generation": 0,
        "opened_by": None,
        "problem": "",
    }
    for arguments in (["unlock"], ["rotate"], ["unlock", "--key-file", "/nowhere"]):
        assert shell.refused("keys", *arguments)["error"] == "This workspace has no keys yet."
    assert "no key slot" in shell.refused("keys", "remove", "abc", "--yes")["error"]
    assert not (home / "config").exists()


def test_what_is_to_unlock_must_be_said_once(shell: Shell, home: Path, tmp_path: Path) -> None:
    for arguments in ([], ["--recovery-code", "--keychain"], ["--passphrase", "--key-file", "x"]):
        assert "one thing" in shell.refused("keys", "add", *arguments)["error"]
    weak = secret_file(tmp_path / "weak", "short")
    assert "goes with" in shell.refused("keys", "add", "--recovery-code", "--new-passphrase-file", str(weak))["error"]
    assert "at least" in shell.refused("keys", "add", "--passphrase", "--new-passphrase-file", str(weak))["error"]
    assert "nobody can be asked" in shell.refused("keys", "add", "--passphrase")["error"]
    assert "one line" in shell.refused("keys", "add", "--recovery-code", "--label", "x" * 100)["error"]
    for command in (["add", "--recovery-code"], ["unlock"]):
        assert "holds a secret" in shell.refused("keys", *command, "--label", new_canary())["error"]
    assert shell.json("keys", "list")["keys"] == []
    assert not (home / "config").exists()


def test_a_recovery_code_is_shown_once_and_opens_after_the_key_file_is_lost(
    shell: Shell, home: Path, tmp_path: Path
) -> None:
    lines = shell.told("keys", "add", "--recovery-code", "--label", "in the safe")
    (code,) = (found[0] for line in lines if (found := re.search(r"\b(?:[0-9A-Z]{4}-){6}[0-9A-Z]{4}\b", line)))
    assert any("shown once and kept nowhere" in line for line in lines)
    sealed = keys_of(shell.root).seal(b"a private note")
    listed = shell.json("keys", "list")
    machine, added = listed["keys"]
    assert (machine["kind"], added["kind"], added["label"]) == ("key_file", "recovery_code", "in the safe")
    assert (listed["locked"], listed["recoverable"], listed["generation"]) == (False, True, 1)
    assert listed["opened_by"] == machine["id"]
    assert f"Unlocked by key slot {machine['id']} (key file, machine)" in shell.told("keys", "list")[-1]

    lose_key_files(home)
    assert shell.json("keys", "list")["locked"]
    told = shell.told("keys", "list")[-1]
    assert told.startswith("Locked. Nothing on this machine opens this workspace")
    assert "keys unlock" in told
    refused = shell.refused("keys", "unlock")
    assert refused["error"] == "Nothing on this machine opens this workspace without asking."
    file = secret_file(tmp_path / "code", code.lower().replace("-", " "))
    (first, second) = shell.told("keys", "unlock", "--recovery-code-file", str(file))
    assert added["id"] in first
    assert "--remember" in second
    assert shell.json("keys", "list")["locked"]
    answer = shell.json("keys", "unlock", "--recovery-code-file", str(file), "--remember", "--label", "laptop")
    assert (answer["opened_by"], answer["remembered"]["label"]) == (added["id"], "laptop")
    assert keys_of(shell.root).open(sealed) == b"a private note"
    assert shell.json("keys", "unlock", "--remember")["remembered"] is None
    secret_file(file, code[:-1] + ("0" if code[-1] != "0" else "1"))
    assert "typing error" in shell.refused("keys", "unlock", "--recovery-code-file", str(file))["error"]

    assert actions(shell) == [
        ("keys.add", machine["id"], {"kind": "key_file"}),
        ("keys.add", added["id"], {"kind": "recovery_code"}),
        ("keys.add", answer["remembered"]["id"], {"kind": "key_file"}),
    ]
    for path in (path for path in shell.root.rglob("*") if path.is_file()):
        assert code.encode() not in path.read_bytes()


def test_a_passphrase_from_a_file_and_one_that_is_wrong(
    shell: Shell, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, wrong = secret_file(tmp_path / "right", PASSPHRASE), secret_file(tmp_path / "wrong", "another passphrase")
    added = shell.json("keys", "add", "--passphrase", "--new-passphrase-file", str(right))["key"]
    machine = next(each for each in shell.json("keys", "list")["keys"] if each["kind"] == "key_file")
    shell.told("keys", "remove", machine["id"], "--yes")
    monkeypatch.setenv("BAILIWICK_PASSPHRASE_FILE", str(wrong))
    code, out, err = shell("keys", "unlock")
    assert (code, out) == (2, "")
    assert err == "bailiwick: That passphrase opens no key slot of this workspace. Check what was typed.\n"
    monkeypatch.setenv("BAILIWICK_PASSPHRASE_FILE", str(right))
    assert shell.json("keys", "unlock")["opened_by"] == added["id"]


def test_a_passphrase_file_that_others_can_read_is_refused(shell: Shell, tmp_path: Path) -> None:
    file = secret_file(tmp_path / "passphrase", PASSPHRASE)
    file.chmod(0o644)
    refused = shell.refused("keys", "add", "--passphrase", "--new-passphrase-file", str(file))
    assert "can be read or changed by others" in refused["error"]
    assert shell.json("keys", "list")["keys"] == []


def test_a_key_file_elsewhere_opens(shell: Shell, home: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick.key"
    added = shell.json("keys", "add", "--key-file", str(stick))["key"]
    assert stick.stat().st_mode & 0o777 == 0o600
    assert "exists already" in shell.refused("keys", "add", "--key-file", str(stick))["error"]
    assert "inside the workspace" in shell.refused("keys", "add", "--key-file", str(shell.root / "a.key"))["error"]
    lose_key_files(home)
    assert shell.json("keys", "unlock", "--key-file", str(stick))["opened_by"] == added["id"]
    stick.chmod(0o640)
    assert "others" in shell.refused("keys", "unlock", "--key-file", str(stick))["error"]
    assert "not both" in shell.refused("keys", "unlock", "--key-file", "a", "--recovery-code-file", "b")["error"]


def test_a_keychain_opens(shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backend import KeyringBackend

    class Memory(KeyringBackend):
        priority = 5.0  # type: ignore[assignment]
        kept: dict[str, str] = {}  # noqa: RUF012

        def get_password(self, service: str, username: str) -> str | None:
            return self.kept.get(username)

        def set_password(self, service: str, username: str, password: str) -> None:
            self.kept[username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.kept[username]

    backend = Memory()
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)
    added = shell.json("keys", "add", "--keychain")["key"]
    assert list(backend.kept) == [added["id"]]
    lose_key_files(home)
    assert shell.json("keys", "unlock") == {
        "locked": False,
        "opened_by": added["id"],
        "by_itself": True,
        "remembered": None,
        "engine": None,
    }
    shell.json("keys", "add", "--recovery-code")
    shell.told("keys", "remove", added["id"], "--yes")
    assert backend.kept == {}


def test_a_key_file_that_others_can_read_is_refused_with_the_reason(shell: Shell, home: Path) -> None:
    with_cheap_passphrase(shell)
    (path,) = (home / "config" / "keys").iterdir()
    path.chmod(0o644)
    answer = shell.json("keys", "list")
    assert answer["locked"]
    assert answer["problem"] == f"The key file {path} can be read or changed by others, so it keeps no secret."
    assert shell.told("keys", "list")[-1].startswith(f"Locked. {answer['problem']}")
    assert shell.refused("keys", "rotate")["error"] == answer["problem"]
    assert shell.refused("keys", "add", "--recovery-code")["error"] == answer["problem"]


def test_removing_says_what_it_does_not_do_and_the_last_way_in_stays(
    shell: Shell, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrase = with_cheap_passphrase(shell)
    (path,) = (home / "config" / "keys").iterdir()
    machine = path.stem
    assert "nobody can be asked" in shell.refused("keys", "remove", machine)["error"]
    lines = shell.told("keys", "remove", machine[:20], "--yes")
    assert lines[0] == f"Removed: key slot {machine} (key file, machine), with its key file on this machine."
    assert "can still open what it opened" in lines[1]
    assert "`bailiwick keys rotate`" in lines[1]
    assert not path.exists()
    monkeypatch.setenv("BAILIWICK_PASSPHRASE_FILE", str(secret_file(tmp_path / "passphrase", PASSPHRASE)))
    assert "last key slot" in shell.refused("keys", "remove", passphrase, "--yes")["error"]
    assert shell.json("keys", "list")["opened_by"] == passphrase
    assert actions(shell) == [("keys.remove", machine, {"kind": "key_file"})]


def test_a_rotation_killed_at_either_side_of_its_one_file_is_repeated(shell: Shell) -> None:
    keys = keys_of(shell.root)
    sealed = [keys.seal(b"1")]
    program = (
        "import os, signal, sys\n"
        "import core.crypto.rotation as rotation\n"
        "from tui.commands.run import run\n"
        "def killed(*arguments, write=rotation.write_new):\n"
        "    if sys.argv[1] == 'after':\n"
        "        write(*arguments)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "rotation.write_new = killed\n"
        "run(sys.argv[2:])\n"
    )
    for moment, before, after in (("before", 1, 2), ("after", 3, 4)):
        arguments = [sys.executable, "-c", program, moment, "keys", "rotate", "--workspace", str(shell.root)]
        assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
        assert shell.json("keys", "list")["generation"] == before
        assert shell.json("keys", "rotate")["generation"] == after
        sealed.append(keys_of(shell.root).seal(str(len(sealed) + 1).encode()))
    lines = shell.told("keys", "rotate")
    assert "is not sealed again" in lines[1]
    assert [keys_of(shell.root).open(each) for each in sealed] == [b"1", b"2", b"3"]
    assert [(action, details) for action, _, details in actions(shell)] == [
        ("keys.rotate", {"generation": number}) for number in (2, 4, 5)
    ]
    assert shell.json("audit", "verify")["integrity"] == "whole"


def test_processes_that_found_at_once_have_one_identity(shell: Shell, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tui", "keys", "add", "--recovery-code", "--workspace", str(shell.root)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(3)]
    answers = [process.communicate(timeout=60)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    listed = shell.json("keys", "list")["keys"]
    assert sorted(each["kind"] for each in listed) == ["key_file", *["recovery_code"] * 3]
    assert all(each["problem"] == "" for each in listed)
    for number, answer in enumerate(answers):
        (code,) = re.findall(r"(?:[0-9A-Z]{4}-){6}[0-9A-Z]{4}", answer)
        file = secret_file(tmp_path / f"code {number}", code)
        assert shell.json("keys", "unlock", "--recovery-code-file", str(file))["opened_by"]


class Terminal:
    """A command line in a terminal of its own, as a person drives it."""

    def __init__(self, root: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "tui", *arguments, "--workspace", str(root)]
        self.process, self.descriptor = pty.fork()
        if self.process == 0:
            os.execv(sys.executable, command)
        self.shown = ""

    def type_after(self, question: str, text: str) -> None:
        """Type ``text`` once ``question`` is shown."""
        self._read_until(lambda: question in self.shown)
        self.shown = self.shown.split(question, 1)[1]
        os.write(self.descriptor, f"{text}\n".encode())

    def ended(self) -> tuple[int, str]:
        """The exit code, and what was shown since the last question."""
        self._read_until(lambda: False)
        _, status = os.waitpid(self.process, 0)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status), self.shown

    def _read_until(self, enough: Any) -> None:
        end = time.monotonic() + 60
        while not enough() and time.monotonic() < end:
            try:
                data = os.read(self.descriptor, 4096)
            except OSError:
                return
            if not data:
                return
            self.shown += data.decode()


def test_in_a_terminal_it_asks_without_echo(shell: Shell, home: Path) -> None:
    terminal = Terminal(shell.root, "keys", "add", "--passphrase")
    terminal.type_after("New passphrase: ", PASSPHRASE)
    terminal.type_after("The same again: ", PASSPHRASE + "!")
    code, shown = terminal.ended()
    assert code == 2
    assert "The two passphrases differ." in shown
    assert PASSPHRASE not in shown
    assert shell.json("keys", "list")["keys"] == []

    passphrase = with_cheap_passphrase(shell)
    lose_key_files(home)
    for typed, expected, told in (
        ("not the passphrase", 2, "That passphrase opens no key slot"),
        (PASSPHRASE, 0, f"Unlocked by key slot {passphrase}"),
    ):
        terminal = Terminal(shell.root, "keys", "unlock")
        terminal.type_after("Passphrase of the workspace: ", typed)
        code, shown = terminal.ended()
        assert (code, told in shown) == (expected, True), shown
        assert typed not in shown
