"""Leases: which globs overlap, who may hold what beside whom, renewal, expiry, and refusals one can act on."""

from __future__ import annotations

import itertools
import re
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from acting import ADA, join, pass_time
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.agent_model import Actor, AuditFilters, Importance, Lease, LeaseMode
from core.agentfs.agentfs import AgentFS
from core.agentfs.globs import normalised, overlap
from core.agentfs.guard import privacy_settings
from core.agentfs.policy import AgentPolicy
from core.crypto.secret import Secret
from core.crypto.unlocking import Way, unlock
from core.errors import InvalidInput, LeaseHeld, NotFound

EXCLUSIVE, SHARED = LeaseMode.EXCLUSIVE, LeaseMode.SHARED
SKIPPED = AuditFilters(action="message.skip")

# Globs, against every path of up to four parts of one or two letters. Two parts of a pattern that both match something
# match something of two letters, and two patterns that meet at all meet at a path of four parts, so this is enough.

WORDS = ["".join(letters) for length in (1, 2) for letters in itertools.product("ab", repeat=length)]
PATHS = ["/".join(parts) for length in (1, 2, 3, 4) for parts in itertools.product(WORDS, repeat=length)]
PARTS = st.one_of(
    st.sampled_from(
        ["**", "*", "?", "??", "a", "b", "ab", "[ab]", "[!a]b", "[]a]", "[!]a]", "*a", "a*", "*[ab]", "?*"]
    ),
    st.sampled_from(WORDS),
)
PATTERNS = st.lists(PARTS, min_size=1, max_size=3).filter(lambda parts: parts.count("**") < 3).map("/".join)


