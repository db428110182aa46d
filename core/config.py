"""Settings: the defaults in ``config/``, then the user's file, the workspace's file, the environment and flags."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import platformdirs
import yaml

from core.errors import ConfigurationError

SETTINGS_FILE = "bailiwick.yml"
_PREFIX = "BAILIWICK_"
_CHOICES = {
    "user.tier": ("free", "pro"),
    "search.mode": ("hybrid", "vector", "text"),
    "encryption.scope": ("sensitive", "all"),
    "sync.strategy": ("auto", "realtime", "adaptive", "on_demand"),
    "conflicts.non_conflicting_edits": ("accept_all", "ask"),
    "conflicts.complementary_changes": ("intelligent_merge", "ask"),
    "conflicts.tool_boundary_conflicts": ("supervisor_decides", "ask"),
}
_MINIMUM = {
    "search.limit": 1,
    "library.max_file_mb": 1,
    "library.read_seconds": 1,
    "index.threads": 0,
    "agents.idle_seconds": 1,
    "agents.value_kb": 1,
    "agents.state_mb": 1,
    "sync.excellent_ms": 1,
    "sync.good_ms": 1,
    "sync.offline_failures": 1,
    "sync.high_volume_mb": 1,
    "sync.realtime_batch_seconds": 1,
    "sync.realtime_poll_seconds": 1,
    "sync.realtime_idle_seconds": 1,
    "sync.adaptive_batch_seconds": 1,
    "sync.adaptive_longest_batch_seconds": 1,
    "sync.adaptive_poll_seconds": 1,
    "sync.adaptive_idle_seconds": 1,
    "sync.grace_hours": 24,
    "conflicts.supervisor_seconds": 1,
}
_AT_LEAST = {
    "sync.good_ms": "sync.excellent_ms",
    "sync.good_failures_percent": "sync.excellent_failures_percent",
    "sync.realtime_idle_seconds": "sync.realtime_poll_seconds",
    "sync.adaptive_idle_seconds": "sync.adaptive_poll_seconds",
    "sync.adaptive_longest_batch_seconds": "sync.adaptive_batch_seconds",
}
"""What may not be less than another setting."""


@dataclass(frozen=True, slots=True)
class UserSettings:
    id: str
    tier: str
    teams: str
    phone_region: str


@dataclass(frozen=True, slots=True)
class ModelSettings:
    path: str
    allow_download: bool


@dataclass(frozen=True, slots=True)
class SearchSettings:
    limit: int
    mode: str


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    max_file_mb: int
    read_seconds: int


@dataclass(frozen=True, slots=True)
class IndexSettings:
    threads: int


@dataclass(frozen=True, slots=True)
class AgentSettings:
    max_concurrent: int
    idle_seconds: int
    value_kb: int
    state_mb: int


@dataclass(frozen=True, slots=True)
class AuditSettings:
    retention_days: int


@dataclass(frozen=True, slots=True)
class EncryptionSettings:
    scope: str


@dataclass(frozen=True, slots=True)
class SyncSettings:
    strategy: str
    excellent_ms: int
    good_ms: int
    excellent_failures_percent: int
    good_failures_percent: int
    offline_failures: int
    high_volume_mb: int
    small_kb: int
    realtime_batch_seconds: int
    realtime_poll_seconds: int
    realtime_idle_seconds: int
    adaptive_batch_seconds: int
    adaptive_longest_batch_seconds: int
    adaptive_poll_seconds: int
    adaptive_idle_seconds: int
    budget_cents: int
    grace_hours: int
    bandwidth_kb: int


@dataclass(frozen=True, slots=True)
class ConflictSettings:
    """What is merged or ruled without a person; its defaults are those of ``config/bailiwick.yml``."""

    non_conflicting_edits: str = "accept_all"
    complementary_changes: str = "intelligent_merge"
    tool_boundary_conflicts: str = "supervisor_decides"
    same_file_conflicts: bool = False
    assumption_conflicts: bool = True
    critical_data_changes: bool = True
    ranks: str = "validation, documentation, poc, research"
    policy: str = ""
    supervisor_agent: str = ""
    supervisor_seconds: int = 60

    @property
    def rank_order(self) -> tuple[str, ...]:
        """The types of agents in ``ranks``, the one with most say first."""
        return tuple(name for each in self.ranks.split(",") if (name := each.strip()))

    @property
    def policy_rules(self) -> tuple[tuple[str, str], ...]:
        """The pattern and the agent's name or type of each rule in ``policy``, in its order."""
        return tuple(
            (pattern.strip(), name.strip())
            for each in self.policy.split(",")
            if each.strip()
            for pattern, _, name in [each.rpartition("=")]
        )


