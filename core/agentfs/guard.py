"""What is sensitive, and how it lies here: judged and sealed before it is written, opened when it is read.

Inside the seal the first line names the item and proves, by a keyed hash over item and content, that a holder of this
workspace's keys put it there: a sealed file that was exchanged with another, or made by a stranger, is refused.
"""

from __future__ import annotations

import hmac
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.config import defaults_folder, user_config_folder
from core.errors import ConfigurationError, SealBroken
from core.model import JSONValue, Kind, Level, Sensitivity

if TYPE_CHECKING:
    from core.agentfs.known_identity import KnownIdentity
    from core.crypto.identity import Identity
    from core.crypto.keys import Keys
    from core.crypto.workspace_keys import WorkspaceKeys
    from core.privacy import Classifier, PrivacyRules

_log = logging.getLogger(__name__)
_MARK = b"bailiwick-sealed/1 "
_PROOF_LENGTH = 64
RULES_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """How a workspace guards what it holds.

    ``rule_files`` hold the boundaries, later ones on top of earlier ones; ``key_files`` is the folder, outside the
    workspace, where key files of this machine lie; ``seal_all`` seals every private item, not the sensitive ones alone.
    ``user`` is who works here, ``teams`` the teams of that user.
    """

    rule_files: tuple[Path, ...]
    key_files: Path
    seal_all: bool = False
    user: str = ""
    teams: frozenset[str] = frozenset()
    phone_region: str = ""


