"""The workspace's identity: age X25519 keys in generations, and how they are written into what is sealed.

A key slot holds every generation there was when it was made, and a key of its own. A later generation is one immutable
file sealed to the keys of the slots of its day (``rotation``). So making a generation is the appearance of one file:
it needs no passphrase but that of the slot that is open, there is no half-way state, and a slot that was removed
before cannot open it. The alternative, one list sealed again into each slot, would need every passphrase at hand and
a replacement of every slot at once.

Both kinds of file contain plain age identity files, so ``age -d SLOT > keys; age -d -i keys FILE`` needs no Bailiwick.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.crypto.secret import Secret, derived
from core.errors import InvalidInput, SealBroken
from core.ids import stable_id

_MARK = re.compile(r"# (slot key|slot|identity|generation|after|slots|proof)(?: ([0-9A-Za-z ]*))?")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An age X25519 key: ``recipient`` is public (``age1…``), ``secret`` the identity (``AGE-SECRET-KEY-1…``)."""

    recipient: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Generation:
    """One key of the workspace; new writes use the one with the highest number."""

    number: int
    key: KeyPair

    @property
    def id(self) -> str:
        """16 characters that stand for it in file names; not secret."""
        return stable_id("bailiwick generation", self.key.recipient)


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that an opened slot gives: all generations it may open, oldest first, and the slot's own key.

    ``unopened`` names the generation files that this slot cannot open: while there are any, nothing new is sealed.
    """

    generations: tuple[Generation, ...]
    slot_id: str = ""
    slot_key: KeyPair | None = None
    unopened: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """16 characters that name the workspace's identity for ever, on every machine; not secret."""
        return stable_id("bailiwick identity", self.generations[0].key.recipient)

    @property
    def newest(self) -> Generation:
        """The generation that new writes use."""
        return self.generations[-1]

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What opens sealed things, newest generation first."""
        return tuple(each.key.secret for each in reversed(self.generations))

    def generation(self, generation_id: str) -> Generation:
        """The generation of that id; raises InvalidInput when there is none here."""
        for each in self.generations:
            if each.id == generation_id:
                return each
        raise InvalidInput(f"There is no generation {generation_id} among the keys that are held here.")

    def extended(self, more: Iterable[Generation], unopened: tuple[str, ...] = ()) -> Identity:
        """This identity with ``more`` generations."""
        by_recipient = {each.key.recipient: each for each in (*more, *self.generations)}
        ordered = sorted(by_recipient.values(), key=lambda each: (each.number, each.key.recipient))
        return replace(self, generations=tuple(ordered), unopened=unopened)

    def forget(self) -> None:
        """Overwrite every secret in it."""
        for each in self.generations:
            each.key.secret.forget()
        if self.slot_key is not None:
            self.slot_key.secret.forget()


def new_key_pair() -> KeyPair:
    """A new random key."""
    import pyrage

    return key_pair(Secret(str(pyrage.x25519.Identity.generate())))


def key_pair(secret: Secret) -> KeyPair:
    """The key of an ``AGE-SECRET-KEY-1…``; raises SealBroken when it is none."""
    import pyrage

    try:
        return KeyPair(str(pyrage.x25519.Identity.from_str(secret.text()).to_public()), secret)
    except (pyrage.IdentityError, ValueError):
        raise SealBroken("A key in the workspace's identity is damaged.", "Use another slot.") from None


def new_identity() -> Identity:
    """A new workspace identity with one generation; it is lost unless a slot is added for it."""
    return Identity((Generation(1, new_key_pair()),))


def slot_content(identity: Identity, slot_id: str, slot_key: KeyPair) -> Secret:
    """What is sealed into a slot."""
    labelled = [(f"generation {each.number}", each.key.secret) for each in identity.generations]
    head = f"# Bailiwick key slot, format 1: these keys open what the workspace sealed.\n# slot {slot_id}\n"
    return Secret(
        head + "".join(f"# {label}\n{secret.text()}\n" for label, secret in (*labelled, ("slot key", slot_key.secret)))
    )


def read_slot_content(content: Secret, name: str) -> Identity:
    """The identity in a slot; raises SealBroken, about ``name``, when it is not what ``slot_content`` writes."""
    marks, keys = _parsed(content)
    generations = tuple(
        Generation(int(label.removeprefix("generation ")), key_pair(secret))
        for label, secret in keys
        if re.fullmatch("generation [1-9][0-9]{0,5}", label)
    )
    own = [key_pair(secret) for label, secret in keys if label == "slot key"]
    if len(own) != 1 or len(generations) + 1 != len(keys) or not generations or generations[0].number != 1:
        raise SealBroken(f"{name} was opened, but holds no identity.", "Use another slot.")
    return Identity((), marks.get("slot", ""), own[0]).extended(generations)


@dataclass(frozen=True, slots=True)
class GenerationFile:
    """What is sealed into a generation file: a generation, the recipient of the one before, and who it is sealed to."""

    identity_id: str
    generation: Generation
    after: str
    slots: tuple[str, ...]

    def content(self, before: Generation) -> Secret:
        """The text, with its proof: recipients are public, so that anyone could seal a key of his own to the slots."""
        body = self._body()
        return Secret(body.reveal() + f"# proof {_proof(before, body)}\n".encode())

    def _body(self) -> Secret:
        lines = (
            "# Bailiwick key generation, format 1",
            f"# identity {self.identity_id}",
            f"# after {self.after}",
            f"# slots {' '.join(self.slots)}",
            f"# generation {self.generation.number}",
        )
        return Secret("\n".join((*lines, self.generation.key.secret.text(), "")))


def read_generation_file(content: Secret, identity: Identity, name: str) -> GenerationFile | None:
    """The generation in an opened file; None when ``identity`` lacks the one before it, and so cannot check it.

    Raises SealBroken, about ``name``, when its text is not as written, or the holder of the generation before has not
    made it.
    """
    marks, keys = _parsed(content)
    label = keys[0][0] if len(keys) == 1 else ""
    before = next((each for each in identity.generations if each.key.recipient == marks.get("after")), None)
    if not re.fullmatch("generation [1-9][0-9]{0,5}", label):
        raise forged(name)
    if before is None:
        return None
    found = GenerationFile(
        marks.get("identity", ""),
        Generation(int(label.removeprefix("generation ")), key_pair(keys[0][1])),
        before.key.recipient,
        tuple(marks.get("slots", "").split()),
    )
    if (
        found.identity_id != identity.id
        or found.generation.number != before.number + 1
        or found.content(before) != content
    ):
        raise forged(name)
    return found


def forged(name: str) -> SealBroken:
    """The error for a key file in the workspace that no holder of its keys has written."""
    return SealBroken(
        f"{name} was not made by a holder of this workspace's keys, or was changed since.",
        "Find out who can write in the folder of the keys.",
    )


def proof(generation: Generation, purpose: bytes, text: bytes) -> str:
    """A keyed hash (HMAC-SHA256) that only a holder of ``generation`` can make or check."""
    return hmac.digest(derived(generation.key.secret, purpose).reveal(), text, "sha256").hex()


def _proof(before: Generation, body: Secret) -> str:
    return proof(before, b"bailiwick/v1/generation", body.reveal())


def _parsed(content: Secret) -> tuple[dict[str, str], list[tuple[str, Secret]]]:
    """The marks, and each key with the mark before it. Raises nothing, so that no traceback has its lines."""
    marks: dict[str, str] = {}
    keys: list[tuple[str, Secret]] = []
    label = ""
    for line in content.text().splitlines():
        mark = _MARK.fullmatch(line)
        if mark:
            label = line[2:]
            marks[mark[1]] = mark[2] or ""
        elif line and not line.startswith("#"):
            keys.append((label, Secret(line)))
            label = ""
    return marks, keys
