"""What an agent's detail says in words: its head, leases, sessions, calls, and what is known about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from textual.content import Content

from core.agent_model import Admission, Agent, AgentOverview, AgentStatus, Lease, Session, State, ToolCall
from tui import moments
from tui.levels import WHY, short_level
from tui.printable import printable
from tui.widgets.agent_rows import doing, standing
from tui.widgets.levels import sign

LABEL_WIDTH = 17


def beginning(key: str) -> Content:
    """What a workspace without agents says; ``key`` is the one that registers."""
    return Content.assemble(
        ("No agent works here yet.\n\n", "bold $primary"),
        "An agent registers by itself when its client is connected, or you register one:\n\n",
        (f"  {key}", "bold $accent"),
        "  here, or in a shell\n",
        ("  bailiwick agents register NAME --type research\n\n", "bold $accent"),
        ("It gets an identity that stays, a key of its own, and a place if this machine has one free.", "$muted"),
    )


def head(overview: AgentOverview, at: datetime) -> Content:
    """Name, type, standing and last sign of life in one line."""
    agent = overview.agent
    look = standing(agent)
    waits = agent.reason if agent.admission is Admission.WAITING else ""
    more = doing(agent) or printable(waits)
    return Content.assemble(
        (printable(agent.name), "bold $primary"),
        (f"  {printable(agent.type)}  ", "$muted"),
        (str(look), look.style),
        f" · {more}" if more else "",
        (f"  {moments.since(agent.last_activity, at)}", "$muted"),
    )


def state_title(state: State, at: datetime) -> Content:
    """A state's key and what is known of its present version."""
    mark = sign(state).strip()
    facts = [f"version {state.version}", moments.since(state.updated_at, at), f"{state.size:,} bytes", str(state.kind)]
    if state.redacted:
        facts.insert(0, "redacted: without secrets and personal data")
    if state.expires_at is not None:
        facts.append(f"expires in {moments.left(state.expires_at, at)}")
    if state.sensitive in WHY:
        facts.append(WHY[state.sensitive])
    return Content.assemble(
        (printable(state.key), "bold $primary"),
        ("  critical" if state.critical else "", "bold $warning"),
        (f"  {mark}" if mark else " ", "bold $warning"),
        f" {short_level(state)}",
        (f" · {' · '.join(facts)}", "$muted"),
    )


def leases_text(leases: Sequence[Lease], at: datetime) -> Content:
    """What the agent holds, and for how long still."""
    held = [lease for lease in leases if lease.expires_at > at]
    if not held:
        return Content.styled("It holds nothing: no lease is in force.", "$muted")
    return Content("\n\n").join(_lease(lease, at) for lease in held)


def _lease(lease: Lease, at: datetime) -> Content:
    left = (lease.expires_at - at).total_seconds()
    ending = left <= 30
    renewed = f" of {moments.left(lease.expires_at, lease.acquired_at)}" if lease.seconds else ""
    reason = f"\n  {printable(lease.reason)}" if lease.reason else ""
    return Content.assemble(
        (printable(lease.resource), "bold"),
        (f"\n  {lease.mode} · ", "$muted"),
        (f"{moments.left(lease.expires_at, at)} left", "bold $warning" if ending else ""),
        (f"{renewed} · since {moments.clock(lease.acquired_at)}", "$muted"),
        reason,
    )


def sessions_text(sessions: Sequence[Session], calls: Sequence[ToolCall], at: datetime) -> Content:
    """The agent's sessions, the newest first, and under them its last calls."""
    parts = [Content.styled("Sessions", "bold $primary")]
    parts += [_session(session, at) for session in sessions] or [Content.styled("None yet.", "$muted")]
    parts.append(Content.styled("\nRecent calls", "bold $primary"))
    parts += [_call(call, at) for call in calls] or [Content.styled("None yet.", "$muted")]
    return Content("\n").join(parts)


def _session(session: Session, at: datetime) -> Content:
    open_ = session.ended_at is None
    lasted = ((session.ended_at or at) - session.started_at).total_seconds()
    when = f"started {moments.since(session.started_at, at)}"
    when += "" if open_ else f", lasted {moments.stretch(lasted)}"
    through = " ".join(part for part in (session.client, session.door and f"through {session.door}") if part)
    counts = (_counted(session.calls, "call"), _counted(session.states, "state"), _counted(session.messages, "message"))
    return Content.assemble(
        ("● open   " if open_ else "○ ended  ", "$success" if open_ else "$muted"),
        (printable(session.title) or "untitled", "bold"),
        (f"  {when}", "$muted"),
        f"\n         {' · '.join(counts)}",
        (f"  {printable(through)}" if through else "", "$muted"),
    )


def _call(call: ToolCall, at: datetime) -> Content:
    if call.completed_at is None:
        mark, style, outcome = "◆ runs   ", "$accent", f"for {moments.stretch((at - call.started_at).total_seconds())}"
    elif call.error:
        mark, style, outcome = "▲ failed ", "bold $error", printable(call.error)
    else:
        mark, style, outcome = "✓ done   ", "$success", f"{call.duration_ms or 0:,} ms"
    when = "" if call.completed_at is None else f"  {moments.since(call.started_at, at)}"
    through = f"{call.client} through {call.door}" if call.client else ""
    about = "  ".join(part for part in (call.summary, through) if part)
    return Content.assemble(
        (mark, style),
        (printable(call.tool), "bold"),
        f"  {outcome}",
        (when, "$muted"),
        (f"\n         {printable(about)}" if about else "", "$muted"),
    )


def about_text(overview: AgentOverview, key_path: str, at: datetime) -> Content:
    """What is known about the agent, and what it said about itself."""
    agent = overview.agent
    look = standing(agent)
    lines: list[tuple[str, Content]] = [("Status", Content.assemble((str(look), look.style), _why(agent)))]
    if agent.note and agent.admission is not Admission.RETIRED:
        style = "$error" if agent.status is AgentStatus.ERROR else ""
        lines.append(("Last note", Content.styled(printable(agent.note), style)))
    plain = (
        ("Last activity", f"{moments.since(agent.last_activity, at)}, {moments.clock(agent.last_activity)}"),
        ("Registered", f"{moments.since(agent.created_at, at)}, {moments.clock(agent.created_at)}"),
        ("Owner", agent.owner),
        ("Door", agent.door or "none yet"),
        ("Client", agent.client or "not told"),
        ("Responsible for", _listed(agent.responsibilities)),
        ("Tools", _listed(agent.tools)),
        ("Id", agent.id),
        ("Key file", key_path or "none: the agent has no key any more"),
    )
    lines += [(label, Content(printable(text))) for label, text in plain]
    return Content("\n").join(Content.assemble((label.ljust(LABEL_WIDTH), "bold"), content) for label, content in lines)


def _why(agent: Agent) -> str:
    if agent.admission is Admission.WAITING:
        return f": {agent.place} in line; {printable(agent.reason)}" if agent.place else ""
    if agent.admission is Admission.RETIRED:
        reason = f": {printable(agent.note)}" if agent.note else ""
        return f"{reason}, {moments.clock(agent.retired_at)}" if agent.retired_at is not None else reason
    return f": {printable(agent.current_tool)}" if agent.current_tool else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing declared"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
