"""``bailiwick teams``: who is in a team, by cards that people give each other."""

from __future__ import annotations

from pathlib import Path

import click

from core.errors import InvalidInput
from tui.commands.nouns import answer, noun, opened_agentfs, table
from tui.commands.options import Invocation, common_options, pass_invocation

LARGEST_CARD = 4096


@noun
def teams() -> None:
    """See, add and remove the members of teams. What is shared with a team is sealed to its members alone."""


@teams.command()
@common_options
@pass_invocation
def card(invocation: Invocation) -> None:
    """Print your own card, to give to the members of your teams; nothing in it is secret."""
    # Imported here: --help needs no cryptography.
    from core.sync.teams import Teams

    with opened_agentfs(invocation) as opened:
        held = Teams(opened.agentfs)
        own, line = held.own_card(), held.card()
    answer(invocation, {"user": own.user, "card": line, "fingerprint": own.fingerprint}, [line])
    if not invocation.json:
        invocation.say(f"Whoever adds it compares these with you, over the telephone say: {own.fingerprint}")


@teams.command("list")
@click.argument("team", default="")
@common_options
@pass_invocation
def list_members(invocation: Invocation, team: str) -> None:
    """List the members of TEAM, or of all."""
    from core.sync.teams import Teams

    with opened_agentfs(invocation) as opened:
        found = Teams(opened.agentfs).members(team)
    documents = [
        {
            "id": f"{each.team}/{each.card.user}",
            "team": each.team,
            "user": each.card.user,
            "fingerprint": each.fingerprint,
            "is_self": each.is_self,
            "added_at": each.added_at,
        }
        for each in found
    ]
    rows = [(each.team, f"{each.card.user}{' (you)' if each.is_self else ''}", each.fingerprint) for each in found]
    nothing = "Nobody was added to a team yet: `bailiwick teams add TEAM CARD` adds whoever gave you a card."
    answer(invocation, {"members": documents}, table(("TEAM", "USER", "FINGERPRINT"), rows, nothing))


@teams.command()
@click.argument("team")
@click.argument("card")
@common_options
@pass_invocation
def add(invocation: Invocation, team: str, card: str) -> None:
    """Make the holder of CARD, a line that `teams card` printed or a file of it (@FILE), a member of TEAM."""
    from core.sync.teams import Teams

    with opened_agentfs(invocation) as opened:
        member = Teams(opened.agentfs).add(team, _card(card), by=opened.person)
    document = {"team": member.team, "user": member.card.user, "fingerprint": member.fingerprint}
    lines = [
        f"{member.card.user} is in team {member.team} now.",
        f"Compare with them that their card says {member.fingerprint}; else somebody gave you another card.",
    ]
    answer(invocation, document, lines)


@teams.command()
@click.argument("team")
@click.argument("user")
@common_options
@pass_invocation
def remove(invocation: Invocation, team: str, user: str) -> None:
    """Seal nothing more to USER, and trust their signatures in TEAM no more."""
    from core.sync.teams import Teams

    with opened_agentfs(invocation) as opened:
        member = Teams(opened.agentfs).remove(team, user, by=opened.person)
    lines = [
        f"{member.card.user} is not in team {team} any more.",
        "What was sealed to them before can still be opened by them.",
    ]
    answer(invocation, {"team": team, "user": member.card.user}, lines)


def _card(argument: str) -> str:
    if not argument.startswith("@"):
        return argument
    try:
        with Path(argument[1:]).open(encoding="ascii") as file:
            return file.read(LARGEST_CARD)
    except (OSError, UnicodeDecodeError):
        raise InvalidInput(f"{argument[1:] or 'The file'} cannot be read as a card.") from None
