"""``bailiwick remote``: which folder or bucket this workspace is synchronised with."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.crypto.passphrases import read_passphrase_file
from core.crypto.secret import Secret
from core.errors import InvalidInput, Unreachable
from tui.amounts import counted
from tui.commands.nouns import answer, noun, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.syncing import Report, syncing
from tui.commands.unlocking import terminal
from tui.moments import moment_text, now

if TYPE_CHECKING:
    from core.sync.joining import Joined, JoinWay
    from core.sync.service import SyncService

ASK_SECONDS = 2.0
_KEPT = "It is shown once and kept nowhere: write it down, and keep it apart from this machine and from the remote."


@noun
def remote() -> None:
    """Set or join the folder or bucket that other machines and the team share with this workspace.

    A URL is a folder, s3://BUCKET[/PREFIX]?profile=r2|aws&endpoint=URL, or an https:// address that can only be read.
    Credentials come from the environment, the keychain or a file, never from a command line.
    """


@remote.command("set")
@click.argument("url")
@click.option("--single-writer", is_flag=True, help="For a store that ignores conditions: one device alone writes.")
@common_options
@pass_invocation
def set_remote(invocation: Invocation, url: str, single_writer: bool) -> None:
    """Try the store at URL, which holds no workspace yet, and make it this workspace's remote.

    Its recovery code, shown once, opens everything on any machine.
    """
    with syncing(invocation, "remote set", must_exist=False) as workspace:
        founded = workspace.sync.set_remote(absolute(url), single_writer=single_writer)
        status = workspace.sync.status().remote
    lines = [
        f"The remote {status.url} is set.",
        "",
        f"    {founded.recovery_code.text()}",
        "",
        f"This recovery code opens everything that is sealed there, on any machine. {_KEPT}",
        f"Another machine joins with `bailiwick remote join '{status.url}'`; `bailiwick sync` sends what is here.",
    ]
    if founded.passphrases:
        slots = counted(founded.passphrases, "passphrase slot lies", "passphrase slots lie")
        lines.append(f"{slots} in the remote: whoever can read it may try to guess, so let them be long.")
    document = {
        "url": status.url,
        "workspace": founded.workspace,
        "writers": founded.writers,
        "passphrases": founded.passphrases,
        "temporary": founded.temporary,
        "recovery_code": founded.recovery_code.text(),
    }
    answer(invocation, document, lines)
    founded.recovery_code.forget()


@remote.command()
@click.argument("url")
@click.option("--code-file", default="", metavar="F", help="The recovery code is in this file, or in the pipe.")
@click.option("--passphrase-file", default="", metavar="F", help="The passphrase is in this file, or in the pipe.")
@click.option("--approval", is_flag=True, help="Have another device approve it; the default where nobody can be asked.")
@click.option("--member", is_flag=True, help="As another user of the team, with keys of one's own.")
@common_options
@pass_invocation
def join(invocation: Invocation, url: str, code_file: str, passphrase_file: str, approval: bool, member: bool) -> None:
    """Make this workspace one with what the remote at URL holds; `bailiwick sync` then brings everything here.

    In a terminal the recovery code or passphrase is asked for. With --approval a code is shown to type on a device
    that has joined: `bailiwick remote approve CODE`.
    """
    if [bool(code_file), bool(passphrase_file), approval, member].count(True) > 1:
        raise InvalidInput(
            "Say one thing that opens the remote.", "--code-file, --passphrase-file, --approval or --member."
        )
    url = absolute(url)
    with syncing(invocation, "remote join", must_exist=False) as workspace:
        opener = _opener(code_file, passphrase_file, approval=approval, member=member)
        report = Report()
        try:
            joined = _join(workspace.sync, url, opener, report)
        finally:
            report.end()
    lines = [f"Joined {url}: {counted(joined.slots, 'key slot')} came along. `bailiwick sync` brings the rest here."]
    if joined.resealed:
        lines.append(f"{counted(joined.resealed, 'item')} that was sealed here is sealed with the remote's keys now.")
    document = {"url": url, "workspace": joined.workspace, "slots": joined.slots, "resealed": joined.resealed}
    answer(invocation, document, lines)


@remote.command()
@common_options
@pass_invocation
def show(invocation: Invocation) -> None:
    """Say which remote this workspace has, and how it stands."""
    from tui.commands.sync import status_lines

    with syncing(invocation, "remote show") as workspace:
        shown = workspace.sync.status()
    lines = [f"{shown.remote.url}  ({shown.remote.kind})"] if shown.remote.url else []
    answer(invocation, {"remote": shown.remote, "status": shown}, [*lines, *status_lines(shown)])


@remote.command()
@click.argument("url", default="")
@common_options
@pass_invocation
def probe(invocation: Invocation, url: str) -> None:
    """Try what the store at URL, or the remote, can do: conditions, order of listings, deleting, how long it takes."""
    with syncing(invocation, "remote probe", must_exist=not url) as workspace:
        report = workspace.sync.probe(absolute(url) if url else "")
    told = {
        "an object that is there is not overwritten": report.conditions,
        "of eight writers at once one wins": report.race,
        "it lists": report.lists,
        "it deletes": report.deletes,
    }
    lines = [f"{'yes' if holds else 'NO ':4} {what}" for what, holds in told.items()]
    who = {"many": "Many devices may write.", "one": "One device alone may write.", "none": "It can only be read."}
    answer(invocation, report, [*lines, f"{who[report.writers]} {report.reason}".rstrip()])


@remote.command()
@click.argument("code", default="")
@common_options
@pass_invocation
def approve(invocation: Invocation, code: str) -> None:
    """Let the device that shows CODE join; without CODE it is asked for, or read from standard input."""
    with syncing(invocation, "remote approve") as workspace:
        given = Secret(code or _typed_code())
        request = workspace.sync.approve(given)
        given.forget()
    document = {"id": request.id, "device": request.device_name, "user": request.user, "asked_at": request.asked_at}
    answer(invocation, document, [f"{request.device_name} of {request.user} may join now."])


@remote.command()
@common_options
@pass_invocation
def devices(invocation: Invocation) -> None:
    """List the devices by their last commits; a problem says that an audit was cut or a signature does not fit."""
    with syncing(invocation, "remote devices") as workspace:
        found = workspace.sync.status().devices
    rows = [
        (
            f"{each.name} (this one)" if each.is_this else each.name,
            each.user,
            f"{each.commits:,}",
            moment_text(each.last_commit_at, now()),
            f"{each.audit_position:,}",
            each.problem,
        )
        for each in found
    ]
    heads = ("DEVICE", "USER", "COMMITS", "LAST", "AUDIT", "PROBLEM")
    answer(invocation, {"devices": found}, table(heads, rows, "No device has committed anything yet."))


def absolute(url: str) -> str:
    """``url``, or the whole path of the folder that it names: it is remembered, and used from other folders."""
    return url if "://" in url else str(Path(url).expanduser().absolute())


@dataclass(frozen=True, slots=True)
class _Opener:
    """What opens a remote; by approval nothing is given yet."""

    way: JoinWay
    given: Secret | None = None


def _opener(code_file: str, passphrase_file: str, *, approval: bool, member: bool) -> _Opener:
    # Imported here: --help needs none of the rooms that joining needs.
    from core.sync.joining import JoinWay

    if member:
        return _Opener(JoinWay.MEMBER)
    if code_file:
        return _Opener(JoinWay.RECOVERY_CODE, read_passphrase_file(Path(code_file)))
    if passphrase_file:
        return _Opener(JoinWay.PASSPHRASE, read_passphrase_file(Path(passphrase_file)))
    prompt = terminal()
    if approval or prompt is None:
        return _Opener(JoinWay.APPROVAL)
    code = prompt("Recovery code of the remote (nothing: another device approves): ").strip()
    return _Opener(JoinWay.RECOVERY_CODE, Secret(code)) if code else _Opener(JoinWay.APPROVAL)


def _join(sync: SyncService, url: str, opener: _Opener, report: Report) -> Joined:
    from core.sync.joining import JoinWay

    def resealing(done: int, total: int) -> None:
        report.advance("Sealing again", done, total)

    if opener.way is not JoinWay.APPROVAL:
        return sync.join(url, opener.way, opener.given, resealing)
    code = sync.ask_to_join(url)
    Invocation.say("On a device that has joined, within a day:")
    # Not through `say`, which would take the code for a secret and leave it out.
    print(f"\n    bailiwick remote approve {code.text()}\n", file=sys.stderr, flush=True)
    Invocation.say("This waits until that was done; Ctrl+C gives up.")
    while True:
        try:
            return sync.join(url, JoinWay.APPROVAL, code, resealing)
        except Unreachable:
            time.sleep(ASK_SECONDS)


def _typed_code() -> str:
    prompt = terminal()
    code = prompt("Code that the other device shows: ") if prompt is not None else sys.stdin.readline(200)
    if not code.strip():
        raise InvalidInput("Say the code that the other device shows.")
    return code.strip()
