"""Listing states and versions without their values."""

from __future__ import annotations

from acting import join

from core.agentfs.agentfs import AgentFS


def test_entries_are_the_living_states_by_key(agentfs: AgentFS) -> None:
    mason = join(agentfs, "mason")
    agentfs.states.put(mason.id, "plan/b", [1, 2], by=mason)
    agentfs.states.put(mason.id, "plan/a", "x", by=mason, critical=True, expires_in=60)
    agentfs.states.put(mason.id, "gone", 1, by=mason)
    agentfs.states.delete(mason.id, "gone", by=mason)
    entries = agentfs.states.entries("mason")
    assert [(each.key, each.version, each.size, each.critical) for each in entries] == [
        ("plan/a", 1, 3, True),
        ("plan/b", 1, 5, False),
    ]
    assert entries[0].expires_at is not None
    assert [each.key for each in agentfs.states.entries("mason", limit=1)] == ["plan/a"]


def test_a_history_can_be_cut_to_its_newest_versions(agentfs: AgentFS) -> None:
    mason = join(agentfs, "mason")
    for number in range(5):
        agentfs.states.put(mason.id, "count", number, by=mason)
    assert [each.version for each in agentfs.states.history(mason.id, "count", limit=2)] == [5, 4]
    assert len(agentfs.states.history(mason.id, "count")) == 5
