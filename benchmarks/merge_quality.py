"""Three-way merges of texts from a git history, ours beside ``git merge-file``: how many are clean, and how many right.

    uv run python benchmarks/merge_quality.py [--repository DIR] [--most N] [--seed N] [--show N]

A base is a file's text at one commit, remote the text some commits later: what happened to the file since. Local is the
text with one of those changes made by somebody else at the same time. What is right is known, because history made
both changes, one after the other:

  replayed   of two commits in a row that changed a file, the second one's change is put onto the base by itself (with
             ``git apply``), so that local has the second change alone and remote the first; right is what history had
             after both.
  side       both sides have a change of their own, from two places of the history, so that nothing is known to be
             right; counted is what was clean, and whether both tools agree.

With the package ``merge3`` in the environment (``uv run --with merge3 …``) it is a third column.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.conflicts.merging.decisions import resolve
from core.conflicts.merging.text_merge import lines, merge_text

ENDINGS = (".py", ".md", ".yml", ".tcss", ".sql", ".toml", ".json")


@dataclass(frozen=True, slots=True)
class Case:
    """Three texts, and what is right where that is known."""

    name: str
    base: str
    local: str
    remote: str
    right: str | None


Merge = Callable[[Case], str | None]
"""The merged text, ``None`` when it is not clean."""


class History:
    """The texts of a repository's files, commit by commit."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def git(self, *arguments: str) -> str:
        """What git prints."""
        ended = subprocess.run(
            ["git", "-C", str(self._repository), *arguments], capture_output=True, check=True, timeout=120
        )
        return ended.stdout.decode("utf-8", "replace")

    def files(self) -> list[str]:
        """Files that were changed more than twice."""
        changed = Counter(self.git("log", "--no-merges", "--name-only", "--format=").split("\n"))
        return sorted(name for name, count in changed.items() if count > 2 and name.endswith(ENDINGS))

    def texts(self, name: str) -> list[tuple[str, str]]:
        """Commit and text, the oldest first; commits in which the file is not there are left out."""
        commits = self.git("log", "--no-merges", "--reverse", "--format=%H", "--", name).split()
        found = []
        for commit in commits:
            try:
                found.append((commit, self.git("show", f"{commit}:{name}")))
            except subprocess.CalledProcessError:
                continue
        return found


def replayed(history: History, name: str) -> Iterator[Case]:
    """Cases of which the right result is known."""
    texts = history.texts(name)
    for (commit, base), (_, first), (last, both) in zip(texts, texts[1:], texts[2:], strict=False):
        if len({base, first, both}) == 3 and (second := _put_onto(base, first, both)) not in (None, base, both):
            assert second is not None
            yield Case(f"{name} {commit[:7]}..{last[:7]}", base, second, first, both)


def aside(history: History, name: str, chance: random.Random) -> Iterator[Case]:
    """Cases of two versions made of one base, of which the right result is not known."""
    texts = [text for _, text in history.texts(name)]
    for number in range(0, len(texts) - 3, 3):
        base = texts[number]
        remote = texts[number + chance.randint(1, 3)]
        other = number + chance.randint(1, 3)
        local = _put_onto(base, texts[other - 1], texts[other])
        if local not in (None, base, remote) and remote != base:
            assert local is not None
            yield Case(f"{name} #{number}", base, local, remote, None)


