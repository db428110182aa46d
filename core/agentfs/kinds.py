"""What kind a state is, and whether it is critical, where its writer does not say."""

from __future__ import annotations

from fnmatch import fnmatchcase

from core.model import Kind

KINDS_BY_KEY = (
    ("findings/*", Kind.RESEARCH_FINDING),
    ("examples/*", Kind.CODE_EXAMPLE),
    ("logs/*", Kind.IMPLEMENTATION_LOG),
    ("assumptions/*", Kind.ASSUMPTION),
    ("decisions/*", Kind.DECISION),
)
KINDS_BY_TYPE = {
    "research": Kind.RESEARCH_FINDING,
    "poc": Kind.CODE_EXAMPLE,
    "validation": Kind.IMPLEMENTATION_LOG,
}
STATE_KINDS = (
    Kind.STATE,
    Kind.DECISION,
    Kind.RESEARCH_FINDING,
    Kind.CODE_EXAMPLE,
    Kind.IMPLEMENTATION_LOG,
    Kind.ASSUMPTION,
)
CRITICAL_KEYS = ("critical/*", "*/critical/*", "decisions/*")


def kind_of(key: str, agent_type: str) -> Kind:
    """The kind of a state by its key, else by its agent's type, else plainly a state."""
    for pattern, kind in KINDS_BY_KEY:
        if fnmatchcase(key, pattern):
            return kind
    return KINDS_BY_TYPE.get(agent_type, Kind.STATE)


def is_critical(key: str) -> bool:
    """Whether a state of that key is critical by itself."""
    return any(fnmatchcase(key, pattern) for pattern in CRITICAL_KEYS)