@dataclass(frozen=True, slots=True)
class CacheSettings:
    memory_mb: int
    recent_mb: int
    files_mb: int


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    theme: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its value; ``origins`` tells for each dotted key which layer gave it."""

    user: UserSettings
    model: ModelSettings
    search: SearchSettings
    library: LibrarySettings
    index: IndexSettings
    agents: AgentSettings
    audit: AuditSettings
    encryption: EncryptionSettings
    sync: SyncSettings
    conflicts: ConflictSettings
    cache: CacheSettings
    screen: ScreenSettings
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def teams(self) -> tuple[str, ...]:
        """The names in ``user.teams``."""
        return tuple(name for each in self.user.teams.split(",") if (name := each.strip()))

    def flat(self) -> dict[str, str | int | bool]:
        """Every setting by its dotted key."""
        return {key: getattr(getattr(self, key.split(".")[0]), key.split(".")[1]) for key in _TYPES}


_SECTIONS: dict[str, type[Any]] = {
    "user": UserSettings,
    "model": ModelSettings,
    "search": SearchSettings,
    "library": LibrarySettings,
    "index": IndexSettings,
    "agents": AgentSettings,
    "audit": AuditSettings,
    "encryption": EncryptionSettings,
    "sync": SyncSettings,
    "conflicts": ConflictSettings,
    "cache": CacheSettings,
    "screen": ScreenSettings,
}
_TYPES: dict[str, str] = {
    f"{section}.{each.name}": str(each.type)
    for section, kind in _SECTIONS.items()
    if is_dataclass(kind)
    for each in fields(kind)
}


def defaults_folder() -> Path:
    """The folder of commented defaults: inside ``core`` in an installed wheel, ``config/`` in a source checkout."""
    packaged = Path(str(resources.files("core"))) / "defaults"
    return packaged if packaged.is_dir() else Path(str(resources.files("core"))).parent / "config"


def user_config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the user's own settings, keymap and themes are."""
    home = environ.get("BAILIWICK_HOME")
    return Path(home) / "config" if home else Path(platformdirs.user_config_dir("bailiwick"))


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where files shared by all workspaces and safe to delete are: the prepared embedding model."""
    home = environ.get("BAILIWICK_HOME")
    return Path(home) / "cache" if home else Path(platformdirs.user_cache_dir("bailiwick"))


def workspace_folder(flag: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The workspace folder: ``flag`` itself, else ``default`` in ``$BAILIWICK_HOME`` or the user's data folder."""
    if flag:
        return Path(flag).expanduser().absolute()
    home = environ.get("BAILIWICK_HOME")
    return (Path(home).absolute() if home else Path(platformdirs.user_data_dir("bailiwick"))) / "default"