def _put_onto(base: str, before: str, after: str) -> str | None:
    """The change from ``before`` to ``after`` put onto ``base`` with a context of one line; ``None`` where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for file, text in (("before", before), ("after", after), ("target", base)):
            (root / file).write_bytes(text.encode())
        made = subprocess.run(
            ["git", "diff", "--no-index", "-U1", "before", "after"], cwd=root, capture_output=True, check=False
        ).stdout
        patch = made.replace(b"a/before", b"a/target").replace(b"b/after", b"b/target")
        ended = subprocess.run(["git", "apply", "-C1", "-"], cwd=root, input=patch, capture_output=True, check=False)
        return (root / "target").read_bytes().decode() if ended.returncode == 0 else None


def ours(case: Case) -> str | None:
    """Our merge."""
    resolved = resolve(merge_text(case.base, case.local, case.remote))
    return str(resolved.content) if resolved.is_complete else None


def by_git(case: Case) -> str | None:
    """What ``git merge-file`` makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for file, text in (("local", case.local), ("base", case.base), ("remote", case.remote)):
            (root / file).write_bytes(text.encode())
        ended = subprocess.run(
            ["git", "merge-file", "-p", "-q", "local", "base", "remote"], cwd=root, capture_output=True, check=False
        )
        return ended.stdout.decode("utf-8") if ended.returncode == 0 else None


def by_merge3() -> Merge | None:
    """The merge of the package merge3, where it is installed."""
    try:
        import merge3  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None

    def merge(case: Case) -> str | None:
        groups = list(merge3.Merge3(lines(case.base), lines(case.local), lines(case.remote)).merge_groups())
        if any(group[0] == "conflict" for group in groups):
            return None
        return "".join("".join(group[1]) for group in groups)

    return merge


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--most", type=int, default=400, help="cases of each sort")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", type=int, default=0, help="print so many merges that are wrong, or differ")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    history = History(arguments.repository)
    files = history.files()
    chance.shuffle(files)
    known: list[Case] = []
    unknown: list[Case] = []
    for name in files:
        if len(known) < arguments.most:
            known += list(replayed(history, name))
        if len(unknown) < arguments.most:
            unknown += list(aside(history, name, chance))
        if min(len(known), len(unknown)) >= arguments.most:
            break
    known, unknown = known[: arguments.most], unknown[: arguments.most]
    tools: dict[str, Merge] = {"ours": ours, "git merge-file": by_git}
    if (third := by_merge3()) is not None:
        tools["merge3"] = third
    print(f"{len(files)} files, {len(known)} replayed cases, {len(unknown)} side cases\n")
    print(f"{'replayed':16} {'clean':>6} {'right':>6} {'wrong':>6} {'asked':>6} {'seconds':>8}")
    answers: dict[str, list[str | None]] = {}
    for label, merge in tools.items():
        started = time.perf_counter()
        answers[label] = results = [merge(case) for case in known]
        seconds = time.perf_counter() - started
        clean = sum(result is not None for result in results)
        right = sum(result == case.right for result, case in zip(results, known, strict=True))
        print(f"{label:16} {clean:6} {right:6} {clean - right:6} {len(known) - clean:6} {seconds:8.2f}")
    shown = arguments.show
    for case, mine, theirs in zip(known, answers["ours"], answers["git merge-file"], strict=True):
        if shown and mine is not None and mine != case.right:
            print(f"wrong: {case.name}{' (git makes the same of it)' if theirs == mine else ''}")
            shown -= 1
    print(f"\n{'side':16} {'clean':>6} {'asked':>6}")
    for label, merge in tools.items():
        answers[label] = results = [merge(case) for case in unknown]
        clean = sum(result is not None for result in results)
        print(f"{label:16} {clean:6} {len(unknown) - clean:6}")
    pairs = list(zip(unknown, answers["ours"], answers["git merge-file"], strict=True))
    agree = sum(mine == theirs for _, mine, theirs in pairs)
    only_ours = [case.name for case, mine, theirs in pairs if mine is not None and theirs is None]
    only_git = [case.name for case, mine, theirs in pairs if mine is None and theirs is not None]
    differ = [case.name for case, mine, theirs in pairs if None not in (mine, theirs) and mine != theirs]
    print(
        f"\nours and git agree on {agree} of {len(pairs)}; clean for us alone {len(only_ours)}, for git alone"
        f" {len(only_git)}, clean and different {len(differ)}"
    )
    for label, names in (("for us alone", only_ours), ("for git alone", only_git), ("different", differ)):
        for name in names[: arguments.show]:
            print(f"{label}: {name}")


if __name__ == "__main__":
    main()
