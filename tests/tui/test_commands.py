"""The command line through its own door: outputs, exit codes, sentences."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import __version__
from tui.commands.run import COMMANDS, run

Outcome = tuple[int, str, str]
Command = Callable[..., Outcome]


@pytest.fixture
def command(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs one command line on a workspace of the test's own, where no model can be downloaded."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("BAILIWICK_MODEL_ALLOW_DOWNLOAD", "false")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Outcome:
        code = run([*arguments, "--workspace", str(tmp_path / "workspace")])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "kettle.md").write_text("# Kettle\n\nThe kettle boils water in two minutes.\n")
    (folder / "lamp.md").write_text("# Lamp\n\nThe lamp shines for ten hours on one charge.\n")
    return folder


def test_version_is_printed_without_the_screen_or_the_database() -> None:
    program = (
        "import sys; sys.argv = ['bailiwick', '--version']; from tui.__main__ import main; main();"
        "print(sorted(set(sys.modules) & {'textual', 'duckdb', 'boto3', 'click', 'numpy'}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [f"bailiwick {__version__}", "[]"]


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    program = (
        "import sys; from tui.commands.run import run; run(['--help']);"
        "print(sorted(set(sys.modules) & {'textual', 'duckdb', 'boto3', 'numpy', 'psutil'}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_and_takes_the_common_options(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    text = capfd.readouterr().out
    assert "--workspace" in text
    assert "--json" in text


def test_add_search_show_and_remove(command: Command, documents: Path) -> None:
    code, out, _ = command("add", str(documents), "--json")
    added = json.loads(out)
    assert code == 0
    assert added["libraries"][0]["documents"] == 2
    code, out, _ = command("search", "how long does water take to boil", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["hits"][0]["title"] == "Kettle"
    assert set(answer) >= {"hits", "path", "milliseconds"}
    assert set(answer["hits"][0]) >= {"id", "title", "text", "score", "language", "library", "version", "matched"}
    code, out, _ = command("show", answer["hits"][0]["id"], "--json")
    assert json.loads(out)["passages"][0]["text"] == "The kettle boils water in two minutes."
    code, out, _ = command("remove", str(documents), "--json")
    assert (code, json.loads(out)["documents"]) == (0, 2)
    code, out, _ = command("search", "kettle", "--json")
    assert (code, json.loads(out)["hits"]) == (0, [])


def test_a_package_is_read_and_its_missing_version_refused(command: Command) -> None:
    code, out, _ = command("add", "--package", "iniconfig", "--python", sys.executable, "--json")
    assert code == 0
    library = json.loads(out)["libraries"][0]
    assert (library["library"], library["language"]) == ("iniconfig", "python")
    code, out, _ = command("libraries", "--json")
    assert [each["library"] for each in json.loads(out)["libraries"]] == ["iniconfig"]
    code, _, err = command("add", "--package", "iniconfig==0.0.1", "--python", sys.executable)
    assert code == 2
    assert library["version"] in err
    code, out, _ = command("search", "parse ini file", "--library", "iniconfig", "--version", "0.0.1", "--json")
    hits = json.loads(out)["hits"]
    assert hits
    assert {hit["matched"]["version"] for hit in hits} == {"nearest"}
    assert {hit["matched"]["library"] for hit in hits} == {"exact"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add",), "nothing to add"),
        (("add", "missing/folder"), "nothing at"),
        (("add", "--package", "no-such-package-anywhere", "--python", sys.executable), "not installed"),
        (("add", "--package", "not a name!"), "not"),
        (("search", "x" * 10_000), "10,000 characters"),
        (("search", ""), "empty"),
        (("search", "x", "--where", "nonsense"), "KEY=VALUE"),
        (("search", "x", "-n", "0"), "number of hits"),
        (("show", "nothing"), "no document"),
        (("remove", "nothing"), "Nothing was added"),
        (("frobnicate",), "No such command"),
        (("search", "x", "--mode", "magic"), "magic"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    command: Command, documents: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    assert command("add", str(documents))[0] == 0
    code, out, err = command(*arguments)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err + out
    assert len(err.strip().splitlines()) == 1
    code, out, _ = command(*arguments, "--json")
    assert code == 2
    assert set(json.loads(out)) == {"error", "hint"}


def test_broken_query_syntax_is_searched_as_plain_words(command: Command, documents: Path) -> None:
    command("add", str(documents))
    for query in ("kettle AND (", '"boils water', "kettle:::", "((((kettle", "kettle ^^ ~"):
        code, out, _ = command("search", query, "--mode", "text", "--json")
        answer = json.loads(out)
        assert code == 0
        assert answer["hits"][0]["title"] == "Kettle", query


def test_looking_into_nothing_makes_nothing(command: Command, tmp_path: Path) -> None:
    for arguments in (("search", "x"), ("libraries",), ("doctor",), ("show", "x"), ("remove", "x")):
        code, _, err = command(*arguments)
        assert code == 2
        assert "no workspace" in err
    code, out, _ = command("info", "--json")
    assert code == 0
    assert json.loads(out)["paths"]["workspace"]["exists"] is False
    assert not (tmp_path / "workspace").exists()


def test_info_names_the_origin_of_a_setting(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_SEARCH_LIMIT", "7")
    settings = json.loads(command("info", "--json")[1])["settings"]
    assert settings["search.limit"] == {"value": 7, "origin": "environment BAILIWICK_SEARCH_LIMIT"}
    assert settings["search.mode"]["origin"] == "default"


def test_a_bad_setting_is_named_with_its_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "bailiwick.yml").write_text("search:\n  limit: many\n")
    code, _, err = command("info")
    assert code == 2
    assert "line 2" in err
    assert "search.limit" in err


def test_hardware_answers_profile_and_limits(command: Command) -> None:
    profile = json.loads(command("hardware", "profile", "--json")[1])
    assert profile["cpu_cores"] >= 1
    assert profile["storage_speed_mbps"] > 0
    limits = json.loads(command("hardware", "limits", "--json")[1])
    assert limits["max_concurrent_agents"] in (1, 2, 4, 8)
    code, out, _ = command("hardware", "watch", "--count", "1", "--json")
    assert code == 0
    assert json.loads(out)["memory_total"] > 0


def test_the_doctor_finds_a_whole_workspace_good_and_damage_bad(
    command: Command, documents: Path, tmp_path: Path
) -> None:
    command("add", str(documents))
    code, out, _ = command("doctor", "--json")
    assert (code, json.loads(out)["damaged"]) == (0, False)
    (tmp_path / "workspace" / "documents.duckdb").write_bytes(b"garbage" * 4000)
    code, out, _ = command("doctor", "--json")
    assert (code, json.loads(out)["damaged"]) == (1, True)
    code, out, _ = command("doctor", "--json")
    assert (code, json.loads(out)["damaged"]) == (0, False)
    assert json.loads(command("search", "kettle", "--json")[1])["hits"]


def test_a_deleted_index_is_rebuilt_by_the_next_search(command: Command, documents: Path, tmp_path: Path) -> None:
    command("add", str(documents))
    for path in (tmp_path / "workspace").glob("documents.duckdb*"):
        path.unlink()
    hits = json.loads(command("search", "kettle", "--json")[1])["hits"]
    assert hits[0]["title"] == "Kettle"


def test_without_a_terminal_the_dashboard_says_so(tmp_path: Path) -> None:
    for arguments in ([], ["demo"]):
        result = subprocess.run(
            [sys.executable, "-m", "tui", *arguments, "--workspace", str(tmp_path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 2
        assert "needs a terminal" in result.stderr
        assert result.stdout == ""
