"""What becomes of a conflict when it is found: settled by rule, with a written reason, or left for somebody to rule on.

In this order: equal sides, and a side that left it alone, are no question; what the settings reserve for the person
waits; an edit wins over a deletion; what fits together is merged; the supervisor rules where agents are at odds about
what is whose; and what is left goes to the supervisor agent, if there is one, and then to the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.config import ConflictSettings
from core.conflicts.merging.automatic import Automatic, Media, Settled
from core.conflicts.merging.decisions import Choice
from core.conflicts.merging.forms import CLAIM, merge_object
from core.conflicts.outcomes import RuledBy, Took
from core.conflicts.responsibilities import Claimant, decide, responsible_alone
from core.model import Kind

EDIT_WINS = "An edit wins over a deletion."
SAME_FILE = "same file"
ASSUMPTION = "assumption"
CRITICAL = "critical data"
_BOTH = (Choice.BOTH_LOCAL_FIRST, Choice.BOTH_REMOTE_FIRST, Choice.CUSTOM)


class Fit(StrEnum):
    """How the two sides of a merge that leaves nothing open fit together."""

    APART = "apart"
    """Every place was changed by one side alone, or by both alike."""
    COMPLEMENTARY = "complementary"
    """Somewhere both sides added to the same, and both are kept."""


@dataclass(frozen=True, slots=True)
class Matter:
    """What there is to settle. ``base``, ``local`` and ``remote`` are in the form in which they are merged.

    ``has_base``: ``base`` is what both sides began with, be it nothing; else that is not at hand. ``names`` are those
    by which agents may have declared themselves responsible; ``local_agent`` and ``remote_agent`` made the sides.
    """

    path: str
    kind: str
    base: bytes | None
    local: bytes | None
    remote: bytes | None
    has_base: bool = True
    critical: bool = False
    names: tuple[str, ...] = ()
    local_agent: Claimant | None = None
    remote_agent: Claimant | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the rules say. ``by`` is ``None`` where somebody has to rule still; ``why`` is a sentence in both cases.

    ``content`` is the result where it is settled. ``reserved`` is why nobody but the person rules, where that is set;
    ``may_ask``: the supervisor agent is asked before the person is.
    """

    why: str
    by: RuledBy | None = None
    took: Took | None = None
    content: bytes | None = None
    reserved: str = ""
    may_ask: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether nobody has to rule any more."""
        return self.by is not None


def settle(matter: Matter, settings: ConflictSettings) -> Settlement:
    """What the rules make of a conflict. Pure."""
    if matter.kind == CLAIM:
        return _boundary(matter, settings)
    one_is_gone = (matter.local is None) != (matter.remote is None)
    if matter.local == matter.remote:
        return _settled(matter, Took.REMOTE, "Both sides are equal.")
    if matter.kind == Kind.SESSION:
        return _settled(matter, _present(matter), "A session is a record of what was done, and stays as it stands.")
    if matter.has_base and not one_is_gone:
        if matter.local == matter.base:
            return _settled(matter, Took.REMOTE, "Only the other side changed it.")
        if matter.remote == matter.base:
            return _settled(matter, Took.LOCAL, "Only this side changed it.")
    automatic = merge_object(matter.path, matter.kind, matter.base, matter.local, matter.remote)
    if reserved := reserved_for(matter, automatic.media, settings):
        return Settlement(f"The settings leave it to the person: {reserved}.", reserved=reserved)
    if one_is_gone:
        return _settled(matter, _present(matter), EDIT_WINS)
    if not matter.has_base:
        return _open(matter, settings, "What both sides began with is not at hand, so nothing is merged.")
    if automatic.settled is Settled.MERGED:
        return _merged(automatic, settings)
    return _open(matter, settings, "Both sides changed the same place differently.")


def reserved_for(matter: Matter, media: Media, settings: ConflictSettings) -> str:
    """Why the person has to decide, whatever rules say; empty where nothing says so. Pure."""
    if settings.critical_data_changes and matter.critical:
        return CRITICAL
    if settings.assumption_conflicts and matter.kind == Kind.ASSUMPTION:
        return ASSUMPTION
    is_file = matter.kind == Kind.DOCUMENT or media is not Media.JSON
    return SAME_FILE if settings.same_file_conflicts and is_file else ""


def fit(automatic: Automatic) -> Fit:
    """How the sides of a merge that leaves nothing open fit together. Pure."""
    is_both = any(each.auto and each.choice in _BOTH for each in automatic.decisions.decisions)
    return Fit.COMPLEMENTARY if is_both else Fit.APART


def _merged(automatic: Automatic, settings: ConflictSettings) -> Settlement:
    if fit(automatic) is Fit.APART:
        if settings.non_conflicting_edits == "ask":
            return Settlement("Each place was changed by one side, and the settings ask the person all the same.")
        why = "Each place was changed by one side alone, or by both alike."
    elif settings.complementary_changes == "ask":
        return Settlement("Both sides added to the same, and the settings ask the person.")
    else:
        why = "Both sides added to the same, and both additions are kept."
    return Settlement(why, RuledBy.AUTOMATIC, Took.MERGED, automatic.content)


def _boundary(matter: Matter, settings: ConflictSettings) -> Settlement:
    """Two agents claim the same thing."""
    if settings.tool_boundary_conflicts == "ask":
        return Settlement("Two agents claim the same thing, and the settings ask the person.")
    one, other = matter.local_agent, matter.remote_agent
    if one is not None and other is not None:
        ruling = decide(matter.names, one, other, ranks=settings.rank_order, policy=settings.policy_rules)
        if ruling is not None:
            return _ruled(matter, ruling.winner, ruling.why)
    return Settlement("Neither agent is more responsible for it, and no policy names one of them.", may_ask=True)


def _open(matter: Matter, settings: ConflictSettings, why: str) -> Settlement:
    """Nothing fits; of states, the agent that alone is responsible has its way."""
    one, other = matter.local_agent, matter.remote_agent
    if settings.tool_boundary_conflicts == "supervisor_decides" and one is not None and other is not None:
        ruling = responsible_alone(matter.names, one, other)
        if ruling is not None:
            return _ruled(matter, ruling.winner, ruling.why)
    return Settlement(why, may_ask=True)


def _ruled(matter: Matter, winner: str, why: str) -> Settlement:
    is_local = matter.local_agent is not None and winner == matter.local_agent.id
    took = Took.LOCAL if is_local else Took.REMOTE
    return Settlement(why, RuledBy.SUPERVISOR, took, matter.local if is_local else matter.remote)


def _settled(matter: Matter, took: Took, why: str) -> Settlement:
    return Settlement(why, RuledBy.AUTOMATIC, took, matter.local if took is Took.LOCAL else matter.remote)


def _present(matter: Matter) -> Took:
    """The side that is there, the one that stands where both are."""
    return Took.LOCAL if matter.remote is None else Took.REMOTE
