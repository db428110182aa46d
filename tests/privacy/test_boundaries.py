"""Which paths a pattern catches, what the file may say, and what it says wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import defaults_folder
from core.errors import ConfigurationError
from core.model import Kind, Level
from core.privacy import (
    PRIVACY_FILE,
    DefaultLevel,
    PrivacyRules,
    PrivatePattern,
    Sharing,
    SharingControl,
    load_rules,
    report,
)

DEFAULTS = defaults_folder() / PRIVACY_FILE


def written(folder: Path, text: str) -> Path:
    """A privacy file with ``text`` in ``folder``."""
    path = folder / PRIVACY_FILE
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "path",
    [
        "api_keys",
        "api-keys.md",
        "API Keys.txt",
        "config/api_keys/x",
        "user-contributions/mara/notes/Api_Keys.tar.gz",
        ".api_keys",
        "a/.api-keys.d/b",
        "a\\api_keys\\b",
        "x/../api_keys/y",
    ],
)
def test_a_word_catches_parts_and_names(path: str) -> None:
    assert PrivatePattern("api_keys").matches(path)


@pytest.mark.parametrize("path", ["my_api_keys", "api_keys2.md", "apikeys", "api/keys", "x/api_keys/../y", ""])
def test_a_word_catches_nothing_else(path: str) -> None:
    assert not PrivatePattern("api_keys").matches(path)


@pytest.mark.parametrize(
    ("pattern", "path", "caught"),
    [
        ("internal/*", "internal/a.md", True),
        ("internal/*", "internal/a/b.md", True),
        ("internal/*", "user-contributions/mara/notes/Internal/a.md", True),
        ("internal/*", "x-internal/a.md", False),
        ("internal/*", "internal", False),
        ("/internal/*", "internal/a.md", True),
        ("/internal/*", "notes/internal/a.md", False),
        ("internal/", "a/internal/b/c", True),
        ("*.pem", "certs/server.PEM", True),
        ("*.pem", "certs/server.pem.md", False),
        ("draft-?.md", "a/draft-1.md", True),
        ("draft-?.md", "a/draft-12.md", False),
        ("[ab].md", "x/b.md", True),
        ("./internal/*", "internal/a", True),
        ("Straße/*", "STRASSE/a", True),
        ("*", "anything", True),
    ],
)
def test_globs(pattern: str, path: str, caught: bool) -> None:
    assert PrivatePattern(pattern).matches(path) is caught


@given(st.text(max_size=30), st.text(max_size=60))
def test_any_pattern_and_path_can_be_asked(pattern: str, path: str) -> None:
    assert PrivatePattern(pattern).matches(path) is PrivatePattern(pattern.casefold()).matches(path.casefold())


def test_report_says_what_each_pattern_catches() -> None:
    rules = load_rules([DEFAULTS])
    caught = {
        each.pattern.text: each.paths for each in report(rules, ["a/ssh_keys/id", "internal/x", "b.md", "SSH-keys.txt"])
    }
    assert caught["ssh_keys"] == ("a/ssh_keys/id", "SSH-keys.txt")
    assert caught["internal/*"] == ("internal/x",)
    assert [each.pattern.text for each in report(rules, ["internal/x"]) if not each.matches_nothing] == ["internal/*"]


def test_the_defaults_are_those_of_the_strategy() -> None:
    rules = load_rules([DEFAULTS, Path("/nonexistent")])
    assert rules.default_level is DefaultLevel.PRIVATE_UNTIL_SHARED
    assert [each.text for each in rules.patterns] == [
        "api_keys",
        "credentials",
        "personal_notes",
        "local_secrets",
        "ssh_keys",
        "internal/*",
        "proprietary/*",
    ]
    assert rules.controls == {
        Kind.RESEARCH_FINDING: SharingControl(Sharing.ANONYMOUS, True),
        Kind.CODE_EXAMPLE: SharingControl(Sharing.TEAM_ONLY, False),
        Kind.IMPLEMENTATION_LOG: SharingControl(Sharing.PRIVATE, False),
        Kind.ASSUMPTION: SharingControl(Sharing.TEAM_OPT_OUT, True),
    }
    assert rules.patterns[0].origin.startswith(f"{DEFAULTS}, line ")


def test_later_files_replace_values_and_add_custom_patterns(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    user = written(tmp_path, "privacy:\n  boundaries:\n    custom_private_patterns: ['drafts/*', 'internal/*']\n")
    workspace = written(
        tmp_path / "w",
        "privacy:\n  default_level: team_only\n  boundaries:\n    private_patterns:\n      - vault\n"
        "  sharing_controls:\n    code_examples: {allow_opt_in: true}\n",
    )
    rules = load_rules([DEFAULTS, user, workspace])
    assert [each.text for each in rules.patterns] == ["vault", "internal/*", "proprietary/*", "drafts/*"]
    assert rules.patterns[0].origin == f"{workspace}, line 5"
    assert rules.default_level is DefaultLevel.TEAM_ONLY
    assert rules.controls[Kind.CODE_EXAMPLE] == SharingControl(Sharing.TEAM_ONLY, True)
    assert rules.origins["privacy.sharing_controls.code_examples.allow_opt_in"] == f"{workspace}, line 7"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("privacy:\n  defualt_level: team_only\n", 2, "no key privacy.defualt_level"),
        ("private: {}\n", 1, "no key private"),
        ("privacy:\n  default_level: public\n", 2, "must be one of private_until_shared, team_only"),
        ("privacy:\n  default_level: [a]\n", 2, "must be one of"),
        ("privacy:\n  boundaries:\n    private_patterns: api_keys\n", 3, "must be a list"),
        ("privacy:\n  boundaries:\n    private_patterns:\n      - a\n      - 12\n", 5, "not a text"),
        ("privacy:\n  boundaries:\n    private_patterns:\n      - ''\n", 4, "names nothing"),
        ("privacy:\n  boundaries:\n    private_patterns:\n      -\n", 4, "not a text"),
        ("privacy:\n  boundaries:\n    custom_private_patterns:\n      - {a: b}\n", 4, "not a text"),
        ("privacy:\n  sharing_controls:\n    code_examples:\n      default: everybody\n", 4, "must be one of private"),
        ("privacy:\n  sharing_controls:\n    code_examples:\n      allow_opt_in: 'yes'\n", 4, "true or false"),
        ("privacy:\n  sharing_controls:\n    code_examples:\n      allow_opt_in: 1\n", 4, "true or false"),
        ("privacy:\n  sharing_controls:\n    recipes: {}\n", 3, "no key privacy.sharing_controls.recipes"),
        ("privacy:\n  sharing_controls:\n    assumptions: team_only\n", 3, "must hold `key: value` lines"),
        ("privacy:\n  default_level: team_only\n  default_level: team_only\n", 3, "is given twice"),
        ("privacy:\n  default_level: 'team_only\n", 3, "not valid YAML"),
        ("- privacy\n", 1, "must hold `key: value` lines"),
        ("privacy:\n  {[a]: b}\n", 2, "a key must be a word"),
        ("privacy:\n  default_level: \x07\n", 2, "may not stand in YAML"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_file_and_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_rules([DEFAULTS, path])
    assert caught.value.message.startswith(f"{path}, line {line}: ")
    assert words in caught.value.message
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_or_say_too_little(tmp_path: Path) -> None:
    (tmp_path / PRIVACY_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="cannot be read: UnicodeDecodeError"):
        load_rules([tmp_path / PRIVACY_FILE])
    with pytest.raises(ConfigurationError, match=r"privacy\.default_level"):
        load_rules([])
    with pytest.raises(ConfigurationError, match=r"research_findings completely"):
        load_rules([written(tmp_path, "privacy: {default_level: team_only}\n")])
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        load_rules([written(tmp_path, "[" * 5000)])
    assert load_rules([DEFAULTS, written(tmp_path, "# nothing\n")]).patterns


@pytest.mark.parametrize(
    ("kind", "path", "level"),
    [
        (Kind.DOCUMENT, "a.md", Level.PRIVATE),
        (Kind.RESEARCH_FINDING, "a.md", Level.TEAM),
        (Kind.CODE_EXAMPLE, "a.md", Level.TEAM),
        (Kind.ASSUMPTION, "a.md", Level.TEAM),
        (Kind.IMPLEMENTATION_LOG, "a.md", Level.PRIVATE),
        (Kind.CODE_EXAMPLE, "internal/a.md", Level.PRIVATE),
    ],
)
def test_the_level_of_what_nobody_spoke_about(kind: Kind, path: str, level: Level) -> None:
    assert load_rules([DEFAULTS]).initial_level(kind, path) is level


def test_team_only_as_the_default_level() -> None:
    rules = PrivacyRules(DefaultLevel.TEAM_ONLY, (PrivatePattern("secretish"),), {})
    assert rules.initial_level(Kind.DOCUMENT, "a.md") is Level.TEAM
    assert rules.initial_level(Kind.DOCUMENT, "secretish/a.md") is Level.PRIVATE
