"""Where the credentials of a bucket come from, and that nothing shows them."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail

from core.crypto.secret import Secret
from core.errors import RemoteRefused, Unreachable
from core.remote.credentials import FILE, find_credentials, forget_credentials, keep_credentials
from core.remote.opening import open_store
from tests.agentfs.canaries import new_canary
from tests.crypto.memory_keychain import MemoryKeychain


@pytest.fixture(autouse=True)
def no_keychain() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"BAILIWICK_HOME": str(tmp_path / "home")}


def write(environ: dict[str, str], text: str, mode: int = 0o600) -> Path:
    path = Path(environ["BAILIWICK_HOME"]) / "config" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_comes_before_the_keychain_and_that_before_the_file(environ: dict[str, str]) -> None:
    write(environ, "key_id: of-file\nsecret: abc\nharbour: {key_id: of-harbour, secret: def}\n")
    assert find_credentials("docs", environ).key_id == "of-file"
    assert find_credentials("harbour", environ).key_id == "of-harbour"
    keyring.set_keyring(MemoryKeychain())
    keep_credentials("docs", "of-keychain", Secret("with:colon"))
    found = find_credentials("docs", environ)
    assert (found.key_id, found.secret, found.origin) == ("of-keychain", Secret("with:colon"), "keychain")
    aws = {**environ, "AWS_ACCESS_KEY_ID": "of-aws", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "t"}
    assert find_credentials("docs", aws).key_id == "of-aws"
    assert find_credentials("docs", aws).token == Secret("t")
    own = {**aws, "BAILIWICK_REMOTE_KEY_ID": "own", "BAILIWICK_REMOTE_SECRET": "y"}
    assert find_credentials("docs", own).key_id == "own"
    forget_credentials("docs")
    assert find_credentials("docs", environ).key_id == "of-file"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o604])
def test_a_file_that_others_could_read_is_refused(environ: dict[str, str], mode: int) -> None:
    path = write(environ, "key_id: a\nsecret: b\n", mode)
    with pytest.raises(RemoteRefused, match="by others") as raised:
        find_credentials("docs", environ)
    assert str(path) in raised.value.message
    assert "chmod 600" in raised.value.hint


@pytest.mark.parametrize("text", ["", "- a", "key_id: 1\nsecret: b", "key_id: a", "{", "secret: {a: b}", "\x00"])
def test_a_file_that_holds_none_says_so(environ: dict[str, str], text: str) -> None:
    write(environ, text)
    with pytest.raises(RemoteRefused, match="holds no `key_id:`"):
        find_credentials("docs", environ)


def test_half_a_pair_is_told_by_name(environ: dict[str, str]) -> None:
    with pytest.raises(RemoteRefused, match="AWS_SECRET_ACCESS_KEY is not"):
        find_credentials("docs", {**environ, "AWS_ACCESS_KEY_ID": "a"})


def test_without_a_keychain_nothing_is_kept(environ: dict[str, str]) -> None:
    with pytest.raises(Unreachable, match="no keychain"):
        keep_credentials("docs", "a", Secret("b"))


def test_a_locked_keychain_is_none(environ: dict[str, str]) -> None:
    held = MemoryKeychain()
    keyring.set_keyring(held)
    held.locked = True
    write(environ, "key_id: of-file\nsecret: abc\n")
    assert find_credentials("docs", environ).key_id == "of-file"


def test_nothing_shows_the_secret(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    canary = new_canary()
    given = {**environ, "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": canary, "AWS_SESSION_TOKEN": canary}
    caplog.set_level("DEBUG")
    found = find_credentials("docs", given)
    store = open_store("s3://docs?endpoint=http://127.0.0.1:9", given)
    with pytest.raises(Unreachable) as raised:
        store.get("a")
    shown = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=False).format())
    assert canary not in f"{found} {found!r} {vars(store)} {store.name} {raised.value} {raised.value.facts} {shown}"
    logged = [each.getMessage() for each in caplog.records if each.name.startswith("core")]
    assert canary not in " ".join(logged)
    assert os.environ.get("AWS_SECRET_ACCESS_KEY") != canary
    store.close()
