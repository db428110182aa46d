"""Any states come back from an export as they were, and a second import changes nothing."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import to_json
from core.errors import InvalidInput
from core.ids import new_id
from core.interchange.exporting import export_agent
from core.interchange.file_states import PREFIX, StoredFile, file_of, is_plain_name, key_of, value_of
from core.interchange.importing import import_agent
from core.model import JSONValue
from tests.interchange.foreign import ADA, values, written

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(st.sampled_from("aB. _-é/"), min_size=1, max_size=12)
MODES = st.integers(0, 0o777)
FILE_VALUES: st.SearchStrategy[JSONValue] = st.one_of(
    st.builds(lambda data, mode: value_of(StoredFile("a", data, mode)), st.binary(max_size=9000), MODES),
    st.builds(lambda text, mode: value_of(StoredFile("a", text.encode(), mode)), TEXTS, MODES),
    st.builds(lambda target: value_of(StoredFile("a", target=target)), TEXTS.filter(bool)),
)
STATES = st.dictionaries(NAMES, JSON, max_size=4)
FILES = st.dictionaries(NAMES.map(lambda name: PREFIX + name), FILE_VALUES | JSON, max_size=5)


@given(name=NAMES, value=FILE_VALUES | JSON)
def test_what_counts_as_a_file_gives_the_same_state_again(name: str, value: JSONValue) -> None:
    file = file_of(key_of(name), value)
    if file is not None:
        assert (key_of(file.path), value_of(file)) == (key_of(name), value)
        assert all(map(is_plain_name, file.path.split("/")))
    assert file_of(name, value) is None


@given(data=st.binary(max_size=9000), mode=MODES)
def test_every_file_is_a_state_and_the_same_file_again(data: bytes, mode: int) -> None:
    file = StoredFile("a/b", data, mode)
    assert file_of(key_of("a/b"), value_of(file)) == file


@given(states=STATES, files=FILES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_states_come_back_as_they_were(
    agentfs: AgentFS, other: AgentFS, tmp_path: Path, states: dict[str, JSONValue], files: dict[str, JSONValue]
) -> None:
    name = f"scout-{new_id()}"
    agentfs.agents.register(name, "research", owner="ada", by=ADA)
    for key, value in {**states, **files}.items():
        try:
            agentfs.states.put(name, key, value, by=ADA)
        except InvalidInput:
            assume(key.strip() != key)
    file = tmp_path / f"{name}.db"
    export_agent(agentfs, name, file, by=ADA, with_sensitive=True)
    done = import_agent(other, file, name, by=ADA)
    assert done.skipped == ()
    assert to_json(values(other, name)) == to_json(values(agentfs, name))
    for workspace in (agentfs, other):
        before = written(workspace)
        again = import_agent(workspace, file, name, by=ADA)
        assert (again.states, again.changed, again.unchanged) == (0, 0, len(values(agentfs, name)))
        assert written(workspace) == before
