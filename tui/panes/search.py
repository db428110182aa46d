"""The search pane: type-ahead over the documents, the hits, and the passage inside its document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from textual import on
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from core.errors import BailiwickError
from core.events import Event, LibrariesChanged, ModelStateChanged, SourcesChanged
from core.model import Answer, Filters, Hit, IndexCounts, Library, SearchMode
from core.search.query import Query, parse_inline
from tui.locking import in_keys
from tui.panes.base import Pane
from tui.pooled import submit_newest
from tui.widgets.document_reader import DocumentReader
from tui.widgets.hit_document import HitDocument
from tui.widgets.hit_list import HitList
from tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.timer import Timer
    from textual.widget import Widget

    from core.hardware.pool import WorkerPool
    from core.library.catalogue import StoredDocument
    from tui.bridge import WorkspaceLike

    class SearchableWorkspace(WorkspaceLike, Protocol):
        """What this pane needs of ``core.workspace.Workspace``."""

        @property
        def pool(self) -> WorkerPool: ...

        def search(self, query: Query) -> Answer: ...

        def record_search(self, answer: Answer) -> None: ...

        def document(self, identifier: str, *, counted: bool = True) -> StoredDocument: ...

        def counts(self) -> IndexCounts: ...


TYPING_SECONDS = 0.06
LIMIT = 30
NARROW_CELLS = 96
MOST_NAMES = 5
_MODES = (SearchMode.HYBRID, SearchMode.VECTOR, SearchMode.TEXT)
_BEGIN = "Type what you look for. lib:NAME ver:V lang:L where:KEY=VALUE narrow it."


class SearchPane(Pane):
    """Search is complete here: what is typed is answered at once by what is in so far."""

    PANE_ID = "search"
    NUMBER = 3
    TITLE = "Search"
    FILTER = True
    HELP = (
        "Type to search by meaning and by words. `lib:textual ver:8.2.8 lang:python where:format=rst` narrow it, or "
        "press **f**. **Enter** goes to the hits and from there into the document; **[** and **]** go to the previous "
        "and next passage; **o** opens the file in your editor; **m** changes between both ways of finding; **Esc** "
        "goes back one step."
    )

    class Answered(Message):
        """A search came back."""

        def __init__(self, generation: int, outcome: Answer | BailiwickError) -> None:
            super().__init__()
            self.generation = generation
            self.outcome = outcome

    class Counted(Message):
        """What is in the index now."""

        def __init__(self, libraries: list[Library], counts: IndexCounts, sources: int) -> None:
            super().__init__()
            self.libraries = libraries
            self.counts = counts
            self.sources = sources

    def __init__(self) -> None:
        super().__init__()
        self._workspace: SearchableWorkspace | None = None
        self._filters = Filters()
        self._mode = SearchMode.HYBRID
        self._generation = 0
        self._typing: Timer | None = None
        self._answer: Answer | None = None
        self._recorded: Answer | None = None
        self._libraries: list[Library] = []
        self._passages = 0
        self._pending = 0
        self._sources = -1
        self._asks_again = False
        """Whether the answer may lack what was unlocked just now."""

    def compose(self) -> ComposeResult:
        """The query, what narrows it, the hits beside the reader, and one line of facts."""
        with Horizontal(id="query-line"):
            yield Static("›", id="query-mark")
            yield Input(placeholder="Search the documents", id="query", compact=True, select_on_focus=False)
        yield Static("", id="filters")
        with Vertical(id="search-empty"):
            yield Welcome()
        with Horizontal(id="search-body"):
            yield HitList(id="hits")
            yield HitDocument()
        yield Static("", id="facts")

    def on_mount(self) -> None:
        """Nothing is known yet; the query can already be typed."""
        self._show_emptiness()
        self._show_filters()

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """Search can be answered now; what was typed meanwhile is asked at once."""
        self._workspace = cast("SearchableWorkspace", workspace)
        self._document.begin(self._workspace)
        self._count()
        self._ask()

    def on_core_events(self, events: tuple[Event, ...]) -> None:
        """Follow what can be searched; an answer on the screen is asked again when the model arrives."""
        if any(isinstance(event, LibrariesChanged | SourcesChanged) for event in events):
            self._count()
            if self._asks_again:
                self._asks_again = False
                self._ask()
        if any(isinstance(event, ModelStateChanged) and event.ready for event in events):
            self._ask()

    def default_focus(self) -> Widget | None:
        """The query, unless there is nothing to search: then the keys that begin work at once."""
        return None if self._is_empty() else self.query_one("#query", Input)

    def focus_filter(self) -> None:
        """Back to the query, with its text selected."""
        query = self.query_one("#query", Input)
        query.focus()
        query.action_select_all()

    def badge(self) -> str:
        """How many passages can be found."""
        return f"{self._passages:,}" if self._passages else ""

    def card(self) -> str:
        """What can be searched, and the last search."""
        if not self._passages:
            return "No documents yet."
        count = len(self._libraries)
        passages = "passage" if self._passages == 1 else "passages"
        lines = [f"{self._passages:,} {passages} of {count} {'library' if count == 1 else 'libraries'}"]
        if self._pending:
            lines.append(f"{self._pending:,} still without a vector")
        if self._answer is not None:
            lines.append(f"“{self._answer.query}”: {len(self._answer.hits)} hits in {self._answer.milliseconds:.0f} ms")
        return "\n".join(lines)

    def copy_text(self) -> str:
        """The passage in sight."""
        passage = self._document.passage
        if passage is not None:
            return f"{passage.title}\n\n{passage.text}"
        hit = self.query_one(HitList).hit
        return f"{hit.title}\n\n{hit.text}" if hit is not None else ""

    def keys_moved(self, *, locked: bool) -> None:
        """Sealed passages go from the screen, or can be found again."""
        self._asks_again = not locked
        if locked:
            self._answer = None
            self._show_answer()
            self.tell_changed()
        self._count()
        self._ask()

    @property
    def _document(self) -> HitDocument:
        return self.query_one(HitDocument)

    def on_resize(self, event: events.Resize) -> None:
        """Side by side where there is room, else one at a time."""
        self.set_class(event.size.width < NARROW_CELLS, "-stacked")

    @on(Input.Changed, "#query")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, self._ask)

    @on(Input.Submitted, "#query")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_down_to_hits()

    def _record(self) -> None:
        """The question that was typed is a search that was run once its hits are gone into; each answer counts once."""
        workspace, answer = self._workspace, self._answer
        if workspace is not None and answer is not None and answer is not self._recorded:
            self._recorded = answer
            workspace.pool.submit(workspace.record_search, answer)

    @on(HitList.OptionHighlighted, "#hits")
    def _highlighted(self, event: HitList.OptionHighlighted) -> None:
        event.stop()
        hit = self.query_one(HitList).hit
        if hit is not None:
            self._read(hit, counted=False)

    @on(HitList.OptionSelected, "#hits")
    def _selected(self, event: HitList.OptionSelected) -> None:
        event.stop()
        hit = self.query_one(HitList).hit
        if hit is not None:
            self._record()
            self.add_class("-reading")
            self._read(hit, counted=True)
            self._document.reader.focus()

    def action_down_to_hits(self) -> None:
        """From the query to the hits."""
        self._record()
        if self._answer is not None and self._answer.hits:
            self.query_one(HitList).focus()

    def action_back(self) -> None:
        """One step back: reader, hits, query, no filters."""
        focused = self.app.focused
        if self.has_class("-reading") or isinstance(focused, DocumentReader):
            self.remove_class("-reading")
            self.query_one(HitList).focus()
        elif isinstance(focused, HitList):
            self.query_one("#query", Input).focus()
        else:
            self.screen.set_focus(None)

    def action_passage(self, step: int) -> None:
        """The previous or next passage of the document."""
        self._document.step(step)

    def action_mode(self) -> None:
        """Both ways of finding, by meaning alone, by words alone."""
        self._mode = _MODES[(_MODES.index(self._mode) + 1) % len(_MODES)]
        self._show_filters()
        self._ask()

    def action_filters(self) -> None:
        """Choose filters in a dialog."""
        from tui.screens.filters import FilterScreen

        def chosen(filters: Filters | None) -> None:
            if filters is not None:
                self._filters = filters
                self._show_filters()
                self._ask()

        self.app.push_screen(FilterScreen(self._filters, self._libraries), chosen)

    def action_edit(self) -> None:
        """Open the file behind the passage in the person's editor."""
        from tui.editor import editor_command, run_editor

        if self._document.file is None:
            return
        try:
            command = editor_command(*self._document.file)
        except BailiwickError as error:
            self.notify(str(error), severity="warning", markup=False)
            return
        with self.app.suspend():
            run_editor(command)

    def _ask(self) -> None:
        """Search for what the field says; a newer question makes this one's answer void."""
        workspace = self._workspace
        if workspace is None:
            return
        self._generation += 1
        generation = self._generation
        text, filters = self._effective_filters()
        self._show_filters()
        if not text:
            self._answer = None
            self._show_answer()
            return
        mode = self._mode

        def search() -> Answer:
            return workspace.search(Query(text, filters, mode, LIMIT))

        submit_newest(
            workspace.pool,
            "search.search",
            search,
            lambda outcome: self.post_message(self.Answered(generation, outcome)),
        )

    def on_search_pane_answered(self, event: Answered) -> None:
        """Show the answer, unless a newer question was asked."""
        event.stop()
        if event.generation != self._generation:
            return
        if isinstance(event.outcome, BailiwickError):
            self._answer = None
            self._show_answer()
            self.query_one("#facts", Static).update(Content.assemble(("! ", "bold $warning"), str(event.outcome)))
            return
        self._answer = event.outcome
        self._show_answer()
        self.tell_changed()

    def _show_answer(self) -> None:
        answer = self._answer
        hits: tuple[Hit, ...] = answer.hits if answer is not None else ()
        self.query_one(HitList).show(hits)
        if not hits:
            self._document.clear()
            self.remove_class("-reading")
        self._show_emptiness()
        self._show_facts()

    def _show_facts(self) -> None:
        facts = self.query_one("#facts", Static)
        answer = self._answer
        if answer is None:
            facts.update(Content(self._standing()), layout=False)
            return
        count = f"{len(answer.hits)} hits" if answer.hits else f"Nothing found for “{answer.query[:60]}”"
        parts = f"{count} · {answer.mode} · path {answer.path} · {answer.candidates:,} candidates"
        line = Content(f"{parts} · {answer.milliseconds:.1f} ms")
        if answer.notes:
            line = Content.assemble(line, "\n", ("! ", "bold $warning"), in_keys("  ".join(answer.notes), self.app))
        facts.update(line, layout=False)

    def _standing(self) -> str:
        if not self._passages:
            return "The documents are being read." if self._sources > 0 else ""
        names = [f"{each.library} {each.version}".strip() for each in self._libraries]
        shown = ", ".join(names[:MOST_NAMES]) + (
            f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        )
        return f"{self._passages:,} passages: {shown}\n{_BEGIN}"

    def _effective_filters(self) -> tuple[str, Filters]:
        """The words of the query, and the chosen filters overlaid by the typed ones."""
        text, typed = parse_inline(self.query_one("#query", Input).value)
        chosen = self._filters
        return text, Filters(
            language=typed.language or chosen.language,
            library=typed.library or chosen.library,
            version=typed.version or chosen.version,
            where=(*chosen.where, *typed.where),
        )

    def _show_filters(self) -> None:
        chosen = self._effective_filters()[1]
        parts = [
            f"mode {self._mode}",
            f"language {chosen.language or 'any'}",
            f"library {chosen.library or 'any'}",
            f"version {chosen.version or 'any'}",
            *(f"{key}={value}" for key, value in chosen.where),
        ]
        style = "bold $accent" if chosen else "$muted"
        line = Content.assemble((" · ".join(parts), style))
        self.query_one("#filters", Static).update(line, layout=False)

    def _show_emptiness(self) -> None:
        self.query_one("#search-empty").display = self._is_empty()
        self.query_one("#query-line").display = not self._is_empty()
        self.query_one("#filters").display = not self._is_empty()
        if self._is_empty() and self.app.focused is self.query_one("#query"):
            self.screen.set_focus(None)
        self.query_one("#search-body").display = self._answer is not None and bool(self._answer.hits)

    def _is_empty(self) -> bool:
        """Whether it is known that nothing was added."""
        return self._sources == 0 and not self._passages and self._answer is None

    def _count(self) -> None:
        workspace = self._workspace
        if workspace is None:
            return

        def take(outcome: tuple[list[Library], IndexCounts, int] | BailiwickError) -> None:
            if not isinstance(outcome, BailiwickError):
                self.post_message(self.Counted(*outcome))

        submit_newest(
            workspace.pool,
            "search.count",
            lambda: (workspace.libraries(), workspace.counts(), len(workspace.sources())),
            take,
        )

    def on_search_pane_counted(self, event: Counted) -> None:
        """Show what can be searched."""
        event.stop()
        self._libraries = event.libraries
        self._passages = event.counts.passages
        self._pending = event.counts.pending
        self._sources = event.sources
        self._show_emptiness()
        if self._answer is None:
            self._show_facts()
        self.tell_changed()

    def _read(self, hit: Hit, *, counted: bool) -> None:
        query = self._answer.query if self._answer is not None else ""
        self._document.read(hit.document_id, hit.ordinal, query, counted=counted)
