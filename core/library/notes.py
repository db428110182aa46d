"""Documents that agents write: items like those that are read from files, found by everyone who may read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.agent_model import Actor, Agent
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.agentfs.readable import check_readable
from core.content_format import encode
from core.errors import InvalidInput
from core.ids import sha256_hex
from core.library.passages import cut
from core.library.readers import markdown
from core.library.tokens import estimate_tokens
from core.model import DocumentContent, Item, Kind, Operation

LONGEST_NAME = 200
LARGEST_NOTE = 256 * 1024
_LONGEST_SLUG = 80


@dataclass(frozen=True, slots=True)
class Note:
    """A document to be written: ``text`` is Markdown; ``language``, ``library`` and ``version`` may be empty."""

    title: str
    text: str
    language: str = ""
    library: str = ""
    version: str = ""


def check_note(note: Note) -> None:
    """Raise InvalidInput when the note is empty or too large, or a name in it cannot be kept."""
    names = {"title": note.title, "language": note.language, "library": note.library, "version": note.version}
    for name, value in names.items():
        if len(value) > LONGEST_NAME or (value and not value.isprintable()):
            raise InvalidInput(f"The {name} must be one line of at most {LONGEST_NAME} printable characters.")
    if not note.title.strip() or not note.text.strip():
        raise InvalidInput("The title or the text of the note is empty.", "Say what it is about, and what is so.")
    size = len(note.text.encode("utf-8", "replace"))
    if size > LARGEST_NOTE:
        raise InvalidInput(
            f"The text is {size:,} bytes; at most {LARGEST_NOTE:,} are kept in one note.", "Cut it into several."
        )
    check_readable(" ".join(names.values()), "The title")


def add_note(agentfs: AgentFS, author: Agent, note: Note, *, by: Actor) -> Item:
    """Write a document of ``author``'s, or its next version under the same title; committed when this returns.

    It belongs to the user, so that all agents of the user find it; one in which something sensitive is found is the
    author's own. Raises InvalidInput, AccessDenied, NotAdmitted, and Locked when it has to be sealed and cannot be.
    """
    check_note(note)
    path = f"agents/{author.id}/documents/{slug(note.title)}.md"
    expected = agentfs.items.at_path(path) or agentfs.permissions.not_yet(path, Kind.DOCUMENT, author.owner, "")
    agentfs.permissions.require(by, expected, Operation.WRITE)
    content = _content(author, note)
    if not content.passages:
        raise InvalidInput("The note holds no text that could be found.", "Write it as Markdown.")
    found = agentfs.guard.scan("\n".join((note.title, *(passage.embedding_text for passage in content.passages))))
    judged = agentfs.guard.judge(path, Kind.DOCUMENT, "", found=found)
    write = ItemWrite(
        path=path,
        kind=Kind.DOCUMENT,
        owner=author.owner,
        data=encode(content),
        metadata={
            "title": path.rpartition("/")[2] if judged.seal else note.title,
            "language": note.language,
            "library": note.library,
            "version": note.version,
            "source": "",
            "author": author.id,
            "file_size_bytes": len(note.text.encode("utf-8", "replace")),
            "passages": len(content.passages),
        },
        agent_id=author.id if judged.sensitive else "",
        found=judged.sensitive,
    )
    with agentfs.database.transaction() as connection:
        agentfs.agents.touch(connection, author.id)
        written = agentfs.items.put(connection, write, by=by)
    agentfs.contents.discard_unused([written.freed] if written.freed else [])
    item = agentfs.items.get(written.item_id)
    assert item is not None
    return item


def slug(title: str) -> str:
    """A file's name for a title: its words, and a few digits of its hash where they do not tell it from all others."""
    words = re.sub(r"[^\w.+]+", "-", title.casefold()).strip("-.")[:_LONGEST_SLUG]
    if words == title.replace(" ", "-"):
        return words
    return f"{words}-{sha256_hex(title.encode())[:8]}" if words else sha256_hex(title.encode())[:16]


def _content(author: Agent, note: Note) -> DocumentContent:
    sections = markdown.read(note.text, note.title).sections
    return DocumentContent(
        title=note.title,
        language=note.language,
        library=note.library,
        version=note.version,
        source="",
        passages=cut(sections, estimate_tokens),
        metadata={"format": "markdown", "author": author.name},
    )
