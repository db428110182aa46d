"""The words index: tantivy over titles, the parts of identifiers, and stemmed text."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import tantivy

from core.errors import StorageFull, WorkspaceUnusable
from core.index.filters import normalise_name
from core.index.rows import WordsPassage
from core.index.storage_errors import is_full
from core.index.term_counts import FIELDS, TermCounts, correction, terms_of
from core.model import Filters

_log = logging.getLogger(__name__)
VERSION = 1
HEAP_BYTES = 48_000_000
STATE_FILE = "state.json"
_BOOSTS = {"title": 0.5, "names": 2.0, "text": 1.0}
_FIELDS = list(FIELDS)
_SYNTAX = re.compile(r'"|(?<!\w)(?:AND|OR|NOT)(?!\w)|(?<!\S)[+-]\w')
_OPERATOR = re.compile(r"(?<!\w)(?:AND|OR|NOT)(?!\w)")
_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_PLAIN = "The query's syntax was not understood, so it was searched as plain words."


class WordsIndex:
    """The folder ``words/``, or memory alone. Safe from any thread; what was applied is found at once.

    ``state`` says how far it is: the index's store id and journal position, or ``None`` when that cannot be told and it
    has to be filled anew.
    """

    def __init__(self, folder: Path | None) -> None:
        """Open or create ``folder``; one that cannot be used is started anew. Without one nothing touches the disk.

        Raises StorageFull and WorkspaceUnusable.
        """
        self._folder = folder
        self._lock = threading.Lock()
        self._writer: tantivy.IndexWriter | None = None
        self._index = self._open()
        self._state = self._read_state()

    @property
    def state(self) -> tuple[str, int] | None:
        """The store id and journal position that were applied last."""
        return self._state

    def apply(self, passages: Sequence[WordsPassage], gone: Sequence[str], state: tuple[str, int]) -> None:
        """Drop the documents ``gone``, bring in ``passages``, and remember ``state``.

        A crash in the middle leaves no state, so that the index is filled anew.
        """
        with self._lock:
            try:
                self._forget_state()
                writer = self._writing()
                for document_id in gone:
                    writer.delete_documents_by_term("document", document_id)
                for passage in passages:
                    writer.add_document(_document(passage))
                writer.commit()
                self._index.reload()
                self._write_state(state)
            except (OSError, ValueError) as error:
                self._writer = None
                raise self._as_sentence(error) from None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            try:
                self._forget_state()
                writer = self._writing()
                writer.delete_all_documents()
                writer.commit()
            except (OSError, ValueError) as error:
                self._writer = None
                raise self._as_sentence(error) from None
            self._index.reload()

    def search(
        self,
        text: str,
        filters: Filters,
        documents: Sequence[str] | None,
        limit: int,
        *,
        among: TermCounts | None = None,
    ) -> tuple[list[tuple[int, float]], str]:
        """The ``limit`` best slots with their scores, and a note for the person ("" if there is none).

        Phrases in quotes, AND, OR, NOT, +word and -word are understood; anything else is plain words. ``documents``
        are the only ones looked at, unless it is ``None``. With ``among``, scores are as if this were a part of one
        index with those counts; for a query with syntax, nearly so.
        """
        index = self._index
        query, note = self._query(index, text, among)
        if query is None:
            return [], note
        clauses = [(tantivy.Occur.Must, query)]
        schema = index.schema
        for name, value in (
            ("language", normalise_name(filters.language)),
            ("library", normalise_name(filters.library)),
            ("version", filters.version),
        ):
            if value:
                clauses.append((tantivy.Occur.Must, _unscored(tantivy.Query.term_query(schema, name, value))))
        if documents is not None:
            if not documents:
                return [], note
            clauses.append(
                (tantivy.Occur.Must, _unscored(tantivy.Query.term_set_query(schema, "document", list(documents))))
            )
        searcher = index.searcher()
        found = searcher.search(tantivy.Query.boolean_query(clauses), limit, count=False)
        return [(int(searcher.doc(address)["slot"][0]), float(score)) for score, address in found.hits], note

    def term_counts(self, text: str) -> TermCounts:
        """In how many passages here the terms of a query occur."""
        return _counts_of(self._index, {term for each in (text, *_words_of(text)) for term in _terms_of(each)})

    def count(self) -> int:
        """How many passages there are."""
        return int(self._index.searcher().num_docs)

    def rewrite(self, fill: Callable[[WordsIndex], bool]) -> bool:
        """Replace the folder by a new one that ``fill`` fills, so that what was deleted is gone.

        Says whether it was done, which it is not when ``fill`` says no. Searches go on meanwhile. Raises as the
        constructor does.
        """
        assert self._folder is not None
        fresh_folder = self._folder.with_name(f"{self._folder.name}.new")
        shutil.rmtree(fresh_folder, ignore_errors=True)
        fresh = WordsIndex(fresh_folder)
        try:
            filled = fill(fresh)
        finally:
            fresh.close()
        if not filled:
            shutil.rmtree(fresh_folder, ignore_errors=True)
            return False
        with self._lock:
            try:
                self._end_writing()
                self._forget_state()
                shutil.rmtree(self._folder)
                os.replace(fresh_folder, self._folder)
            except OSError as error:
                raise self._as_sentence(error) from None
            finally:
                self._index = self._open()
                self._state = self._read_state()
        return True

    def close(self) -> None:
        """Let go of the folder, or of what was in memory."""
        with self._lock:
            self._end_writing()
            if self._folder is None:
                self._index, self._state = self._open(), None

    def _end_writing(self) -> None:
        if self._writer is not None:
            self._writer.wait_merging_threads()
            self._writer = None

    @staticmethod
    def _query(index: tantivy.Index, text: str, among: TermCounts | None) -> tuple[tantivy.Query | None, str]:
        note = ""
        if _SYNTAX.search(text):
            try:
                query = index.parse_query(text, _FIELDS, field_boosts=_BOOSTS)
            except ValueError:
                note = _PLAIN
                text = _OPERATOR.sub(" ", text)
            else:
                return _weighted(index, query, _terms_of(text), among), ""
        words = _words_of(text)
        if not words:
            return None, note or "There is no word in the query."
        if among is None:
            return index.parse_query(" ".join(words), _FIELDS, field_boosts=_BOOSTS), note
        clauses = []
        for word in words:
            for field in _FIELDS:
                query = index.parse_query(word, [field], field_boosts=_BOOSTS)
                clauses.append((tantivy.Occur.Should, _weighted(index, query, terms_of(field, word), among)))
        return tantivy.Query.boolean_query(clauses), note

    def _open(self) -> tantivy.Index:
        if self._folder is None:
            return _made_visible(tantivy.Index(_schema()))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                index = tantivy.Index(_schema(), path=str(self._folder))
                index.searcher()
            except ValueError:
                _log.warning("the words index is started anew")
                shutil.rmtree(self._folder)
                self._folder.mkdir(mode=0o700)
                index = tantivy.Index(_schema(), path=str(self._folder))
        except (OSError, ValueError) as error:
            raise self._as_sentence(error) from None
        return _made_visible(index)

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(HEAP_BYTES, 1)
        return self._writer

    def _read_state(self) -> tuple[str, int] | None:
        if self._folder is None:
            return None
        try:
            state = json.loads((self._folder / STATE_FILE).read_text("utf-8"))
            if state["version"] == VERSION:
                return str(state["store"]), int(state["position"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None

    def _forget_state(self) -> None:
        self._state = None
        if self._folder is not None:
            (self._folder / STATE_FILE).unlink(missing_ok=True)

    def _write_state(self, state: tuple[str, int]) -> None:
        if self._folder is not None:
            temporary = self._folder / f"{STATE_FILE}.new"
            temporary.write_text(json.dumps({"version": VERSION, "store": state[0], "position": state[1]}), "utf-8")
            os.replace(temporary, self._folder / STATE_FILE)
        self._state = state

    def _as_sentence(self, error: Exception) -> StorageFull | WorkspaceUnusable:
        if self._folder is None:
            return WorkspaceUnusable("The words of the private documents cannot be indexed.", "See the log.")
        if is_full(error):
            return StorageFull(f"The disk of {self._folder.parent} is full; the words index is behind.", "Free space.")
        return WorkspaceUnusable(f"The words index {self._folder} cannot be written.", "Check its permissions.")


def _words_of(text: str) -> list[str]:
    """The words of a query and the parts of those that are names, each once."""
    words: dict[str, None] = {}
    for word in _WORD.findall(text):
        words[word.lower()] = None
        words.update(dict.fromkeys(part.lower() for part in _PART.findall(word)))
    return list(words)


def _terms_of(text: str) -> list[tuple[str, str]]:
    return [term for field in _FIELDS for term in terms_of(field, text)]


def _counts_of(index: tantivy.Index, terms: Collection[tuple[str, str]]) -> TermCounts:
    searcher = index.searcher()
    return TermCounts(int(searcher.num_docs), {term: int(searcher.doc_freq(*term)) for term in terms})


def _weighted(
    index: tantivy.Index, query: tantivy.Query, terms: Collection[tuple[str, str]], among: TermCounts | None
) -> tantivy.Query:
    """``query`` for ``terms``, scored as rare as they are ``among`` all."""
    if among is None:
        return query
    return tantivy.Query.boost_query(query, correction(terms, _counts_of(index, terms), among))


def _made_visible(index: tantivy.Index) -> tantivy.Index:
    """A new commit is made visible by an explicit reload, so that it is found at once."""
    index.config_reader("manual")
    index.reload()
    return index


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("slot", stored=True, indexed=True)
    for name in ("document", "language", "library", "version"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("title")
    builder.add_text_field("names", tokenizer_name="en_stem")
    builder.add_text_field("text", tokenizer_name="en_stem")
    return builder.build()


def _document(passage: WordsPassage) -> tantivy.Document:
    document = tantivy.Document()
    document.add_unsigned("slot", passage.slot)
    for name, value in (
        ("document", passage.document_id),
        ("language", passage.language),
        ("library", passage.library),
        ("version", passage.version),
        ("title", passage.title),
        ("names", " ".join(dict.fromkeys(part.lower() for part in _PART.findall(passage.title)))),
        ("text", passage.text),
    ):
        document.add_text(name, value)
    return document


def _unscored(query: tantivy.Query) -> tantivy.Query:
    """A filter must not move hits: its own score is nothing."""
    return tantivy.Query.const_score_query(query, 0.0)