def load_settings(workspace: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read all layers.

    Raises ConfigurationError naming the file and line, or the variable, that holds an unknown key or an unusable value.
    """
    values: dict[str, str | int | bool] = {}
    origins: dict[str, str] = {}
    layers = (
        ("default", defaults_folder() / SETTINGS_FILE),
        ("user file", user_config_folder(environ) / SETTINGS_FILE),
        ("workspace file", workspace / SETTINGS_FILE),
    )
    for origin, path in layers:
        for key, value in _read_file(path).items():
            values[key] = value
            origins[key] = origin if origin == "default" else f"{origin} {path}"
    for key in _TYPES:
        variable = _PREFIX + key.replace(".", "_").upper()
        if variable in environ:
            values[key] = _checked(key, _from_text(key, environ[variable]), variable)
            origins[key] = f"environment {variable}"
    if not values["user.id"]:
        values["user.id"] = _login_name()
    for key, other in _AT_LEAST.items():
        if int(values[key]) < int(values[other]):
            raise ConfigurationError(
                f"{key} is {values[key]} and {other} is {values[other]}: the first may not be less than the other.",
                f"{key} comes from the {origins[key]}, {other} from the {origins[other]}.",
            )
    sections = {
        name: kind(**{each.name: values[f"{name}.{each.name}"] for each in fields(kind)})
        for name, kind in _SECTIONS.items()
    }
    return Settings(**sections, origins=origins)


def with_flag(settings: Settings, key: str, value: str | int | bool) -> Settings:
    """``settings`` with one value given on the command line."""
    section, name = key.split(".")
    changed = replace(getattr(settings, section), **{name: _checked(key, value, f"--{name.replace('_', '-')}")})
    return replace(settings, **{section: changed}, origins={**settings.origins, key: "flag"})


def _read_file(path: Path) -> dict[str, str | int | bool]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error.__class__.__name__}.") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}, line {line}: this is not valid YAML.", "Mend or delete that line.") from None
    if root is None:
        return {}
    result: dict[str, str | int | bool] = {}
    for section, key, value_node in _entries(path, root):
        where = f"{path}, line {value_node.start_mark.line + 1}"
        dotted = f"{section}.{key}"
        if dotted not in _TYPES:
            raise ConfigurationError(
                f"{where}: there is no setting {dotted}.", f"Known in {section}: {_known(section)}."
            )
        if not isinstance(value_node, yaml.ScalarNode):
            raise ConfigurationError(f"{where}: {dotted} must be a single value.")
        result[dotted] = _checked(dotted, yaml.safe_load(yaml.serialize(value_node)), where)
    return result


def _entries(path: Path, root: yaml.Node) -> list[tuple[str, str, yaml.Node]]:
    if not isinstance(root, yaml.MappingNode):
        raise ConfigurationError(f"{path}, line {root.start_mark.line + 1}: settings are written as `section:` blocks.")
    entries: list[tuple[str, str, yaml.Node]] = []
    for section_node, body in root.value:
        where = f"{path}, line {section_node.start_mark.line + 1}"
        section = str(section_node.value)
        if section not in _SECTIONS:
            raise ConfigurationError(f"{where}: there is no section {section}.", f"Known: {', '.join(_SECTIONS)}.")
        if not isinstance(body, yaml.MappingNode):
            raise ConfigurationError(f"{where}: section {section} must hold `key: value` lines.")
        entries.extend((section, str(key.value), value) for key, value in body.value)
    return entries


def _known(section: str) -> str:
    return ", ".join(key.split(".")[1] for key in _TYPES if key.startswith(section + "."))


def _from_text(key: str, text: str) -> str | int | bool:
    if _TYPES[key] == "str":
        return text
    value = yaml.safe_load(text)
    return value if isinstance(value, bool | int) else text


def _checked(key: str, value: object, where: str) -> str | int | bool:
    kind = _TYPES[key]
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        if value < _MINIMUM.get(key, 0):
            raise ConfigurationError(f"{where}: {key} must be at least {_MINIMUM.get(key, 0)}.")
        return value
    if kind == "str" and (isinstance(value, str) or value is None):
        text = value or ""
        if key in _CHOICES and text not in _CHOICES[key]:
            raise ConfigurationError(f"{where}: {key} must be one of {', '.join(_CHOICES[key])}.")
        if key == "conflicts.policy" and not all(all(rule) for rule in ConflictSettings(policy=text).policy_rules):
            raise ConfigurationError(
                f"{where}: {key} must be rules such as PATTERN=AGENT, separated by commas.",
                "AGENT is an agent's name or a type of agents, for example docs/**=writer, src/**=poc.",
            )
        return text
    names = {"bool": "true or false", "int": "a whole number", "str": "a text"}
    raise ConfigurationError(f"{where}: {key} must be {names[kind]}.")


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "user"
