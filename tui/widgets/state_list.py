"""An agent's states as a tree by key: ``plan/today`` stands under ``plan/``, and only open branches have rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from tui.printable import printable
from tui.widgets.keyed_list import KeyedList, KeyedRow
from tui.widgets.levels import sign

if TYPE_CHECKING:
    from core.agent_model import StateEntry

SEPARATOR = "/"
MOST_OPEN = 60
"""So many states are all in sight at first; of more, only the branches."""
_BRANCH, _LEAF = "branch:", "state:"


@dataclass(slots=True)
class _Branch:
    path: str
    name: str = ""
    parts: dict[str, _Branch] = field(default_factory=dict)
    leaves: dict[str, StateEntry] = field(default_factory=dict)
    count: int = 0


def _tree(entries: Sequence[StateEntry]) -> _Branch:
    root = _Branch("")
    for entry in entries:
        *path, name = entry.key.split(SEPARATOR)
        branch = root
        for part in path:
            branch = branch.parts.setdefault(part, _Branch(f"{branch.path}{part}{SEPARATOR}", part))
            branch.count += 1
        branch.leaves[name] = entry
    return root


class StateList(KeyedList):
    """The tree; ``→`` and ``←`` open and close a branch, Enter does either."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "open(True)", "Open the branch", show=False),
        Binding("left", "open(False)", "Close the branch", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        super().__init__(id=id)
        self._owner = ""
        self._total = 0
        self._entries: tuple[StateEntry, ...] = ()
        self._open_at_first = True
        self._toggled: set[str] = set()

    @property
    def state_key(self) -> str:
        """The key of the state at the cursor; empty on a branch."""
        return self.key.removeprefix(_LEAF) if self.key.startswith(_LEAF) else ""

    def show_states(self, owner: str, entries: Sequence[StateEntry], total: int) -> None:
        """Show the states of the agent ``owner``, who has ``total``; the first one gets the cursor at first."""
        if owner != self._owner:
            self._owner, self._toggled = owner, set()
            self._open_at_first = len(entries) <= MOST_OPEN
            self.show_rows(())
        first = not self._entries or not self.key
        self._entries, self._total = tuple(entries), total
        self._draw()
        if first and self._open_at_first and entries:
            self.go_to(next((row.key for row in self._rows if row.key.startswith(_LEAF)), ""))

    def toggle(self) -> bool:
        """Open or close the branch at the cursor; false when it is on a state."""
        if not self.key.startswith(_BRANCH):
            return False
        self._toggled ^= {self.key.removeprefix(_BRANCH)}
        self._draw()
        return True

    def action_open(self, wanted: bool) -> None:
        """Open or close the branch at the cursor; from what is closed or a state, left goes to the branch around."""
        path = self.key.removeprefix(_BRANCH)
        is_branch = self.key.startswith(_BRANCH)
        if is_branch and self._is_open(path) is not wanted:
            self.toggle()
        elif not wanted:
            inner = path.removesuffix(SEPARATOR) if is_branch else self.state_key
            around, found, _ = inner.rpartition(SEPARATOR)
            if found:
                self.go_to(f"{_BRANCH}{around}{SEPARATOR}")

    def on_resize(self) -> None:
        """Fit the rows to the new width."""
        self._draw()

    def _is_open(self, path: str) -> bool:
        return self._open_at_first is not (path in self._toggled)

    def _draw(self) -> None:
        rows = list(self._rows_of(_tree(self._entries), 0))
        if self._total > len(self._entries):
            more = Content.styled(f"… {self._total - len(self._entries):,} more", "$muted")
            rows.append(KeyedRow("more", more, enabled=False))
        self.show_rows(rows)

    def _rows_of(self, branch: _Branch, depth: int) -> Iterator[KeyedRow]:
        for name in sorted(branch.parts.keys() | branch.leaves.keys()):
            if (entry := branch.leaves.get(name)) is not None:
                yield KeyedRow(f"{_LEAF}{entry.key}", self._leaf(name, entry, depth))
            if (part := branch.parts.get(name)) is not None:
                is_open = self._is_open(part.path)
                label = Content.assemble(
                    ("  " * depth, ""),
                    ("▾ " if is_open else "▸ ", "$accent"),
                    (f"{printable(name)}{SEPARATOR}", "bold"),
                    (f"  {part.count:,}", "$muted"),
                )
                yield KeyedRow(f"{_BRANCH}{part.path}", label)
                if is_open:
                    yield from self._rows_of(part, depth + 1)

    def _leaf(self, name: str, entry: StateEntry, depth: int) -> Content:
        margin = "  " * (depth + 1)
        right = f"{'critical  ' if entry.critical else ''}{sign(entry)} {entry.level:<7}  v{entry.version}"
        width = max(20, self.row_width)
        room = max(4, width - len(margin) - len(right) - 3)
        label = Content(printable(name)).truncate(room, ellipsis=True)
        gap = " " * max(1, width - len(margin) - label.cell_length - len(right) - 1)
        return Content.assemble(margin, label, gap, (right, "$warning" if entry.critical else "$muted"))
