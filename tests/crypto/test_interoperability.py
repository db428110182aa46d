"""The ``age`` program opens what Bailiwick seals, and the other way round: nobody depends on Bailiwick for his data."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.backup import write_backup
from core.crypto.age_format import open_by_passphrase
from core.crypto.identity import Identity, new_key_pair, read_slot_content
from core.crypto.keys import Keys
from core.crypto.openers import add_passphrase, add_recovery_code, open_by_recovery_code
from core.crypto.openers import open_by_passphrase as unlock
from core.crypto.rotation import rotate
from core.crypto.sealing import open_sealed, open_stream, seal, seal_stream
from core.crypto.secret import Secret
from core.crypto.slots import KeySlots
from core.ids import sha256_hex

pytestmark = pytest.mark.skipif(
    shutil.which("age") is None, reason="the age program is not installed (Debian: apt-get install age)"
)
ADA = Actor(ActorKind.PERSON, "ada", "cli")
CONTENT = bytes(range(256)) * 1000


def age(*arguments: str | Path, data: bytes = b"") -> bytes:
    """What the program answers."""
    done = subprocess.run(["age", *map(str, arguments)], input=data, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def age_typing(typed: str, *arguments: str | Path) -> None:
    """Run the program on a terminal of its own, where ``typed`` and Enter answer each of its questions."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("age", ["age", *map(str, arguments)])
    said, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
        if piece.rstrip().endswith(b":"):
            time.sleep(0.05)
            os.write(terminal, typed.encode() + b"\n")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, said


def identity_file(path: Path, secret: Secret) -> Path:
    """A file for ``age -i``."""
    path.touch(0o600)
    path.write_bytes(secret.reveal() + b"\n")
    return path


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 1_000_000])
def test_age_opens_what_is_sealed_here(tmp_path: Path, size: int) -> None:
    key, other = new_key_pair(), new_key_pair()
    data = (CONTENT * 4)[:size]
    (tmp_path / "sealed.age").write_bytes(seal(data, [other.recipient, key.recipient]))
    keys = identity_file(tmp_path / "keys", key.secret)
    assert age("-d", "-i", keys, tmp_path / "sealed.age") == data


def test_age_opens_a_stream_sealed_here(tmp_path: Path) -> None:
    key = new_key_pair()
    (tmp_path / "plain").write_bytes(CONTENT)
    with (tmp_path / "plain").open("rb") as source, (tmp_path / "sealed.age").open("wb") as target:
        seal_stream(source, target, [key.recipient])
    assert age("-d", "-i", identity_file(tmp_path / "keys", key.secret), tmp_path / "sealed.age") == CONTENT


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 1_000_000])
def test_what_age_sealed_is_opened_here(tmp_path: Path, size: int) -> None:
    key, other = new_key_pair(), new_key_pair()
    data = (CONTENT * 4)[:size]
    sealed = age("-r", other.recipient, "-r", key.recipient, data=data)
    assert open_sealed(sealed, [key.secret]) == data
    (tmp_path / "sealed.age").write_bytes(sealed)
    with (tmp_path / "sealed.age").open("rb") as source, (tmp_path / "plain").open("wb") as target:
        open_stream(source, target, [key.secret])
    assert (tmp_path / "plain").read_bytes() == data


def test_a_workspace_is_recovered_with_age_alone(
    slots: KeySlots, identity: Identity, passphrase: Secret, tmp_path: Path
) -> None:
    """A slot, what was sealed before a rotation, the generation file, and what was sealed after."""
    slot = add_passphrase(slots, identity, passphrase)
    old = seal(b"old " + CONTENT, [identity.newest.key.recipient])
    rotated = rotate(slots, unlock(slots, passphrase))
    new = seal(b"new " + CONTENT, [rotated.newest.key.recipient])

    keys = tmp_path / "keys"
    age_typing(passphrase.text(), "-d", "-o", keys, slots.folder / "slots" / f"{slot.id}.age")
    assert read_slot_content(Secret(keys.read_bytes()), "It").generations == identity.generations
    assert age("-d", "-i", keys, data=old) == b"old " + CONTENT
    (generation,) = (slots.folder / "generations").iterdir()
    newer = tmp_path / "newer"
    newer.write_bytes(age("-d", "-i", keys, generation))
    assert age("-d", "-i", newer, data=new) == b"new " + CONTENT


def test_a_recovery_code_as_shown_is_the_passphrase_for_age(
    slots: KeySlots, identity: Identity, tmp_path: Path
) -> None:
    slot, code = add_recovery_code(slots, identity)
    keys = tmp_path / "keys"
    age_typing(code.text(), "-d", "-o", keys, slots.folder / "slots" / f"{slot.id}.age")
    assert age("-d", "-i", keys, data=seal(b"x", [identity.newest.key.recipient])) == b"x"


@pytest.mark.parametrize("rotated", [False, True])
def test_an_encrypted_backup_is_restored_with_tar_and_age_alone(
    slots: KeySlots, identity: Identity, tmp_path: Path, rotated: bool
) -> None:
    """With the commands that the README names."""
    slot, code = add_recovery_code(slots, identity)
    keys = Keys(slots)
    keys.unlock(lambda: open_by_recovery_code(slots, code))
    if rotated:
        keys.rotate()
    with closing(AgentFS(slots.folder.parent)) as agentfs:
        agentfs.agents.register("scout", "research", owner="ada", by=ADA)
        agentfs.states.put("scout", "large", "word " * 40_000, by=ADA)
        written = write_backup(agentfs, tmp_path / "backup.tar", by=ADA, keys=keys)

    def told(command: str) -> None:
        subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, check=True, timeout=60)

    told("tar xf backup.tar")
    age_typing(code.text(), "-d", "-o", tmp_path / "opened", tmp_path / "keys" / "slots" / f"{slot.id}.age")
    if rotated:
        told("for each in keys/generations/*.age; do age -d -i opened $each >> opened; done")
    told("age -d -i opened backup.tar.gz.age | tar xz")
    for member in written.manifest.members:
        assert sha256_hex((tmp_path / member.name).read_bytes()) == member.sha256
    with closing(sqlite3.connect(tmp_path / "agentfs.db")) as connection:
        (value,) = connection.execute("SELECT state_value FROM agent_states").fetchone()
    assert json.loads(value) == "word " * 40_000


def test_a_passphrase_file_of_age_is_opened_here(passphrase: Secret, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(CONTENT)
    age_typing(passphrase.text(), "-p", "-o", tmp_path / "sealed.age", tmp_path / "plain")
    sealed = (tmp_path / "sealed.age").read_bytes()
    assert open_by_passphrase(sealed, passphrase, "It").reveal() == CONTENT