def privacy_settings(
    root: Path, *, seal_all: bool = False, user: str = "", teams: Iterable[str] = (), phone_region: str = ""
) -> PrivacySettings:
    """The settings of the workspace at ``root``: boundaries from the defaults, the user's file and the workspace's."""
    files = tuple(folder / "privacy_config.yml" for folder in (defaults_folder(), user_config_folder(), root))
    return PrivacySettings(files, user_config_folder() / "keys", seal_all, user, frozenset(teams), phone_region)


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to happen with content: the ``level`` it has, why it is sensitive, and whether it is sealed."""

    level: Level
    sensitive: Sensitivity
    seal: bool


class Guard:
    """Safe from any thread. Rules, keys and scanners are loaded when first needed: reading what is plain needs none."""

    def __init__(self, settings: PrivacySettings, folder: Path, known: KnownIdentity | None = None) -> None:
        """``folder`` is where the workspace's key slots lie; with ``known`` it seals under that identity alone.

        ``on_keys_changed`` may be set to hear of locking.
        """
        self.settings = settings
        self.on_keys_changed: Callable[[bool], None] = lambda locked: None
        self._folder = folder
        self._known = known
        self.rules_problem = ""
        """Why the boundaries could not be read when that was last tried; empty where they could."""
        self._rules: PrivacyRules | None = None
        self._files: tuple[tuple[int, int] | None, ...] = ()
        self._looked_at = 0.0
        self._keys: WorkspaceKeys | None = None
        self._founded = ""
        self._lock = threading.Lock()

    @property
    def rules(self) -> PrivacyRules:
        """The boundaries, read again within a second of a change of their files.

        Raises ConfigurationError when a file of theirs cannot be used; while it worked before, what it said holds on.
        """
        moment = time.monotonic()
        if self._rules is None or moment - self._looked_at >= RULES_SECONDS:
            self._looked_at = moment
            present = tuple(_facts(path) for path in self.settings.rule_files)
            if self._rules is None or present != self._files:
                self._files = present
                self._read_rules()
        assert self._rules is not None
        return self._rules

    def _read_rules(self) -> None:
        from core.privacy import load_rules

        try:
            self._rules = load_rules(self.settings.rule_files)
            self.rules_problem = ""
        except ConfigurationError as error:
            self.rules_problem = str(error)
            if self._rules is None:
                raise
            _log.warning("the boundaries are not read anew: %s", error)

    @property
    def keys(self) -> WorkspaceKeys:
        """The workspace's keys in this process."""
        with self._lock:
            if self._keys is None:
                from core.crypto.workspace_keys import IdentityRecord, WorkspaceKeys

                known = self._known
                record = IdentityRecord(known.known, known.note, known.oldest_sealed) if known is not None else None
                self._keys = keys = WorkspaceKeys(self._folder, self.settings.key_files, record=record)
                keys.subscribe(lambda: self.on_keys_changed(keys.keys.is_locked))
            return self._keys

    @property
    def has_keys(self) -> bool:
        """Whether the workspace has key slots, told without loading what opens them."""
        return any((self._folder / "slots").glob("*.age"))

    def judge(
        self, path: str, kind: Kind, value: JSONValue, *, found: Sensitivity | None = None, level: Level | None = None
    ) -> Judged:
        """What becomes of ``value`` at ``path``.

        ``found`` is what a scan of the content said already, else it is scanned here; ``level`` is the one it came
        with, else the boundaries give it one. What is sensitive is private.
        """
        rules = self.rules
        if found is None:
            found = self.scan(value)
        if found is Sensitivity.NONE and rules.matching_patterns(path):
            found = Sensitivity.PATTERN
        level = Level.PRIVATE if found is not Sensitivity.NONE else level or rules.usual_level(kind)
        seal = found is not Sensitivity.NONE or (self.settings.seal_all and level is Level.PRIVATE)
        return Judged(level, found, seal)

    def scan(self, value: JSONValue, *, published: bool = False) -> Sensitivity:
        """What the content alone says of ``value``: for whoever scans before taking the lock that ``judge`` is under.

        ``published`` as ``holds_secret`` has it. What cannot be scanned counts as secret.
        """
        from core.privacy import classification

        try:
            found = classification.holds_secret_in(value, published=published)
        except RecursionError:
            found = True
        if not found:
            return Sensitivity.NONE
        self.keys.ready()
        return Sensitivity.SECRET

    def classifier(self) -> Classifier:
        """What finds secrets and personal data, knowing this machine and its user."""
        import getpass
        import platform

        from core.privacy import Classifier

        try:
            names = {self.settings.user, getpass.getuser()}
        except (KeyError, OSError):
            names = {self.settings.user}
        home = os.path.expanduser("~")
        if os.path.basename(home) not in names:
            # A home folder that no name and no usual place gives away.
            names.add(home)
        host = platform.node()
        return Classifier(
            tuple(sorted(name for name in names if len(name) > 2)),
            tuple(sorted({each for each in (host, host.partition(".")[0]) if len(each) > 2 and each != "localhost"})),
            self.settings.phone_region or None,
        )

    def seal(self, item_id: str, data: bytes) -> bytes:
        """``data`` as an age file for this workspace, bound to its item. Raises as ``prepare``, which it calls."""
        keys = self.prepare()
        return keys.seal_for_self(_marked(item_id, self.keys.proof(item_id.encode(), data), data))

    def prepare(self) -> Keys:
        """Unlock the keys, or make them, so that ``seal`` works; the answer is they.

        Raises Locked, SealBroken when the slots are lost or another identity's, and what making the keys raises.
        """
        before = self.keys.founded
        keys = self.keys.prepare()
        if self.keys.founded is not None and self.keys.founded is not before:
            self._founded = self.keys.founded.id
        return keys

    def take_founded(self) -> str:
        """The id of the slot that sealing made, once: for the audit record of it."""
        slot_id, self._founded = self._founded, ""
        return slot_id

    def open(self, item_id: str, sealed: bytes) -> bytes:
        """What ``seal`` sealed for this item; raises Locked, WrongKey and SealBroken."""
        opened = self.keys.open(sealed, f"The sealed content of {item_id}")
        head, separator, data = opened.partition(b"\n")
        mark, named, proof = head[: len(_MARK)], *_split(head[len(_MARK) :])
        if not separator or mark != _MARK or len(proof) != _PROOF_LENGTH:
            raise SealBroken(f"What is sealed for {item_id} was not sealed by Bailiwick.", "Restore it from a backup.")
        if named != item_id.encode():
            raise SealBroken(
                f"The sealed content of {item_id} was exchanged with that of another item.", "Restore it from a backup."
            )
        if not hmac.compare_digest(self.keys.proof(named, data).hex().encode(), proof):
            raise SealBroken(
                f"The sealed content of {item_id} was not made by a holder of this workspace's keys.",
                "Restore it from a backup.",
            )
        return data


def sealed_form(identity: Identity, item_id: str, data: bytes) -> bytes:
    """As ``Guard.seal``, for an ``identity`` that is not this workspace's yet."""
    from core.crypto.keys import proof_by
    from core.crypto.sealing import seal

    return seal(_marked(item_id, proof_by(identity, item_id.encode(), data), data), [identity.newest.key.recipient])


def _marked(item_id: str, proof: bytes, data: bytes) -> bytes:
    return _MARK + item_id.encode() + b" " + proof.hex().encode() + b"\n" + data


def _facts(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _split(head: bytes) -> tuple[bytes, bytes]:
    named, _, proof = head.partition(b" ")
    return named, proof