def expression(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression over paths with a ``/`` after each part."""
    text = ""
    for part in pattern.split("/"):
        if part == "**":
            text += "(?:[^/]+/)*"
            continue
        while part:
            character_class = re.match(r"\[!?\]?[^\]]*\]", part)
            taken = character_class.group() if character_class else part[0]
            text += "[^/]" if character_class or taken == "?" else "[^/]*" if taken == "*" else re.escape(taken)
            part = part[len(taken) :]
        text += "/"
    return re.compile(text)


def matches(pattern: str) -> set[str]:
    compiled = expression(pattern)
    return {path for path in PATHS if compiled.fullmatch(path + "/")}


@settings(max_examples=300, deadline=None)
@given(one=PATTERNS, other=PATTERNS)
@example(one="**", other="a/**/b")
@example(one="*a", other="b*")
@example(one="[!]a]", other="a")
@example(one="**/a/**", other="b/**/b")
def test_globs_overlap_where_some_path_matches_both(one: str, other: str) -> None:
    assert overlap(one, other) == overlap(other, one) == bool(matches(one) & matches(other))
    assert overlap(one, one)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("src/**", "src/app.py", True),
        ("src/**", "src", True),
        ("src/", "src/a/b", True),
        ("src", "src/a", False),
        ("src/*", "src/a/b", False),
        ("./src//a", "src/a", True),
        ("src\\a", "src/a", True),
        ("/src/a", "src/a", False),
        ("/**", "/etc/hosts", True),
        ("**", "/etc/hosts", False),
        ("**/*.py", "src/*/test_*", True),
        ("*.py", "*.pyc", False),
        ("[", "[", True),
        ("a[b", "a[b", True),
        ("Src", "src", False),
        ("日*", "*本", True),
    ],
)
def test_globs_that_people_write(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is expected
    assert overlap(other, one) is expected


def test_long_patterns_are_answered(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    agentfs.leases.take("nia", "*a" * 100, by=nia)
    with pytest.raises(LeaseHeld):
        agentfs.leases.take("sam", "a*" * 100, by=sam)
    agentfs.leases.take("sam", "*b" * 100, by=sam)
    agentfs.leases.take("nia", "/" + "**/a/" * 31, by=nia)
    with pytest.raises(LeaseHeld):
        agentfs.leases.take("sam", "/" + "**/b/" * 31, by=sam)


def test_a_pattern_is_written_in_one_way() -> None:
    written = ["a/b", "./a//b", "a\\b", "a/./b", "a/b/", "/a/b", "/", "**/", "."]
    assert [normalised(each) for each in written] == ["a/b", "a/b", "a/b", "a/b", "a/b/**", "/a/b", "/**", "**/**", ""]


# Who may hold what beside whom


def try_to_take(agentfs: AgentFS, by: Actor, resource: str, mode: LeaseMode) -> bool:
    try:
        agentfs.leases.take(by.id, resource, by=by, mode=mode)
    except LeaseHeld:
        return False
    return True


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [(EXCLUSIVE, EXCLUSIVE, False), (EXCLUSIVE, SHARED, False), (SHARED, EXCLUSIVE, False), (SHARED, SHARED, True)],
)
@pytest.mark.parametrize("resource", ["src/a", "resource:port 8080"])
def test_only_shared_leases_lie_beside_each_other(
    agentfs: AgentFS, resource: str, held: LeaseMode, wanted: LeaseMode, free: bool
) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    assert try_to_take(agentfs, nia, resource, held)
    assert try_to_take(agentfs, sam, resource, wanted) is free
    assert len(agentfs.leases.held()) == 1 + free


def test_resources_are_compared_by_name_and_never_with_paths(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    assert try_to_take(agentfs, nia, "resource:db", EXCLUSIVE)
    assert try_to_take(agentfs, sam, "resource:DB", EXCLUSIVE)
    assert try_to_take(agentfs, sam, "resource:*", EXCLUSIVE)
    assert try_to_take(agentfs, sam, "**", EXCLUSIVE)
    assert not try_to_take(agentfs, sam, "resource:db", SHARED)
    assert not try_to_take(agentfs, nia, "src/a", SHARED)


def test_a_refusal_names_holder_time_left_and_what_to_do(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    agentfs.leases.take("nia", "src/**", by=nia, seconds=600, reason="refactoring")
    pass_time(agentfs.database, 100)
    with pytest.raises(LeaseHeld) as refusal:
        agentfs.leases.take("sam", "src/app.py", by=sam)
    left = refusal.value.facts["seconds_left"]
    assert left in (499, 500)
    assert refusal.value.message == (
        f"src/app.py cannot be leased: nia holds src/** (exclusive) for {left} s more (refactoring)."
    )
    assert refusal.value.hint == f"Wait {left} s, or ask: `bailiwick messages send --to nia …`."
    assert refusal.value.facts == {
        "holder": "nia",
        "resource": "src/**",
        "seconds_left": left,
        "next": refusal.value.hint,
    }
    assert [lease.agent for lease in agentfs.leases.held()] == ["nia"]


def test_of_threads_that_want_the_same_one_gets_it(agentfs: AgentFS) -> None:
    agents = [join(agentfs, f"agent {number}") for number in range(6)]
    taken: list[bool] = []
    threads = [
        threading.Thread(target=lambda agent=agent: taken.append(try_to_take(agentfs, agent, "src/**", EXCLUSIVE)))
        for agent in agents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 5 + [True]


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "  ",
        ".",
        "./.",
        "resource:",
        "resource:  ",
        "../a",
        "a/../b",
        "..\\a",
        "a\x00b",
        "x" * 201,
        "a/" * 65,
        "x/" * 600,
        "\ud800",
    ],
)
def test_unusable_names(agentfs: AgentFS, resource: str) -> None:
    nia = join(agentfs, "nia")
    with pytest.raises(InvalidInput):
        agentfs.leases.take("nia", resource, by=nia)
    assert agentfs.leases.held() == []


@pytest.mark.parametrize("seconds", [0, -1, 24 * 3600 + 1])
def test_unusable_times(agentfs: AgentFS, seconds: int) -> None:
    nia = join(agentfs, "nia")
    with pytest.raises(InvalidInput, match="A lease lasts"):
        agentfs.leases.take("nia", "src", by=nia, seconds=seconds)


# Renewing and giving up


def test_taking_again_renews_with_the_new_mode_time_and_reason(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    first = agentfs.leases.take("nia", "src/", by=nia, mode=SHARED, seconds=60, reason="reading")
    again = agentfs.leases.take("nia", "./src/**", by=nia, seconds=600, reason="writing")
    assert (again.id, again.acquired_at) == (first.id, first.acquired_at)
    assert (again.resource, again.mode, again.seconds, again.reason) == ("src/**", EXCLUSIVE, 600, "writing")
    assert again.expires_at > first.expires_at
    assert agentfs.leases.held() == [again]


def test_an_upgrade_is_refused_while_others_share(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    agentfs.leases.take("nia", "src/**", by=nia, mode=SHARED)
    agentfs.leases.take("sam", "src/app.py", by=sam, mode=SHARED)
    with pytest.raises(LeaseHeld, match=r"sam holds src/app\.py"):
        agentfs.leases.take("nia", "src/**", by=nia, mode=EXCLUSIVE)
    assert {lease.mode for lease in agentfs.leases.held()} == {SHARED}
    agentfs.leases.release("sam", "src/app.py", by=sam)
    assert agentfs.leases.take("nia", "src/**", by=nia).mode is EXCLUSIVE


def test_an_agents_own_leases_never_stand_in_its_way(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    for resource in ("src/**", "src/a", "**"):
        agentfs.leases.take("nia", resource, by=nia)
    assert len(agentfs.leases.held("nia")) == 3


def test_heartbeats_renew_each_lease_by_its_own_time(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    agentfs.leases.take("nia", "short", by=nia, seconds=60)
    agentfs.leases.take("nia", "long", by=nia, seconds=600)
    agentfs.leases.take("sam", "other", by=sam, seconds=60)
    pass_time(agentfs.database, 59)
    agentfs.agents.heartbeat("nia", by=nia)
    pass_time(agentfs.database, 30)
    assert [lease.resource for lease in agentfs.leases.held()] == ["short", "long"]
    pass_time(agentfs.database, 31)
    agentfs.agents.heartbeat("nia", by=nia)
    assert [lease.resource for lease in agentfs.leases.held()] == ["long"]


def test_a_lease_is_given_up_by_its_name_or_id(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    first = agentfs.leases.take("nia", "src/", by=nia)
    second = agentfs.leases.take("nia", "resource:db", by=nia)
    with pytest.raises(NotFound, match="sam holds no lease on src/"):
        agentfs.leases.release("sam", "src/", by=sam)
    ended = agentfs.leases.release("nia", "./src/", by=nia)
    assert (ended.id, ended.ended_because) == (first.id, "released")
    assert ended.ended_at is not None
    assert agentfs.leases.release("nia", second.id, by=nia).resource == "resource:db"
    with pytest.raises(NotFound):
        agentfs.leases.release("nia", "src/", by=nia)
    assert try_to_take(agentfs, sam, "src/", EXCLUSIVE)
    assert agentfs.leases.take("nia", "resource:db", by=nia).id != second.id


# Expiry


def told_of(agentfs: AgentFS, agent: Actor) -> list[tuple[str, Importance, object]]:
    return [
        (message.type, message.importance, message.content)
        for message in agentfs.messages.inbox(agent.id, by=agent, unread_only=False)
    ]


def expected_notice(lease: Lease) -> tuple[str, Importance, object]:
    text = f"Your lease on {lease.resource} has run out."
    return ("lease.expired", Importance.HIGH, {"resource": lease.resource, "lease": lease.id, "text": text})


def test_the_holder_hears_once_that_its_lease_has_run_out(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    lease = agentfs.leases.take("nia", "src/**", by=nia, seconds=60)
    assert agentfs.leases.end_expired() == 0
    pass_time(agentfs.database, 61)
    assert agentfs.leases.held() == []
    assert agentfs.leases.end_expired() == 1
    assert agentfs.leases.end_expired() == 0
    assert told_of(agentfs, nia) == [expected_notice(lease)]
    assert try_to_take(agentfs, sam, "src/a", EXCLUSIVE)
    assert told_of(agentfs, nia) == [expected_notice(lease)]
    assert told_of(agentfs, sam) == []


def test_without_an_engine_the_next_who_asks_finds_it_free_and_the_holder_hears(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    lease = agentfs.leases.take("nia", "src/**", by=nia, seconds=60)
    pass_time(agentfs.database, 61)
    assert try_to_take(agentfs, sam, "src/a", EXCLUSIVE)
    assert told_of(agentfs, nia) == [expected_notice(lease)]
    with pytest.raises(NotFound):
        agentfs.leases.release("nia", "src/**", by=nia)
    with pytest.raises(LeaseHeld):
        agentfs.leases.take("nia", "src/**", by=nia)


def test_locked_keys_stop_no_lease_and_the_holder_hears_later(tmp_path: Path) -> None:
    settings = replace(privacy_settings(tmp_path / "w", seal_all=True, user="ada"), key_files=tmp_path / "keys")
    with closing(AgentFS(tmp_path / "w", AgentPolicy(max_agents=2), ADA, settings)) as agentfs:
        nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
        lease = agentfs.leases.take("nia", "src/**", by=nia, seconds=60)
        agentfs.messages.send("nia", "sam", "what makes the keys", by=nia)
        agentfs.keys.lock()
        pass_time(agentfs.database, 61)
        assert agentfs.leases.end_expired() == 0
        assert agentfs.leases.held() == []
        assert try_to_take(agentfs, sam, "src/a", EXCLUSIVE)
        assert agentfs.leases.release("sam", "src/a", by=sam).ended_because == "released"
        with pytest.raises(NotFound):
            agentfs.leases.release("nia", "src/**", by=nia)
        # Who waits gets its place too, and is not told of it.
        join(agentfs, "kim")
        agentfs.agents.retire("sam", by=ADA)
        assert agentfs.agents.get("kim").place is None
        assert [each.details for each in agentfs.audit.at(list(agentfs.audit.matching(SKIPPED)))] == [
            {"type": "agent.admitted"}
        ]
        unlock(agentfs.keys, Way.UNASKED, Secret(""))
        assert agentfs.leases.end_expired() == 1
        assert told_of(agentfs, nia) == [expected_notice(lease)]
        assert agentfs.audit_check.verify().whole


def test_a_lease_that_ran_out_is_taken_anew_not_renewed(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    first = agentfs.leases.take("nia", "src/**", by=nia, seconds=60)
    pass_time(agentfs.database, 61)
    agentfs.agents.heartbeat("nia", by=nia)
    assert agentfs.leases.held() == []
    assert agentfs.leases.take("nia", "src/**", by=nia).id != first.id
    assert len(told_of(agentfs, nia)) == 1


def test_a_retired_holder_is_not_written_to(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    agentfs.leases.take("nia", "src/**", by=nia, seconds=60)
    pass_time(agentfs.database, 61)
    agentfs.agents.retire("nia", by=ADA)
    assert agentfs.leases.end_expired() == 0
    assert try_to_take(agentfs, sam, "src/**", EXCLUSIVE)
    assert agentfs.messages.count() == 0
