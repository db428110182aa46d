"""The document around a hit: loaded and rendered beside the screen's thread, shown at one of its passages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from core.errors import BailiwickError, Locked
from tui.pooled import submit_newest
from tui.widgets.document_reader import DocumentReader
from tui.widgets.levels import level_content, sealed_note

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.hardware.pool import WorkerPool
    from core.library.catalogue import StoredDocument
    from core.model import Passage
    from tui.widgets.document_reader import DocumentLines

    class DocumentWorkspace(Protocol):
        """Where documents are read."""

        @property
        def pool(self) -> WorkerPool: ...

        def document(self, identifier: str, *, counted: bool = True) -> StoredDocument: ...


@dataclass(frozen=True, slots=True)
class _Place:
    """What is to be shown: a passage of a document, with the words of the query underlined."""

    document_id: str
    ordinal: int
    query: str


class HitDocument(Vertical):
    """Shows the newest place it was asked for; one that came too late is passed over."""

    class _Rendered(Message):
        def __init__(
            self, generation: int, place: _Place, outcome: tuple[StoredDocument, DocumentLines] | BailiwickError
        ) -> None:
            super().__init__()
            self.generation = generation
            self.place = place
            self.outcome = outcome

    def __init__(self) -> None:
        super().__init__(id="reading")
        self._workspace: DocumentWorkspace | None = None
        self._generation = 0
        self._place: _Place | None = None
        self._document: StoredDocument | None = None

    def compose(self) -> ComposeResult:
        """What it is, and its lines."""
        yield Static("", id="document-title")
        yield DocumentReader(id="reader")

    @property
    def reader(self) -> DocumentReader:
        """The lines, which take the focus."""
        return self.query_one(DocumentReader)

    @property
    def passage(self) -> Passage | None:
        """The passage in sight."""
        if self._document is None or self._place is None or not self._document.content.passages:
            return None
        return self._document.content.passages[self._place.ordinal]

    @property
    def file(self) -> tuple[str, int] | None:
        """The file that the document was read from, and the line of the passage in sight."""
        if self._document is None:
            return None
        return self._document.content.source, self.passage.line if self.passage is not None else 1

    def begin(self, workspace: DocumentWorkspace) -> None:
        """Documents can be read now."""
        self._workspace = workspace

    def read(self, document_id: str, ordinal: int, query: str, *, counted: bool) -> None:
        """Show a passage; ``counted`` as an access."""
        self._load(_Place(document_id, ordinal, query), counted=counted)

    def step(self, step: int) -> None:
        """Show the passage ``step`` further, if there is one."""
        document, place = self._document, self._place
        if document is not None and place is not None:
            number = place.ordinal + step
            if 0 <= number < len(document.content.passages):
                self._load(_Place(document.item.id, number, place.query), counted=False)

    def clear(self) -> None:
        """Show nothing."""
        self._generation += 1
        self._place = self._document = None
        self.reader.clear()
        self._title(Content(""))

    def _load(self, place: _Place, *, counted: bool) -> None:
        workspace = self._workspace
        if workspace is None:
            return
        self._generation += 1
        generation, width, colours = self._generation, self.reader.text_width, self.reader.colours

        def load() -> tuple[StoredDocument, DocumentLines]:
            from tui.widgets.document_lines import render_document

            stored = workspace.document(place.document_id, counted=counted)
            return stored, render_document(stored.content, place.ordinal, place.query, width, colours)

        submit_newest(
            workspace.pool,
            "search.read",
            load,
            lambda outcome: self.post_message(self._Rendered(generation, place, outcome)),
        )

    @on(_Rendered)
    def _rendered(self, event: _Rendered) -> None:
        event.stop()
        if event.generation != self._generation:
            return
        if isinstance(event.outcome, BailiwickError):
            self.clear()
            locked = isinstance(event.outcome, Locked)
            self._title(Content.styled(sealed_note(self.app) if locked else str(event.outcome), "$muted"))
            return
        self._document, lines = event.outcome
        self._place = event.place
        content = self._document.content
        self._title(
            Content.assemble(
                (content.title, "bold $primary"),
                (f"  passage {event.place.ordinal + 1} of {len(content.passages)}  ", "$muted"),
                level_content(self._document.item),
            )
        )
        self.reader.show(lines, event.place.ordinal)

    def _title(self, content: Content) -> None:
        self.query_one("#document-title", Static).update(content, layout=False)

    @on(DocumentReader.WidthChanged)
    def _width_changed(self, event: DocumentReader.WidthChanged) -> None:
        event.stop()
        if self._document is not None and self._place is not None:
            self._load(self._place, counted=False)
