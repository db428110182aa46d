"""Reads ``privacy_config.yml``: the commented defaults, then the user's file, then the workspace's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.errors import ConfigurationError
from core.model import Kind
from core.privacy.boundaries import (
    CONTROLLED_KINDS,
    DefaultLevel,
    PrivacyRules,
    PrivatePattern,
    Sharing,
    SharingControl,
)

if TYPE_CHECKING:
    import yaml

PRIVACY_FILE = "privacy_config.yml"

Choice = TypeVar("Choice", bound=StrEnum)
Block = dict[str, Callable[["_Place"], None]]


@dataclass(slots=True)
class _Values:
    """What the files read so far say, the later ones on top."""

    default_level: DefaultLevel | None = None
    private: list[PrivatePattern] = field(default_factory=list)
    custom: list[PrivatePattern] = field(default_factory=list)
    defaults: dict[Kind, Sharing] = field(default_factory=dict)
    opt_ins: dict[Kind, bool] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Place:
    """One value of a file: its dotted key and where it stands, for the sentence that says what is wrong with it."""

    path: Path
    key: str
    node: yaml.Node

    @property
    def where(self) -> str:
        return f"{self.path}, line {self.node.start_mark.line + 1}"

    def error(self, problem: str, hint: str = "") -> ConfigurationError:
        return ConfigurationError(f"{self.where}: {problem}", hint)


def load_rules(layers: Iterable[Path]) -> PrivacyRules:
    """The rules of the files in ``layers``, the defaults first, then the user's file, then the workspace's.

    Files that do not exist are passed over. Later files replace ``default_level``, ``private_patterns`` and the single
    values of the controls; ``custom_private_patterns`` of all files add up. Nothing but these files is read.

    Raises ConfigurationError naming the file and line of an unknown or repeated key, a wrong type or an unusable value,
    or the key that no file gives.
    """
    values = _Values()
    for path in layers:
        root = _composed(path)
        if root is not None:
            _read(root, values)
    return _rules(values)


def _rules(values: _Values) -> PrivacyRules:
    if values.default_level is None:
        raise ConfigurationError("No file says what privacy.default_level is.", f"Restore the default {PRIVACY_FILE}.")
    for kind, key in CONTROLLED_KINDS.items():
        if kind not in values.defaults or kind not in values.opt_ins:
            raise ConfigurationError(
                f"No file gives privacy.sharing_controls.{key} completely.", "It needs default and allow_opt_in."
            )
    controls = {kind: SharingControl(values.defaults[kind], values.opt_ins[kind]) for kind in CONTROLLED_KINDS}
    return PrivacyRules(values.default_level, (*values.private, *values.custom), controls, values.origins)


def _composed(path: Path) -> _Place | None:
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error.__class__.__name__}.") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}, line {line}: this is not valid YAML.", "Mend or delete that line.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(f"{path}, line {line}: a character here may not stand in YAML.") from None
    except RecursionError:
        raise ConfigurationError(f"{path}, line 1: this file is nested too deeply.") from None
    return None if root is None else _Place(path, "", root)


def _read(root: _Place, values: _Values) -> None:
    def privacy(place: _Place) -> None:
        _descend(place, {"default_level": level, "boundaries": boundaries, "sharing_controls": controls})

    def level(place: _Place) -> None:
        values.default_level = _choice(place, DefaultLevel)
        values.origins[place.key] = place.where

    def boundaries(place: _Place) -> None:
        _descend(place, {"private_patterns": private, "custom_private_patterns": custom})

    def private(place: _Place) -> None:
        values.private = _patterns(place)
        values.origins[place.key] = place.where

    def custom(place: _Place) -> None:
        known = {each.text for each in values.custom}
        values.custom += [each for each in _patterns(place) if each.text not in known]
        values.origins[place.key] = place.where

    def controls(place: _Place) -> None:
        _descend(place, {key: control(kind) for kind, key in CONTROLLED_KINDS.items()})

    def control(kind: Kind) -> Callable[[_Place], None]:
        def default(place: _Place) -> None:
            values.defaults[kind] = _choice(place, Sharing)
            values.origins[place.key] = place.where

        def opt_in(place: _Place) -> None:
            values.opt_ins[kind] = _truth(place)
            values.origins[place.key] = place.where

        return lambda place: _descend(place, {"default": default, "allow_opt_in": opt_in})

    _descend(root, {"privacy": privacy})


def _descend(place: _Place, block: Block) -> None:
    """Calls, for every key of a mapping, what ``block`` holds for it."""
    seen: set[str] = set()
    for name, entry, value in _entries(place, block):
        if name in seen:
            raise entry.error(f"{entry.key} is given twice.")
        seen.add(name)
        if name not in block:
            raise entry.error(f"there is no key {entry.key}.", f"Known here: {', '.join(block)}.")
        block[name](value)


def _entries(place: _Place, block: Block) -> Iterator[tuple[str, _Place, _Place]]:
    import yaml

    node = place.node
    if not isinstance(node, yaml.MappingNode):
        raise place.error(
            f"{place.key or 'the file'} must hold `key: value` lines.", f"Known here: {', '.join(block)}."
        )
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Place(place.path, place.key, key_node).error("a key must be a word.")
        dotted = f"{place.key}.{key_node.value}" if place.key else key_node.value
        yield key_node.value, _Place(place.path, dotted, key_node), _Place(place.path, dotted, value_node)


def _choice(place: _Place, choices: type[Choice]) -> Choice:
    text = _scalar(place, "str")
    if text not in tuple(choices):
        raise place.error(f"{place.key} must be one of {', '.join(choices)}.")
    return choices(text)


def _truth(place: _Place) -> bool:
    text = _scalar(place, "bool")
    if text is None:
        raise place.error(f"{place.key} must be true or false.")
    return text.lower() in ("true", "yes", "on")


def _patterns(place: _Place) -> list[PrivatePattern]:
    import yaml

    if not isinstance(place.node, yaml.SequenceNode):
        raise place.error(f"{place.key} must be a list of patterns.", "Write one `- pattern` per line; [] for none.")
    found: list[PrivatePattern] = []
    for node in place.node.value:
        entry = _Place(place.path, place.key, node)
        text = _scalar(entry, "str")
        if text is None:
            raise entry.error(f"{place.key} holds something that is not a text.", "Put it in quotes.")
        if not text.strip(" \t./\\_-"):
            raise entry.error(f"{place.key} holds a pattern that names nothing.")
        if "\n" in text or "\0" in text:
            raise entry.error(f"{place.key} holds a pattern of several lines.")
        found.append(PrivatePattern(text.strip(), entry.where))
    return found


def _scalar(place: _Place, tag: str) -> str | None:
    """The text of a scalar that YAML reads as ``tag``, else ``None``."""
    import yaml

    node = place.node
    if isinstance(node, yaml.ScalarNode) and node.tag == f"tag:yaml.org,2002:{tag}":
        return str(node.value)
    return None
