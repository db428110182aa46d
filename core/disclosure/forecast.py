"""What would become of a file that is not an item yet: its level, what is found in it, who would get it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now
from core.agentfs.sources import document_path
from core.disclosure.report import Explanation, explained
from core.model import Kind, Sensitivity, Source, SourceKind
from core.privacy import Confidence, FindingKind, PrivatePattern


@dataclass(frozen=True, slots=True)
class Place:
    """One finding of a file's text, never the text itself; ``line`` is 1-based, ``rule`` the one that saw it."""

    kind: FindingKind
    line: int
    rule: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Forecast:
    """The item that a file would be, without an id; the ``patterns`` that catch it, the places in its text."""

    explanation: Explanation
    patterns: tuple[PrivatePattern, ...]
    places: tuple[Place, ...]


def forecast(agentfs: AgentFS, file: Path, text: str, *, holds_secret: bool, audience: str = "") -> Forecast:
    """What would become of ``file``, whose content is ``text``, if it were added now.

    ``holds_secret`` says whether what is kept of it, which may be less than ``text``, does. Raises ConfigurationError,
    and as ``explanation`` for the ``audience``. The first call loads the scanners.
    """
    guard = agentfs.guard
    owner = guard.settings.user
    path = _path(agentfs, file, owner)
    found = Sensitivity.SECRET if holds_secret else Sensitivity.NONE
    judged = guard.judge(path, Kind.DOCUMENT, "", found=found)
    item = replace(
        agentfs.permissions.not_yet(path, Kind.DOCUMENT, owner, ""),
        level=judged.level,
        sensitive=judged.sensitive,
        sealed=judged.seal,
        size=len(text.encode()),
    )
    places = tuple(
        Place(each.kind, text.count("\n", 0, each.start) + 1, each.rule, each.confidence)
        for each in guard.classifier().classify(text)
    )
    return Forecast(explained(agentfs, item, audience), guard.rules.matching_patterns(path), places)


def _path(agentfs: AgentFS, file: Path, owner: str) -> str:
    """Where it would lie: in the innermost folder that was added around it, else as a file added by itself."""
    around = [
        source
        for source in agentfs.sources.all()
        if source.kind is SourceKind.PATH and file.is_relative_to(source.location)
    ]
    if not around:
        alone = Source("", SourceKind.PATH, file.name, str(file), "", "", "", now())
        return document_path(alone, file.name, owner)
    source = max(around, key=lambda each: len(each.location))
    relative = file.name if str(file) == source.location else file.relative_to(source.location).as_posix()
    return document_path(source, relative, owner)
