"""What the three tiers hold, hand on, drop and tell."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from caching import ROOMY, TINY, Opened

from core.cache.bounds import SMALL, CacheBounds
from core.cache.status import Tier
from core.errors import InvalidInput, NotFound
from core.ids import sha256_hex

SMALL_VALUE = b"s" * 1000
LARGE_VALUE = b"l" * (SMALL + 1)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path / "w")
    yield made
    made.close()


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path / "tiny", TINY)
    yield made
    made.close()


def tier_of(opened: Opened, name: str) -> Tier | None:
    kept = opened.cache.find(name)
    return kept.tier if kept is not None else None


def test_what_was_put_is_read_from_memory_and_after_a_restart_from_its_tier(opened: Opened) -> None:
    assert opened.cache.put("small", SMALL_VALUE)
    assert opened.cache.put("large", LARGE_VALUE)
    assert tier_of(opened, "small") is Tier.MEMORY
    opened.reopen()
    assert tier_of(opened, "small") is Tier.RECENT
    assert tier_of(opened, "large") is Tier.FILES
    assert tier_of(opened, "small") is tier_of(opened, "large") is Tier.MEMORY
    assert opened.cache.get("small") == SMALL_VALUE
    assert opened.cache.get("large") == LARGE_VALUE
    assert opened.cache.get("never") is None


def test_what_is_used_rises_from_the_files_to_agentfs(tiny: Opened) -> None:
    values = {f"v{number}": bytes([number]) * 900 for number in range(6)}
    for name, value in values.items():
        tiny.cache.put(name, value)
    tiny.reopen()
    assert tier_of(tiny, "v0") is Tier.FILES, "the oldest gave way to newer ones"
    tiny.reopen()
    assert tier_of(tiny, "v0") is Tier.RECENT
    assert all(tiny.cache.get(name) == value for name, value in values.items())
    status = tiny.cache.status()
    assert status[Tier.RECENT].evictions > 0
    assert status[Tier.RECENT].size <= TINY.recent


def test_files_are_readable_by_the_user_alone(opened: Opened) -> None:
    opened.cache.put("large", LARGE_VALUE)
    [path] = opened.files()
    assert path.name == sha256_hex(LARGE_VALUE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(opened.folder.stat().st_mode) == stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_value_that_is_not_what_it_must_be_is_not_kept(opened: Opened) -> None:
    assert not opened.cache.put("x", SMALL_VALUE, sha256_hex(b"another"))
    assert opened.cache.get("x") is None
    opened.cache.put("x", SMALL_VALUE)
    assert opened.cache.get("x", sha256_hex(b"another")) is None
    assert opened.cache.get("x", sha256_hex(SMALL_VALUE)) == SMALL_VALUE
    assert opened.cache.get("another name", sha256_hex(SMALL_VALUE)) == SMALL_VALUE


@pytest.mark.parametrize("value", [SMALL_VALUE, LARGE_VALUE], ids=["small", "large"])
def test_a_damaged_value_is_dropped_and_counted_as_a_miss(opened: Opened, value: bytes) -> None:
    opened.cache.put("x", value)
    opened.reopen()
    before = opened.cache.status()
    assert opened.spoil_recent(sha256_hex(value)) + opened.spoil_file(sha256_hex(value)) == 1
    assert opened.cache.get("x") is None
    status = opened.cache.status()
    assert status.misses == before.misses + 1
    assert status.damaged == 1
    assert not opened.files()
    assert status[Tier.RECENT].size == status[Tier.FILES].size == 0
    assert opened.cache.put("x", value)
    opened.reopen()
    assert opened.cache.get("x") == value


def test_a_value_damaged_in_agentfs_is_still_read_from_its_file(tiny: Opened) -> None:
    for number in range(4):
        tiny.cache.put(f"v{number}", bytes([number]) * 900)
    tiny.reopen()
    value = tiny.cache.get("v0")
    tiny.reopen()
    assert value == bytes([0]) * 900
    assert tiny.spoil_recent(sha256_hex(value)) == 1
    assert tier_of(tiny, "v0") is Tier.FILES


def test_a_file_that_was_deleted_is_a_miss_and_no_damage(opened: Opened) -> None:
    opened.cache.put("large", LARGE_VALUE)
    opened.reopen()
    opened.files()[0].unlink()
    assert opened.cache.get("large") is None
    assert opened.cache.status().damaged == 0
    assert opened.cache.status()[Tier.FILES].entries == 0


def test_the_check_drops_what_is_damaged(opened: Opened) -> None:
    opened.cache.put("small", SMALL_VALUE)
    opened.cache.put("large", LARGE_VALUE)
    assert opened.cache.check().damaged == 0
    opened.spoil_file(sha256_hex(LARGE_VALUE))
    found = opened.cache.check()
    assert (found.entries, found.damaged) == (2, 1)
    assert opened.cache.check().entries == 1
    opened.reopen()
    assert opened.cache.get("large") is None
    assert opened.cache.get("small") == SMALL_VALUE


def test_the_oldest_files_give_way_and_the_pinned_never(tiny: Opened) -> None:
    values = {f"v{number}": bytes([number]) * 3_500 for number in range(40)}
    tiny.cache.put("pinned", b"p" * 3_500)
    tiny.cache.pin("pinned")
    for name, value in values.items():
        tiny.cache.put(name, value)
        assert tiny.cache.get("v0") in (value, values["v0"]), "what is used goes on being there"
    tiny.reopen()
    status = tiny.cache.status()
    assert status[Tier.FILES].size == sum(path.stat().st_size for path in tiny.files()) <= TINY.files
    assert status[Tier.FILES].evictions == 41 - status[Tier.FILES].entries > 0
    assert tiny.cache.get("pinned") == b"p" * 3_500
    assert tiny.cache.get("v0") == values["v0"]
    assert tiny.cache.get("v1") is None
    assert tiny.cache.get("v39") == values["v39"]


def test_pins_hold_over_restarts_and_for_what_is_put_later(tiny: Opened) -> None:
    tiny.cache.put("index", b"one")
    tiny.cache.pin("index")
    tiny.reopen()
    assert tiny.cache.pinned() == ["index"]
    tiny.cache.put("index", b"two" * 700)
    for number in range(60):
        tiny.cache.put(f"v{number}", bytes([number]) * 3_000)
    tiny.reopen()
    assert tiny.cache.get("index") == b"two" * 700
    assert (tiny.cache.status().pinned, tiny.cache.status().pinned_bytes) == (1, 2_100)
    tiny.cache.unpin("index")
    assert tiny.cache.pinned() == []


def test_a_damaged_pinned_value_stays_pinned_for_its_return(tiny: Opened) -> None:
    tiny.cache.put("x", b"x" * 3_000)
    tiny.cache.pin("x")
    tiny.reopen()
    tiny.spoil_file(sha256_hex(b"x" * 3_000))
    assert tiny.cache.get("x") is None
    assert tiny.cache.pinned() == ["x"]
    assert tiny.cache.put("x", b"x" * 3_000)
    tiny.reopen()
    assert tiny.cache.get("x") == b"x" * 3_000


def test_pinning_more_than_fits_is_refused_in_one_sentence(tiny: Opened) -> None:
    with pytest.raises(NotFound, match="is not in the cache"):
        tiny.cache.pin("never")
    for number in range(16):
        tiny.cache.put(f"v{number}", bytes([number]) * 4_000)
        tiny.cache.pin(f"v{number}")
    tiny.cache.put("more", b"m" * 1_999)
    with pytest.raises(InvalidInput) as refused:
        tiny.cache.pin("more")
    assert refused.value.message == "With more there would be 65,999 bytes pinned; the cache has room for 64,000."
    assert "more" not in tiny.cache.pinned()
    assert tiny.cache.status().pinned_bytes == 64_000
    assert tiny.cache.get("more") == b"m" * 1_999, "what is not pinned is kept where there is room"


def test_equal_content_is_kept_once(opened: Opened) -> None:
    opened.cache.put("one", LARGE_VALUE)
    opened.cache.put("two", LARGE_VALUE)
    assert len(opened.files()) == 1
    opened.cache.forget("one")
    opened.reopen()
    assert opened.cache.get("one") is None
    assert opened.cache.get("two") == LARGE_VALUE
    opened.cache.forget("two")
    assert opened.files() == []


def test_what_is_replaced_leaves_nothing_behind(opened: Opened) -> None:
    opened.cache.put("x", LARGE_VALUE)
    opened.cache.put("x", b"new")
    assert opened.files() == []
    assert opened.cache.get("x") == b"new"
    assert opened.cache.status()[Tier.FILES].size == 0


def test_what_is_too_large_replaces_what_was_there_all_the_same(tiny: Opened) -> None:
    tiny.cache.put("x", b"before")
    assert tiny.cache.put("x", b"m" * 4_400), "memory has room for it"
    assert not tiny.cache.put("y", b"m" * 10_000)
    assert tiny.cache.get("x") == b"m" * 4_400
    tiny.reopen()
    assert tiny.cache.get("x") is None


def test_a_file_goes_in_and_out_without_being_read_whole(opened: Opened, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE_VALUE * 20)
    digest = sha256_hex(source.read_bytes())
    assert not opened.cache.put_file("x", source, sha256_hex(b"another"))
    assert opened.files() == []
    assert opened.cache.put_file("x", source, digest)
    assert opened.cache.copy_to("x", target) == digest
    assert target.read_bytes() == source.read_bytes()
    assert opened.cache.status()[Tier.MEMORY].entries == 0
    opened.spoil_file(digest)
    assert opened.cache.copy_to("x", target) is None
    assert not target.exists()
    assert opened.cache.copy_to("x", target) is None
    opened.cache.put("small", b"few")
    assert opened.cache.copy_to("small", target) == sha256_hex(b"few")
    assert target.read_bytes() == b"few"


def test_what_came_too_long_ago_is_not_answered_and_not_dropped(tmp_path: Path) -> None:
    moment = 1_000_000.0
    opened = Opened(tmp_path / "w", clock=lambda: moment)
    opened.cache.put("x", b"hint")
    moment += 61
    assert opened.cache.find("x", max_age=60) is None
    kept = opened.cache.find("x", max_age=62)
    assert kept is not None
    assert kept.age == pytest.approx(61, abs=0.1)
    opened.cache.put("x", b"hint")
    assert opened.cache.find("x", max_age=60) is not None
    moment -= 10_000
    assert opened.cache.find("x", max_age=60) is None, "what seems to come from the future has no known age"
    opened.close()


def test_the_numbers_are_those_of_all_processes(opened: Opened) -> None:
    opened.cache.put("x", SMALL_VALUE)
    opened.cache.get("x")
    opened.cache.get("never")
    opened.reopen()
    opened.cache.get("x")
    opened.cache.get("x")
    opened.cache.count_offline()
    status = opened.cache.status()
    assert (status[Tier.MEMORY].hits, status[Tier.RECENT].hits, status.misses, status.offline) == (2, 1, 1, 1)
    assert status.hit_rate() == 0.75
    assert status.hit_rate(Tier.RECENT) == 0.25
    assert Opened(opened.root.parent / "other").cache.status().hit_rate() is None


def test_memory_gives_way_when_others_need_it(tmp_path: Path) -> None:
    left = 2**30
    opened = Opened(tmp_path / "w")
    opened.cache = type(opened.cache)(opened.database, opened.folder, ROOMY, memory=lambda: (left, 4 * 2**30))
    values = {f"v{number}": bytes([number]) * 60_000 for number in range(50)}
    opened.cache.put_many(values)
    assert opened.cache.status()[Tier.MEMORY].entries == 50
    opened.cache.tidy()
    assert opened.cache.status()[Tier.MEMORY].entries == 50
    left = int(0.4 * 2**30) - 2**20
    opened.cache.tidy()
    status = opened.cache.status()
    assert 0 < status[Tier.MEMORY].size <= 50 * 60_500 - 2**20
    assert status[Tier.MEMORY].evictions == 50 - status[Tier.MEMORY].entries
    left = 0
    opened.cache.tidy()
    assert opened.cache.status()[Tier.MEMORY].size == 0
    assert all(opened.cache.get(name) == value for name, value in values.items())
    left = 2**30
    opened.cache.put("after", b"a")
    opened.cache.get("after")
    opened.cache.tidy()
    opened.close()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from caching import Opened
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
opened = Opened(Path(sys.argv[1]))
cache = opened.cache
assert cache.put("before", b"b" * 1000) and cache.put("file", b"f" * 100_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
assert cache.put("large", b"l" * 100_000), "there is room in memory"
assert "full" in cache.status().problem, cache.status().problem
assert cache.get("large") == b"l" * 100_000
for number in range(200):
    cache.put(str(number), bytes([number]) * 5_000)
assert cache.get("before") == b"b" * 1000 and cache.get("file") == b"f" * 100_000
cache.tidy()
cache.flush()
cache.forget("before")
opened.close()
print("well")
"""


def test_a_full_disk_is_no_failure_of_whoever_reads(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "w"), str(Path(__file__).parent)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.stdout.strip() == "well", ended.stderr
    again = Opened(tmp_path / "w")
    assert again.cache.get("file") == b"f" * 100_000
    assert again.cache.check().damaged == 0
    assert not [path for path in again.files() if path.name.startswith(".")]
    again.close()


def test_a_folder_that_cannot_be_made_leaves_memory_and_agentfs(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "w", CacheBounds(8 * 2**20, 2**20, 64 * 2**20))
    opened.folder.write_text("in the way")
    assert opened.cache.put("large", LARGE_VALUE)
    assert opened.cache.status().problem
    assert opened.cache.get("large") == LARGE_VALUE
    assert opened.cache.put("small", SMALL_VALUE)
    assert opened.cache.status().problem == ""
    opened.reopen()
    assert opened.cache.get("large") is None
    assert opened.cache.get("small") == SMALL_VALUE
    opened.close()
