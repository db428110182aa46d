"""``bailiwick cache``: what was read from the remote and is kept to be read again."""

from __future__ import annotations

import click

from tui.amounts import counted, percent_text, size_text
from tui.commands.nouns import answer, noun, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.syncing import syncing

_NAMES = {"memory": "memory", "recent": "recent values", "files": "files"}


@noun
def cache() -> None:
    """See what is kept of the remote, keep something for good, or make room. Nothing is lost by it."""


@cache.command()
@common_options
@pass_invocation
def show(invocation: Invocation) -> None:
    """Show each tier: how much it holds, of how much, how often it answered, and what gave way."""
    with syncing(invocation, "cache") as workspace:
        status = workspace.cache.status()
        pinned = workspace.cache.pinned()
    rows = [
        (
            _NAMES[each.tier],
            f"{each.entries:,}",
            size_text(each.size),
            size_text(each.bound),
            f"{each.hits:,}",
            f"{each.evictions:,}",
        )
        for each in status.tiers
    ]
    rate = status.hit_rate()
    share = percent_text(100 * rate) if rate is not None else "–"
    lines = table(("TIER", "ENTRIES", "HOLDS", "OF", "HITS", "GAVE WAY"), rows, "")
    lines.append(f"{share} of {status.reads:,} reads were answered from here, {status.offline:,} while offline.")
    lines.append(f"{counted(status.pinned, 'object')} pinned, {size_text(status.pinned_bytes)}.")
    lines += [f"{counted(status.damaged, 'value')} did not fit its hash and was dropped."] if status.damaged else []
    lines += [f"! {status.problem}"] if status.problem else []
    document = {
        "tiers": status.tiers,
        "reads": status.reads,
        "misses": status.misses,
        "hit_rate": rate,
        "offline": status.offline,
        "damaged": status.damaged,
        "pinned": pinned,
        "pinned_bytes": status.pinned_bytes,
        "problem": status.problem,
    }
    answer(invocation, document, lines)


@cache.command()
@click.argument("target", metavar="PATH|FOLDER/|LIBRARY[@VERSION]")
@common_options
@pass_invocation
def pin(invocation: Invocation, target: str) -> None:
    """Fetch TARGET from the remote and keep it at hand, whatever else is read."""
    # Imported here: --help needs none of the rooms of synchronising.
    from core.sync.pinning import pin as pin_target
    from core.sync.tables import SyncTables

    with syncing(invocation, "cache") as workspace:
        done = pin_target(workspace.sync.store(), SyncTables(workspace.agentfs.database), target)
    said = f"{counted(done.paths, 'path')} in {counted(done.objects, 'object')}, {size_text(done.bytes)}"
    answer(invocation, done, [f"Pinned {target}: {said}."])


@cache.command()
@click.argument("target", metavar="PATH|FOLDER/|LIBRARY[@VERSION]")
@common_options
@pass_invocation
def unpin(invocation: Invocation, target: str) -> None:
    """Let TARGET give way again when room is needed."""
    from core.sync.pinning import unpin as unpin_target
    from core.sync.tables import SyncTables

    with syncing(invocation, "cache") as workspace:
        done = unpin_target(workspace.sync.store(), SyncTables(workspace.agentfs.database), target)
    answer(invocation, done, [f"{target} may give way again."])


@cache.command()
@common_options
@pass_invocation
def clear(invocation: Invocation) -> None:
    """Forget all that is not pinned; it is read from the remote again when it is needed."""
    with syncing(invocation, "cache") as workspace:
        before = workspace.cache.status()
        forgotten = workspace.cache.clear()
        after = workspace.cache.status()
    freed = sum(each.size for each in before.tiers) - sum(each.size for each in after.tiers)
    kept = f"; {counted(after.pinned, 'pinned object')} stayed" if after.pinned else ""
    document = {"forgotten": forgotten, "freed_bytes": freed, "pinned": after.pinned}
    answer(invocation, document, [f"{counted(forgotten, 'object')} forgotten, {size_text(freed)} free{kept}."])
