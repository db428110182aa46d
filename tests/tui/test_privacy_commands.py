"""Privacy from the shell: who gets what and why, sharing, locking, and what must not get out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commanding import Shell, shell_on

from core.config import load_settings
from core.engine import Duties
from core.workspace import Workspace
from tests.agentfs.canaries import new_canary

EVERYBODY = ["own-devices", "agent:scout", "agent:critic", "team:core", "public", "logs"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own files."""
    monkeypatch.setenv("BAILIWICK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BAILIWICK_PASSPHRASE_FILE", raising=False)
    monkeypatch.setenv("BAILIWICK_USER_TEAMS", "core")
    monkeypatch.setenv("BAILIWICK_MODEL_ALLOW_DOWNLOAD", "false")
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "no-model"))
    return tmp_path / "home"


@pytest.fixture
def canary() -> str:
    return new_canary()


@pytest.fixture
def shell(
    home: Path, canary: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """The agents scout and critic; critic has a plan, a secret, a finding and an assumption."""
    made = shell_on(tmp_path / "workspace", capfd, monkeypatch)
    made.told("agents", "register", "scout", "--type", "research")
    made.told("agents", "register", "critic", "--type", "documentation")
    made.told("state", "put", "critic", "plan", '"read"')
    assert made.told("state", "put", "critic", "token", json.dumps(canary)) == [
        "token is at version 1, sealed because a secret was found in it."
    ]
    made.told("state", "put", "critic", "findings/speed", '{"by": "mara@lindqvist.se", "ms": 12}')
    made.told("state", "put", "critic", "assumptions/size", "3")
    return made


@pytest.fixture
def engine(shell: Shell) -> Iterator[Workspace]:
    """The engine of the workspace, as another process would be."""
    workspace = Workspace(shell.root, load_settings(shell.root), role="the test", duties=Duties.ALL)
    yield workspace
    workspace.close()


def lose_key_files(home: Path) -> list[tuple[Path, str]]:
    """As if this were another machine; what puts them back."""
    lost = [(path, path.read_text()) for path in (home / "config" / "keys").iterdir()]
    for path, _ in lost:
        path.unlink()
    return lost


def answers(shell: Shell, item: str) -> dict[str, tuple[str, str]]:
    """Action and rule by audience."""
    told = shell.json("privacy", "explain", item)["answers"]
    return {each["audience"]: (each["action"], each["rule"]) for each in told}


def denials(shell: Shell) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = shell.json("audit", "log", "--action", "access.deny")["records"]
    return records


# Explaining


def test_an_item_is_explained_to_everyone_who_could_get_it(shell: Shell) -> None:
    told = shell.json("privacy", "explain", "critic/plan")
    item = told["item"]
    assert set(told) == {"item", "shares", "answers"}
    assert set(item) == {"id", "path", "kind", "level", "sensitive", "sealed", "owner"}
    assert (item["path"], item["kind"], item["level"], item["sensitive"], item["sealed"], item["owner"]) == (
        "agents/critic/state/plan",
        "state",
        "private",
        "",
        False,
        "ada",
    )
    assert [each["audience"] for each in told["answers"]] == EVERYBODY
    assert all(set(each) == {"audience", "action", "rule", "reason"} for each in told["answers"])
    assert [each["action"] for each in told["answers"]] == ["seal", "refuse", "allow", "refuse", "refuse", "refuse"]
    by_id = shell.json("privacy", "explain", item["id"])
    assert by_id == told
    lines = shell.told("privacy", "explain", "critic/plan")
    assert lines[1] == f"  state of ada, private ({item['id']})"
    assert any(line.startswith("agent scout") and "refuse" in line and "level" in line for line in lines)


def test_every_rule_that_was_considered_is_shown_for_one_audience(shell: Shell) -> None:
    (told,) = shell.json("privacy", "explain", "critic/assumptions/size", "--audience", "team:core")["answers"]
    assert told["action"] == "allow"
    assert [(each["rule"], each["decided"]) for each in told["considered"]] == [
        ("level", True),
        ("sharing_control", False),
    ]
    head, columns, first, second = shell.told(
        "privacy", "explain", "critic/assumptions/size", "--audience", "team:core"
    )[-4:]
    assert head.startswith("team core: allow.")
    assert columns.split() == ["ANSWER", "RULE", "REASON"]
    assert (first.split()[:3], second.split()[0]) == (["→", "allow", "level"], "allow")
    for audience in ("everybody", "team:", "agent:nobody"):
        assert audience in shell.refused("privacy", "explain", "critic/plan", "--audience", audience)["error"].replace(
            "no agent ", "agent:"
        )
    assert "no item" in shell.refused("privacy", "explain", "critic/nothing")["error"]


def test_a_file_is_foretold_without_its_secrets(shell: Shell, canary: str, tmp_path: Path) -> None:
    file = tmp_path / "internal" / "deploy.md"
    file.parent.mkdir()
    file.write_text(f"# Deploy\n\nBy mara@lindqvist.se\n\n    token = {canary}\n")
    told = shell.json("privacy", "explain", str(file))
    assert told["item"]["id"] is None
    assert (told["item"]["level"], told["item"]["sensitive"], told["item"]["sealed"]) == ("private", "secret", True)
    assert {(each["kind"], each["line"]) for each in told["findings"]} == {("secret", 5), ("email", 3)}
    assert [(each["audience"], each["action"]) for each in told["answers"]][:3] == [
        ("own-devices", "seal"),
        ("agent:scout", "refuse"),
        ("agent:critic", "refuse"),
    ]
    lines = shell.told("privacy", "explain", str(file))
    assert lines[0] == f"{file} is not an item. If it were added:"
    assert any("found: secret in line 5" in line for line in lines)
    assert canary not in json.dumps(told) + "".join(lines)
    assert "mara" not in json.dumps(told) + "".join(lines)

    plain = tmp_path / "script.py"
    plain.write_text(f'"""Says hello."""\n\nTOKEN = "{canary}"\n')
    assert shell.json("privacy", "explain", str(plain))["item"]["sensitive"] == ""
    assert "  The secrets are in what is not kept of it." in shell.told("privacy", "explain", str(plain))
    (tmp_path / "picture.md").write_bytes(b"\x00\x01")
    assert "is binary" in shell.refused("privacy", "explain", str(tmp_path / "picture.md"))["error"]
    assert "is a folder" in shell.refused("privacy", "explain", str(tmp_path))["error"]


def test_the_rules_say_what_they_catch_and_what_matches_nothing(shell: Shell) -> None:
    (shell.root / "privacy_config.yml").write_text(
        "privacy:\n  boundaries:\n    custom_private_patterns:\n      - plan\n      - plam\n"
    )
    told = shell.json("privacy", "rules")
    caught = {each["pattern"]: each["items"] for each in told["patterns"]}
    assert (caught["plan"], caught["plam"], caught["ssh_keys"]) == (1, 0, 0)
    assert told["default_level"] == "private_until_shared"
    assert told["controls"]["code_examples"] == {"default": "team_only", "allow_opt_in": False}
    assert (told["items"], told["sensitive"]["secret"], told["sealed"]) == (4, 1, 1)
    lines = shell.told("privacy", "rules")
    (idle,) = (line for line in lines if line.startswith("These match nothing here: "))
    assert "plam" in idle
    assert "plan" not in idle
    assert any("privacy_config.yml, line 4" in line for line in lines)
    assert "pattern 'plan'" in shell.refused("share", "critic/plan", "--with", "agent:scout")["error"]
    (shell.root / "privacy_config.yml").write_text("privacy:\n  default_levle: team_only\n")
    assert "privacy_config.yml, line 2" in shell.refused("privacy", "rules")["error"]


def test_a_preview_counts_what_an_audience_would_get(shell: Shell) -> None:
    told = shell.json("privacy", "preview", "team:core")
    assert told["audience"] == "team:core"
    assert told["counts"] == {"allow": 1, "redact": 1, "seal": 0, "refuse": 2}
    assert {(each["path"], each["action"]) for each in told["first"]} == {
        ("agents/critic/state/assumptions/size", "allow"),
        ("agents/critic/state/findings/speed", "redact"),
    }
    assert len(shell.json("privacy", "preview", "team:core", "-n", "1")["first"]) == 1
    assert shell.told("privacy", "preview", "logs", "-n", "0") == [
        "Logs would get 0 whole, 2 redacted, 0 only sealed, 2 not at all."
    ]
    assert "own-devices" in shell.refused("privacy", "preview", "me")["hint"]


# Sharing


def test_sharing_says_in_which_form_and_goes_back(shell: Shell) -> None:
    (line,) = shell.told("share", "critic/plan", "--with", "agent:scout", "--dry-run")
    assert line == "agent scout would get agents/critic/state/plan whole: Its owner shared it explicitly."
    assert answers(shell, "critic/plan")["agent:scout"] == ("refuse", "level")
    done = shell.json("share", "critic/plan", "--with", "agent:scout")
    assert (done["action"], done["rule"], done["changed"], done["dry_run"]) == ("allow", "level", True, False)
    assert shell.json("state", "get", "critic", "plan", "--as", "scout")["value"] == "read"
    (share,) = shell.json("privacy", "explain", "critic/plan")["shares"]
    assert (share["audience"], share["opted_out"], share["shared_by"]) == ("agent:scout", False, "ada")
    assert "was given already" in shell.told("share", "critic/plan", "--with", "agent:scout")[0]
    assert shell.json("unshare", "critic/plan")["removed"] == ["agent scout"]
    assert shell.refused("state", "get", "critic", "plan", "--as", "scout")["rule"] == "level"
    assert "not shared" in shell.refused("unshare", "critic/plan")["error"]


def test_a_kind_that_is_anonymous_goes_out_redacted_until_it_is_shared_in_full(shell: Shell) -> None:
    item = "critic/findings/speed"
    assert shell.json("share", item, "--with", "public")["action"] == "redact"
    assert answers(shell, item)["public"] == ("redact", "sharing_control")
    assert shell.json("share", item, "--with", "public", "--in-full")["action"] == "allow"
    assert shell.told("unshare", item, "--with", "public")[0].endswith("is not shared with everybody any more.")


def test_opting_out_keeps_a_kind_from_the_team_that_had_it(shell: Shell) -> None:
    item = "critic/assumptions/size"
    assert answers(shell, item)["team:core"] == ("allow", "level")
    assert shell.told("unshare", item, "--with", "team:core") == [
        "agents/critic/state/assumptions/size is kept from team core, which its kind is shared with by itself."
    ]
    assert answers(shell, item)["team:core"] == ("refuse", "opt_out")


def test_what_may_not_be_shared_is_refused_with_the_rule(shell: Shell) -> None:
    refused = shell.refused("share", "critic/token", "--with", "agent:scout")
    assert refused["rule"] == "secret_found"
    assert "A secret was found in its content" in refused["error"]
    assert "Only its owner" in shell.refused("share", "critic/plan", "--with", "agent:scout", "--as", "scout")["error"]
    assert shell.json("share", "critic/plan", "--with", "agent:scout", "--as", "critic")["changed"] is True
    assert "nobody to share with" in shell.refused("share", "critic/plan", "--with", "logs")["error"]
    _, _, err = shell("share", "critic/plan", "--with", "team:cor", "--dry-run")
    assert "not in team cor" in err


# Who reads


@pytest.mark.parametrize(
    "asking",
    [
        ("state", "get", "critic", "plan"),
        ("state", "get", "critic", "token"),
        ("state", "history", "critic", "plan"),
        ("state", "diff", "critic", "plan", "1", "1"),
    ],
)
def test_an_agent_that_asks_for_anothers_private_state_is_refused_and_recorded(
    shell: Shell, canary: str, monkeypatch: pytest.MonkeyPatch, asking: tuple[str, ...]
) -> None:
    refused = shell.refused(*asking, "--as", "scout")
    assert (refused["reason"], bool(refused["rule"])) == ("Private resource", True)
    assert canary not in json.dumps(refused)
    monkeypatch.setenv("BAILIWICK_AGENT", "scout")
    assert shell.refused(*asking)["reason"] == "Private resource"
    shell.told(*asking, "--as", "person")
    scout = shell.json("agents", "show", "scout")["id"]
    assert {(each["actor"], each["verified"]) for each in denials(shell)} == {(scout, True)}
    newest = shell.json("privacy", "refusals", "-n", "1")["refusals"]
    assert [(each["who"], each["operation"], each["reason"]) for each in newest] == [
        ("scout", "read", "Private resource")
    ]
    assert f"agents/critic/state/{asking[3]}" in shell.told("privacy", "refusals")[0]


def test_lists_and_comparisons_leave_out_what_an_agent_may_not_read(shell: Shell) -> None:
    everything = [each["key"] for each in shell.json("state", "list", "critic")["states"]]
    assert everything == ["assumptions/size", "findings/speed", "plan", "token"]
    listed = shell.json("state", "list", "critic", "--as", "scout")["states"]
    assert [each["key"] for each in listed] == ["assumptions/size", "findings/speed"]
    assert shell.told("state", "list", "critic", "pl", "--as", "scout") == [
        "critic has no states that begin with pl that it may read."
    ]
    shell.told("sessions", "snapshot", "before")
    shell.told("state", "put", "critic", "plan", '"changed"')
    shell.told("state", "put", "scout", "plan", '"mine"')
    assert len(shell.json("sessions", "compare", "before")["changes"]) == 2
    assert [each["agent"] for each in shell.json("sessions", "compare", "before", "--as", "scout")["changes"]] == [
        "scout"
    ]


def test_an_agent_sees_the_messages_it_sent_or_got(shell: Shell, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    private = shell.json("messages", "send", "--from", "critic", "--to", "person", f"the key is {canary}")["id"]
    shell.told("messages", "send", "--from", "critic", "--to", "scout", "hello")
    assert len(shell.json("messages", "list")["messages"]) == 2
    assert [each["content"] for each in shell.json("messages", "list", "--as", "scout")["messages"]] == ["hello"]
    assert shell.json("messages", "list", "--agent", "person", "--as", "scout")["messages"] == []
    assert shell.json("messages", "list", "--text", canary, "--as", "scout")["messages"] == []
    assert shell.refused("messages", "show", private, "--as", "scout")["reason"] == "Private resource"
    monkeypatch.setenv("BAILIWICK_AGENT", "scout")
    assert "yours to read" in shell.refused("messages", "inbox", "person")["error"]
    monkeypatch.delenv("BAILIWICK_AGENT")
    shown = shell.json("messages", "show", private)
    assert (shown["level"], shown["sensitive"], shown["sealed"], shown["locked"]) == ("private", "secret", True, False)
    assert canary in shown["content"]
    assert canary not in "".join(shell.told("messages", "list"))


def test_an_agent_does_not_find_private_documents(shell: Shell, canary: str, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "personal_notes").mkdir(parents=True)
    (folder / "kettle.md").write_text("# Kettle\n\nThe kettle boils water in two minutes.\n")
    (folder / "deploy.md").write_text(f"# Kettle deployment\n\nThe kettle needs the kettle token {canary}.\n")
    (folder / "personal_notes" / "diary.md").write_text("# Diary\n\nI dropped the kettle, my kettle.\n")
    shell.told("add", str(folder))
    words = ("search", "dropped token kettle", "--mode", "text")
    hits = shell.json(*words)["hits"]
    assert {each["title"] for each in hits} == {"Kettle", "Kettle deployment", "Diary"}
    code, out, err = shell(*words, "-n", "1", "--as", "scout", "--json")
    answer = json.loads(out)
    assert (code, [each["title"] for each in answer["hits"]]) == (0, ["Kettle"])
    # What was left out is not counted: the number would tell which words private documents hold.
    assert not any("left out" in each for each in (*answer["notes"], err))
    assert canary not in out
    for hit in hits:
        if hit["title"] == "Kettle":
            shown = shell.json("show", hit["id"], "--as", "scout")
            assert (shown["level"], shown["sensitive"], shown["sealed"]) == ("private", "", False)
        else:
            refused = shell.refused("show", hit["id"], "--as", "scout")
            assert refused["rule"] in ("secret_found", "private_pattern")
            assert shell.json("show", hit["id"])["sealed"] is True
    assert len(denials(shell)) == 4
    scout = shell.json("agents", "show", "scout")["id"]
    assert [each["actor"] for each in shell.json("audit", "log", "--action", "search")["records"]] == ["ada", scout]
    told = shell.json("privacy", "explain", str(folder / "deploy.md"))
    assert told["item"]["path"] == "user-contributions/ada/docs/deploy.md"
    assert told["item"]["id"] is not None


# Forging


def test_a_name_cannot_be_borrowed(shell: Shell, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.write_text(Path(shell.json("agents", "show", "scout")["key_path"]).read_text())
    for asking in (("state", "get", "critic", "plan"), ("state", "put", "critic", "plan", "1"), ("messages", "list")):
        refused = shell.refused(*asking, "--as", "critic", "--key-file", str(wrong))
        assert refused["error"] == "The key shown is not the one of critic."
    assert "cannot act as another" in shell.refused("messages", "inbox", "critic", "--as", "scout")["error"]
    assert shell.json("state", "get", "critic", "plan")["version"] == 1


def test_an_agent_without_its_key_gets_nothing_of_others_and_is_marked(shell: Shell) -> None:
    Path(shell.json("agents", "show", "scout")["key_path"]).unlink()
    refused = shell.refused("state", "get", "critic", "assumptions/size", "--as", "scout")
    assert (refused["rule"], refused["reason"]) == ("verified", "The agent showed no key")
    assert "scout (unverified)" in shell.told("privacy", "refusals")[0]
    assert [each["verified"] for each in denials(shell)] == [False, False]
    message = shell.json("messages", "send", "--from", "scout", "--to", "critic", "hello")["id"]
    assert shell.json("messages", "show", message)["verified"] is False
    assert "scout (unverified)" in shell.told("messages", "list")[-1]


# No secret where none was asked for


@pytest.mark.parametrize(
    "arguments",
    [
        ("state", "put", "critic", "token", '{{"a": "{0}"'),
        ("state", "put", "critic", "key-{0}", "1"),
        ("state", "put", "{0}", "plan", "1"),
        ("state", "put", "critic", "plan", "@/tmp/{0}"),
        ("state", "put", "critic", "plan", "1", "--as", "critic", "--key-file", "/tmp/{0}"),
        ("state", "put", "critic", "plan", "1", "--kind", "{0}"),
        ("state", "put", "critic", "token", "1", "--as", "scout", "--expect", "7"),
        ("state", "get", "critic", "token", "--as", "scout"),
        ("keys", "unlock", "--key-file", "/tmp/{0}"),
        ("keys", "unlock", "{0}"),
        ("privacy", "explain", "{0}"),
        ("privacy", "preview", "agent:{0}"),
        ("share", "critic/plan", "--with", "{0}"),
        ("search", "x", "--where", "{0}"),
        ("{0}",),
    ],
)
def test_no_error_repeats_a_secret(shell: Shell, canary: str, arguments: tuple[str, ...]) -> None:
    given = tuple(argument.format(canary) for argument in arguments)
    for more in ((), ("--json",)):
        code, out, err = shell(*given, *more)
        assert code == 2
        assert canary not in out + err
    assert json.loads(out)["error"]


# Locking


def test_a_locked_value_is_named_and_not_shown(shell: Shell, home: Path, canary: str) -> None:
    message = shell.json("messages", "send", "--to", "critic", f"the key is {canary}")["id"]
    lost = lose_key_files(home)
    refused = shell.refused("state", "get", "critic", "token")
    assert "locked" in refused["error"]
    assert "keys unlock" in refused["hint"]
    (token,) = (each for each in shell.json("state", "list", "critic")["states"] if each["key"] == "token")
    assert (token["locked"], token["sealed"], "value" in token) == (True, True, False)
    shown = shell.json("messages", "show", message)
    assert (shown["content"], shown["locked"]) == (None, True)
    assert "sealed; `bailiwick keys unlock`" in shell.told("messages", "show", message)
    for path, text in lost:
        path.touch(0o600)
        path.write_text(text)
    assert shell.json("state", "get", "critic", "token")["value"] == canary


def test_the_running_engine_is_locked_and_unlocked(shell: Shell, home: Path, engine: Workspace, tmp_path: Path) -> None:
    code_file = tmp_path / "code"
    code_file.touch(0o600)
    code_file.write_text(shell.json("keys", "add", "--recovery-code")["recovery_code"])
    keys = engine.agentfs.keys
    assert keys.ready()
    locked = shell.json("keys", "lock")
    assert locked["engine"].startswith("the test (process ")
    assert locked["by_itself"] is True
    assert (keys.ready(), keys.status().held) == (False, True)
    told = shell.told("keys", "lock")
    assert told[0].endswith("`bailiwick keys unlock` unlocks it.")
    assert told[1].startswith("Commands unlock by themselves here")

    assert shell.json("keys", "unlock")["engine"] == locked["engine"]
    assert keys.ready()
    shell.told("keys", "lock")
    lose_key_files(home)
    assert "Nothing on this machine opens" in shell.refused("keys", "unlock")["error"]
    assert not keys.ready()
    told = shell.told("keys", "unlock", "--recovery-code-file", str(code_file))
    assert f"so is {locked['engine']}" in told[0]
    assert keys.ready()


def test_without_an_engine_there_is_nobody_to_lock(shell: Shell) -> None:
    assert shell.told("keys", "lock")[0] == "No engine runs now."
    assert shell.json("keys", "lock")["engine"] is None
    assert shell.told("keys", "unlock")[0].endswith("no engine runs now.")


def test_without_keys_nothing_is_locked(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = shell_on(tmp_path / "empty", capfd, monkeypatch)
    shell.told("agents", "register", "scout", "--type", "research")
    assert "no keys yet" in shell.refused("keys", "lock")["error"]
