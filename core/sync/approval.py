"""Joining by approval: a new device shows a code, and on another device of the user it is typed.

The code is a secret that both sides prove to each other and that never lies in the remote: who can write there can
neither slip in a device of his own nor have a new device join keys of his. The request names the new device's public
key; the answer, sealed to it, is the key file of a slot made for it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.crypto.identity import key_pair, new_key_pair
from core.crypto.openers import add_key_file
from core.crypto.sealing import check_recipient, open_sealed, seal
from core.crypto.secret import Secret
from core.crypto.whole_files import delete, read_private, write_new
from core.crypto.workspace_keys import MACHINE_LABEL
from core.errors import BailiwickError, InvalidInput, NotFound, ObjectMissing, ObjectTooLarge, Unreachable
from core.ids import new_id
from core.remote.store import ObjectStore
from core.sync.key_exchange import send_keys
from core.sync.remote_identity import JSON_FACTS, ROOT

REQUESTS = f"{ROOT}/requests/"
HOURS = 24
"""How long a request is listed."""
LARGEST_REQUEST = 8 * 1024
MOST_REQUESTS = 50
MOST_LISTED = 20_000
KEY_FILE = "joining.key"
"""In the folder of the workspace's keys: the private key of a request that waits."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"} | dict.fromkeys("- _\t\r\n"))
_SYMBOLS = 12
_ID = re.compile("[0-9a-z]{26}")
_FORMAT = "bailiwick-join-request"


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A device that asks to join; its name and user are what it says of itself, until its code fits."""

    id: str
    device_name: str
    user: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class _Request:
    shown: JoinRequest
    recipient: str
    body: bytes
    proof: str


def ask_to_join(agentfs: AgentFS, store: ObjectStore, *, device_name: str) -> Secret:
    """Put a request into the remote; the answer is the code to show, which is kept nowhere.

    A request of this workspace that still waits is taken back. Raises what the store raises.
    """
    end_request(agentfs, store)
    request_id, pair = new_id(), new_key_pair()
    code = Secret("".join(secrets.choice(_ALPHABET) for _ in range(_SYMBOLS)))
    body = json.dumps(
        {
            "format": _FORMAT,
            "version": 1,
            "id": request_id,
            "device": device_name[:60],
            "user": agentfs.guard.settings.user[:60],
            "asked_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "recipient": pair.recipient,
        },
        sort_keys=True,
    )
    told = {"body": body, "proof": _proof(code, request_id, b"request", body.encode())}
    folder = agentfs.root / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_new(folder / KEY_FILE, Secret(f"# request {request_id}\n{pair.secret.text()}\n"))
    store.put_if_absent(f"{REQUESTS}{request_id}", json.dumps(told).encode(), JSON_FACTS)
    return Secret("-".join(code.text()[at : at + 4] for at in range(0, _SYMBOLS, 4)))


def join_requests(store: ObjectStore) -> list[JoinRequest]:
    """The requests that wait, oldest first; what is older than a day or cannot be read is left out."""
    return [request.shown for request in _requests(store)]


def approve(agentfs: AgentFS, store: ObjectStore, code: Secret, *, by: Actor) -> JoinRequest:
    """Give the keys of this workspace to the device that shows ``code``.

    Raises NotFound when no request fits the code, Locked, and what the store raises.
    """
    typed = _read_code(code)
    identity = agentfs.keys.prepare().identity
    for request in _requests(store):
        if hmac.compare_digest(
            _proof(typed, request.shown.id, b"request", request.body).encode(), request.proof.encode()
        ):
            break
    else:
        raise NotFound("No device that asks to join shows that code.", "Check it, and that it was shown today.")
    slots = agentfs.keys.keys.slots
    slot_id = new_id()
    scratch = agentfs.keys.key_files / f".approving-{slot_id}"
    scratch.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        add_key_file(slots, identity, scratch, label=MACHINE_LABEL, slot_id=slot_id)
        key_file = read_private(scratch, "key file")
    finally:
        delete(scratch)
    agentfs.audit.record(by, "remote.approve", slot_id, {"request": request.shown.id})
    sealed = seal(key_file, [request.recipient])
    send_keys(store, slots, identity)
    proved = _proof(typed, request.shown.id, b"answer", sealed).encode()
    store.put_if_absent(f"{REQUESTS}{request.shown.id}.answer", proved + b"\n" + sealed)
    return request.shown


def take_answer(agentfs: AgentFS, store: ObjectStore, code: Secret, folder: Path) -> Path:
    """The key file that an approving device sent, in ``folder``; the request is taken back.

    Raises Unreachable while nobody has approved, InvalidInput when this workspace has not asked, or what answers does
    not know the code.
    """
    request_id, own = _own_request(agentfs)
    if not request_id:
        raise InvalidInput("This workspace has not asked to join.", "Ask with `bailiwick remote join URL --approval`.")
    try:
        answer = store.get(f"{REQUESTS}{request_id}.answer", at_most=LARGEST_REQUEST)
    except ObjectMissing:
        raise Unreachable(
            "No other device has approved yet.", "Run `bailiwick remote approve CODE` on one that is joined."
        ) from None
    proof, _, sealed = answer.partition(b"\n")
    typed = _read_code(code)
    if not hmac.compare_digest(_proof(typed, request_id, b"answer", sealed).encode(), proof):
        raise InvalidInput(
            "What answered does not know the code that this device shows.",
            "Ask again; if it happens again, find out who else can write in the remote.",
        )
    path = folder / "approved.key"
    write_new(path, Secret(open_sealed(sealed, [key_pair(own).secret], "The approval")))
    return path


def end_request(agentfs: AgentFS, store: ObjectStore) -> None:
    """Take back what this workspace asked, and what was answered, where anything lies there."""
    request_id, _ = _own_request(agentfs)
    if request_id:
        store.delete([f"{REQUESTS}{request_id}", f"{REQUESTS}{request_id}.answer"])
    path = agentfs.root / "keys" / KEY_FILE
    if path.exists():
        delete(path)


def _own_request(agentfs: AgentFS) -> tuple[str, Secret]:
    try:
        content = read_private(agentfs.root / "keys" / KEY_FILE, "request")
    except NotFound:
        return "", Secret(b"")
    found = re.fullmatch(rb"# request ([0-9a-z]{26})\n(AGE-SECRET-KEY-1[0-9A-Z]+)\n", content.reveal())
    return (found[1].decode(), Secret(found[2])) if found else ("", Secret(b""))


def _requests(store: ObjectStore) -> list[_Request]:
    found = []
    oldest = datetime.now(UTC) - timedelta(hours=HOURS)
    names: list[str] = []
    after = ""
    while (page := store.list(REQUESTS, after=after)) and len(names) < MOST_LISTED:
        names += [info.key.removeprefix(REQUESTS) for info in page]
        after = page[-1].key
    # The newest are read: whoever fills the remote with old requests hides nothing.
    for name in [name for name in names if _ID.fullmatch(name)][-MOST_REQUESTS:]:
        with suppress(ObjectMissing, ObjectTooLarge):
            request = _parsed(store.get(f"{REQUESTS}{name}", at_most=LARGEST_REQUEST), name)
            if request is not None and request.shown.asked_at > oldest:
                found.append(request)
    return found


def _parsed(data: bytes, request_id: str) -> _Request | None:
    try:
        held = json.loads(data)
        body = str(held["body"])
        said = json.loads(body)
        if said["format"] != _FORMAT or said["version"] != 1 or said["id"] != request_id:
            return None
        asked_at = datetime.fromisoformat(said["asked_at"])
        check_recipient(said["recipient"])
        device, user = str(said["device"]), str(said["user"])
        if asked_at.tzinfo is None or not all(len(name) <= 60 and name.isprintable() for name in (device, user)):
            return None
        shown = JoinRequest(request_id, device, user, asked_at)
        return _Request(shown, said["recipient"], body.encode(), str(held["proof"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BailiwickError):
        return None


def _fits(request: _Request, code: Secret) -> bool:
    expected = _proof(code, request.shown.id, b"request", request.body)
    return hmac.compare_digest(expected.encode(), request.proof.encode())


def _read_code(typed: Secret) -> Secret:
    code = Secret(typed.text().upper().translate(_READ_AS))
    if len(code.reveal()) != _SYMBOLS or set(code.text()) - set(_ALPHABET):
        raise InvalidInput(f"A code to join has {_SYMBOLS} letters and digits.", "It looks like 7KQ2-M9XD-40TB.")
    return code


def _proof(code: Secret, request_id: str, what: bytes, message: bytes) -> str:
    """A keyed hash that takes the code's 60 bits and 16 MiB of work: nobody finds the code in the time it is good."""
    key = hashlib.scrypt(code.reveal(), salt=b"bailiwick/v1/join/" + request_id.encode(), n=1 << 14, r=8, p=1, dklen=32)
    return hmac.digest(key, what + b"\n" + message, "sha256").hex()
