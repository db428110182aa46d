"""A published library as it lies in the remote: put once, corrected, taken back with proof, checked and mended."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.agentfs.database import now, to_text
from core.disclosure.sharing import share, unshare
from core.errors import AccessDenied, InvalidInput, NotFound
from core.index.vector_cache import VectorCache
from core.library.published_format import LibraryName
from core.library.published_reading import read_documents, read_metadata, read_vectors
from core.model import Item, Kind
from core.remote.folder import FolderStore
from core.sync import failpoints
from core.sync.library_catalogue import remote_libraries, write_index
from core.sync.library_pull import pull
from core.sync.readable_view import rebuild_view, view_damages
from core.sync.withdrawing import withdraw
from core.sync_model import Area, AreaKind, DamageKind
from tests.agentfs.canaries import new_canary
from tests.index.indexing import vector_of
from tests.sync.machines import Machines
from tests.sync.publishers import MODEL_KEY, PREFIX, Publisher, contents, holding, know_each_other, publisher

NAME = LibraryName("python", "kettle", "1.2")
BOIL, POUR = "The kettle boils at a hundred degrees.", "Pour slowly, in circles."


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    (tmp_path / "remote").mkdir()
    return tmp_path / "remote"


@pytest.fixture
def mara(tmp_path: Path, remote: Path) -> Iterator[Publisher]:
    with Machines(tmp_path) as machines:
        yield publisher(machines, "laptop", "mara", FolderStore(remote))


@pytest.fixture
def otto(tmp_path: Path, remote: Path, mara: Publisher) -> Iterator[Publisher]:
    with Machines(tmp_path) as machines:
        made = publisher(machines, "desk", "otto", FolderStore(remote))
        know_each_other("harbour", mara, made)
        yield made


def published(remote: Path, file: str) -> bytes:
    return gzip.decompress((remote / PREFIX / file).read_bytes())


def texts_here(who: Publisher) -> list[str]:
    items = [who.agentfs.items.at_path(path) for path in paths_here(who)]
    return [json.loads(who.agentfs.items.content(item))["passages"][0][2] for item in items if item is not None]


def paths_here(who: Publisher) -> list[str]:
    rows = who.agentfs.database.connection().execute(
        "SELECT path FROM items WHERE kind = 'document' AND deleted = 0 ORDER BY path"
    )
    return [str(row["path"]) for row in rows]


def test_vectors_travel_and_belong_to_their_passages(mara: Publisher, otto: Publisher, remote: Path) -> None:
    mara.document("boil.md", BOIL, POUR)
    mara.embed(BOIL)
    assert not mara.push().vectors
    mara.embed(BOIL, POUR)
    pushed = mara.push()
    assert (pushed.documents, pushed.vectors, pushed.changed) == (1, True, True)
    assert not mara.push().changed
    metadata = read_metadata(published(remote, "metadata.json"))
    rows = read_vectors(published(remote, "vectors.f16"), metadata)
    assert np.abs(rows - np.stack([vector_of(BOIL), vector_of(POUR)])).max() < 1e-3

    otto.embed(BOIL)
    otto.sync()
    assert [(each.library, each.here) for each in remote_libraries(otto.agentfs, otto.tables)] == [("kettle", False)]
    pulled = pull(otto.agentfs, otto.store, "Kettle", by=otto.person)
    assert (pulled.documents, pulled.vectors) == (1, True)
    cache = VectorCache(otto.agentfs.root / "vectors.db")
    digests = [each for (each,) in cache._connection.execute("SELECT sha256 FROM vectors")]
    held = cache.get_many(MODEL_KEY, digests)
    cache.close()
    assert len(held) == 2
    # What was embedded here stays, whatever others say of the same text.
    assert any(np.array_equal(each, vector_of(BOIL)) for each in held.values())
    item = otto.agentfs.items.at_path(PREFIX + "boil.md")
    assert item is not None
    assert (item.owner, item.level.value, item.metadata["library"]) == ("mara", "public", "kettle")
    with pytest.raises(InvalidInput, match="here already"):
        pull(otto.agentfs, otto.store, "kettle", by=otto.person)
    with pytest.raises(InvalidInput, match="was added here"):
        pull(mara.agentfs, mara.store, "kettle", by=mara.person)
    with pytest.raises(NotFound):
        pull(otto.agentfs, otto.store, "kettle@9", by=otto.person)


def test_what_is_in_a_library_leaves_no_second_time(mara: Publisher, otto: Publisher, remote: Path) -> None:
    boil = mara.document("boil.md", BOIL)
    share(mara.agentfs, boil.id, "public", by=mara.person)
    mara.sync()
    view = remote / "user-contributions/mara/kettle/boil.md"
    assert BOIL in gzip.decompress(view.read_bytes()).decode()
    otto.sync()
    assert paths_here(otto) == [boil.path]
    mara.push()
    mara.sync()
    otto.sync()
    assert not view.exists()
    assert paths_here(otto) == []
    assert holding(contents(remote), [BOIL]) == [PREFIX + "kettle.json"]
    assert pull(otto.agentfs, otto.store, "kettle", by=otto.person).documents == 1


def test_a_correction_takes_the_place_of_what_was_published(mara: Publisher, otto: Publisher, remote: Path) -> None:
    mara.document("boil.md", BOIL + "\n\n```py\nboil(100)\n```")
    mara.document("pour.md", POUR)
    mara.push()
    otto.sync()
    pull(otto.agentfs, otto.store, "kettle", by=otto.person)
    first = read_metadata(published(remote, "metadata.json"))
    assert len(first.files) == 2
    mara.document("boil.md", "It boils at ninety degrees up here.")
    gone = mara.agentfs.items.at_path("user-contributions/mara/kettle/pour.md")
    assert gone is not None
    with mara.agentfs.database.transaction() as connection:
        mara.agentfs.items.delete(connection, gone.id)
    assert mara.push().changed
    second = read_metadata(published(remote, "metadata.json"))
    assert second.published_at == first.published_at
    assert list(second.files) == ["kettle.json"]
    assert holding(contents(remote), [BOIL, POUR, "boil(100)"]) == []
    assert not (remote / PREFIX / "examples").exists() or not list((remote / PREFIX / "examples").iterdir())
    assert [each.reason for each in view_damages(mara.store, mara.tables)] == []
    otto.sync()
    assert pull(otto.agentfs, otto.store, "kettle", by=otto.person).documents == 1
    assert texts_here(otto) == ["It boils at ninety degrees up here."]


def test_a_correction_that_was_interrupted_is_ended_by_repairing_the_view(mara: Publisher, remote: Path) -> None:
    mara.document("boil.md", BOIL)
    mara.push()
    before = contents(remote)
    mara.document("boil.md", "It boils at ninety degrees up here.")

    def die(name: str) -> None:
        if name == "after-advance":
            raise KeyboardInterrupt

    failpoints.on_reached = die
    try:
        with pytest.raises(KeyboardInterrupt):
            mara.push()
    finally:
        failpoints.on_reached = None
    assert contents(remote)[PREFIX + "kettle.json"] == before[PREFIX + "kettle.json"]
    named = {each.key for each in view_damages(mara.store, mara.tables)}
    assert {PREFIX + "kettle.json", PREFIX + "metadata.json"} <= named
    rebuild_view(mara.store, mara.tables)
    assert b"ninety" in published(remote, "kettle.json")
    assert not mara.push().changed
    assert view_damages(mara.store, mara.tables) == []


def unshared(who: Publisher, item: Item) -> None:
    unshare(who.agentfs, item.id, by=who.person)
    result = who.sync()
    assert result.problems == []


def test_a_document_that_is_unshared_is_gone_from_the_library(mara: Publisher, remote: Path) -> None:
    boil, _ = mara.document("boil.md", BOIL + "\n\n```py\nboil(100)\n```"), mara.document("pour.md", POUR)
    mara.push()
    unshared(mara, boil)
    metadata = read_metadata(published(remote, "metadata.json"))
    left = read_documents(published(remote, "kettle.json"), metadata)
    assert [each.path for each in left] == ["pour.md"]
    assert holding(contents(remote), [BOIL, "boil(100)"]) == []
    assert mara.sync().sent == 0
    assert view_damages(mara.store, mara.tables) == []


def test_vectors_of_what_stays_stay(mara: Publisher, remote: Path) -> None:
    mara.document("all.md", BOIL, POUR)
    other = mara.document("other.md", "A third text.")
    mara.embed(BOIL, POUR)
    mara.embed("A third text.")
    assert mara.push().vectors
    unshared(mara, other)
    metadata = read_metadata(published(remote, "metadata.json"))
    rows = read_vectors(published(remote, "vectors.f16"), metadata)
    assert np.abs(rows - np.stack([vector_of(BOIL), vector_of(POUR)])).max() < 1e-3


def test_a_library_all_of_which_is_unshared_is_gone(mara: Publisher, otto: Publisher, remote: Path) -> None:
    items = [mara.document("boil.md", BOIL), mara.document("pour.md", POUR + "\n\n```py\npour()\n```")]
    mara.push()
    for item in items:
        unshare(mara.agentfs, item.id, by=mara.person)
    mara.sync()
    assert [key for key in contents(remote) if key.startswith("libraries/")] == ["libraries/index.json"]
    assert json.loads(gzip.decompress((remote / "libraries/index.json").read_bytes()))["libraries"] == []
    assert holding(contents(remote), [BOIL, POUR, "pour()"]) == []
    otto.sync()
    assert remote_libraries(otto.agentfs, otto.tables) == []
    with pytest.raises(NotFound):
        pull(otto.agentfs, otto.store, "kettle", by=otto.person)
    assert mara.push().changed


def test_a_library_is_withdrawn_by_its_publisher_alone(mara: Publisher, otto: Publisher, remote: Path) -> None:
    mara.document("boil.md", BOIL)
    mara.push()
    with pytest.raises(AccessDenied, match="mara"):
        withdraw(otto.agentfs, otto.store, otto.area(), NAME, by=otto.person)
    otto.document("mine.md", "My own kettle.")
    with pytest.raises(AccessDenied, match="published by mara"):
        otto.push()
    assert otto.agentfs.shares.all() == []
    assert withdraw(mara.agentfs, mara.store, mara.area(), NAME, by=mara.person).documents == 1
    assert holding(contents(remote), [BOIL]) == []
    assert otto.push().changed


def test_one_secret_keeps_the_whole_library_back(mara: Publisher, remote: Path) -> None:
    canary = new_canary()
    first = mara.document("a.md", BOIL)
    share(mara.agentfs, first.id, "team:harbour", by=mara.person)
    mara.document("b.md", f"export TOKEN={canary}")
    before = mara.agentfs.shares.all()
    with pytest.raises(AccessDenied, match=r"b\.md may not be published") as refused:
        mara.push()
    assert canary not in str(refused.value)
    assert mara.agentfs.shares.all() == before
    mara.sync()
    assert holding(contents(remote), [canary, BOIL]) == []
    assert not (remote / "libraries").exists()


@pytest.mark.parametrize("target", ["kettle", "teapot", "python/kettle@7"])
def test_what_cannot_be_published_is_one_sentence(mara: Publisher, target: str) -> None:
    mara.document("a.md", BOIL, version="1")
    mara.document("b.md", BOIL, version="2")
    with pytest.raises(InvalidInput) as refused:
        mara.push(target)
    assert "\n" not in refused.value.message
    assert mara.agentfs.shares.all() == []


def test_two_documents_of_one_name_keep_apart(mara: Publisher, remote: Path) -> None:
    mara.document("boil.md", BOIL)
    content = mara.agentfs.items.at_path("user-contributions/mara/kettle/boil.md")
    assert content is not None
    from core.agentfs.items import ItemWrite

    other = ItemWrite(
        "user-contributions/mara/more/boil.md",
        Kind.DOCUMENT,
        "mara",
        mara.agentfs.items.content(content),
        metadata=content.metadata,
    )
    with mara.agentfs.database.transaction() as connection:
        mara.agentfs.items.put(connection, other)
    mara.push()
    told = json.loads(published(remote, "kettle.json"))
    assert [each["path"] for each in told["documents"]] == ["boil.md", "more/boil.md"]
    assert b"/home/mara" not in published(remote, "kettle.json")


def test_the_index_is_rewritten_at_most_once_a_minute(mara: Publisher, remote: Path) -> None:
    index = remote / "libraries/index.json"
    mara.document("boil.md", BOIL)
    mara.push()
    first = index.read_bytes()
    mara.document("pour.md", POUR, library="pot")
    mara.push("pot")
    assert index.read_bytes() == first
    assert not write_index(mara.agentfs, mara.store, mara.tables)
    mara.sync()
    assert index.read_bytes() == first
    mara.agentfs.settings.put("sync.index_written_at", to_text(now() - timedelta(seconds=61)))
    mara.sync()
    told = json.loads(gzip.decompress(index.read_bytes()))
    assert [each["library"] for each in told["libraries"]] == ["kettle", "pot"]


def test_a_damaged_index_is_named_and_mended(mara: Publisher, remote: Path) -> None:
    mara.document("boil.md", BOIL)
    mara.push()
    index = remote / "libraries/index.json"
    for data in (
        b"{}",
        b"\x1f\x8bgarbage",
        b"[" * 1_000,
        gzip.compress(b'{"format":"bailiwick-libraries","version":2}'),
    ):
        index.write_bytes(data)
        found = view_damages(mara.store, mara.tables)
        assert [(each.kind, each.key) for each in found] == [(DamageKind.VIEW, "libraries/index.json")]
    write_index(mara.agentfs, mara.store, mara.tables, at_once=True)
    assert view_damages(mara.store, mara.tables) == []


def test_what_lay_there_before_is_not_trusted(mara: Publisher, otto: Publisher, remote: Path) -> None:
    (remote / PREFIX).mkdir(parents=True)
    (remote / PREFIX / "kettle.json").write_bytes(gzip.compress(b"planted"))
    mara.document("boil.md", BOIL)
    mara.push()
    assert BOIL in published(remote, "kettle.json").decode()
    (remote / PREFIX / "kettle.json").write_bytes(gzip.compress(b"planted again"))
    otto.sync()
    assert pull(otto.agentfs, otto.store, "kettle", by=otto.person).documents == 1


TEAM = Area(AreaKind.TEAM, "harbour")


def test_what_a_team_gets_is_sealed_and_taken_back(mara: Publisher, otto: Publisher, remote: Path) -> None:
    item = mara.write("notes/heat", "the kettle whistles in F sharp")
    share(mara.agentfs, item.id, "team:harbour", by=mara.person)
    mara.sync(TEAM)
    mara.sync()
    assert holding(contents(remote), ["F sharp", "notes/heat"]) == []
    blobs = [key for key in contents(remote) if key.startswith(".bailiwick/blobs/team-harbour/")]
    assert len(blobs) == 1
    otto.sync(TEAM)
    there = otto.agentfs.items.at_path("notes/heat")
    assert there is not None
    assert (there.owner, otto.agentfs.items.content(there)) == ("mara", b"the kettle whistles in F sharp")
    unshare(mara.agentfs, item.id, by=mara.person)
    assert mara.sync(TEAM).problems == []
    assert [key for key in contents(remote) if key.startswith(".bailiwick/blobs/")] == []
    otto.sync(TEAM)
    assert otto.agentfs.items.at_path("notes/heat") is None


def test_an_unsharing_that_was_interrupted_is_ended_by_the_next_sync(mara: Publisher, remote: Path) -> None:
    item = mara.write("notes/heat", "the kettle whistles in F sharp")
    share(mara.agentfs, item.id, "public", by=mara.person)
    mara.sync()
    view = remote / "user-contributions/mara/notes/heat"
    assert view.exists()
    unshare(mara.agentfs, item.id, by=mara.person)

    def die(name: str) -> None:
        if name == "after-commit":
            raise KeyboardInterrupt

    failpoints.on_reached = die
    try:
        with pytest.raises(KeyboardInterrupt):
            mara.sync()
    finally:
        failpoints.on_reached = None
    assert view.exists()
    assert mara.sync().problems == []
    assert holding(contents(remote), ["F sharp"]) == []
    assert not view.exists()


def test_a_remote_that_does_not_delete_is_named_until_it_does(mara: Publisher, remote: Path) -> None:
    class Keeps(FolderStore):
        """A bucket whose credentials may not delete, and which does not say so."""

        def delete(self, keys: object) -> None:
            pass

    item = mara.write("notes/heat", "the kettle whistles in F sharp")
    share(mara.agentfs, item.id, "public", by=mara.person)
    mara.sync()
    unshare(mara.agentfs, item.id, by=mara.person)
    honest, mara.store = mara.store, Keeps(remote)
    assert "still has it" in mara.sync().problems[0]
    assert "still has it" in mara.sync().problems[0]
    mara.store = honest
    assert mara.sync().problems == []
    assert holding(contents(remote), ["F sharp"]) == []


def test_anonymous_kinds_leave_without_personal_data(mara: Publisher, remote: Path) -> None:
    finding = "Write to mara@lighthouse.dev: the kettle whistles in F sharp."
    item = mara.write("notes/finding", json.dumps({"finding": finding}), Kind.RESEARCH_FINDING)
    share(mara.agentfs, item.id, "public", by=mara.person)
    mara.sync()
    assert len(holding(contents(remote), ["F sharp"])) == 2
    assert holding(contents(remote), ["lighthouse.dev"]) == []


def test_one_shared_thing_is_shown_as_what_it_is(mara: Publisher, remote: Path) -> None:
    for path, text in (("a/json", '{"a": 1}'), ("a/text", "[no](json)")):
        share(mara.agentfs, mara.write(path, text).id, "public", by=mara.person)
    document = mara.document("boil.md", BOIL, POUR)
    share(mara.agentfs, document.id, "public", by=mara.person)
    mara.sync()
    there = {key: gzip.decompress(data) for key, data in contents(remote).items() if key.startswith("user-contrib")}
    assert there == {
        "user-contributions/mara/a/json": b'{"a": 1}',
        "user-contributions/mara/a/text": b"[no](json)",
        "user-contributions/mara/kettle/boil.md": (
            f"# boil.md\n\n## Title 0\n\n{BOIL}\n\n## Title 1\n\n{POUR}\n".encode()
        ),
    }
