"""Search as every door calls it: resolve the filters, run the legs, fuse them, and say how it was done."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.errors import ModelUnavailable
from core.index.corpus import Corpus
from core.index.embedder import Embedder
from core.index.filters import normalise_name
from core.index.partition import Partition
from core.index.rows import PassageRow
from core.index.storage_errors import IndexGone
from core.model import MODEL_LOADING, Answer, Filters, Hit, Match, Matched, SearchMode
from core.search.fusion import TEXT_WEIGHT, VECTOR_WEIGHT, fuse
from core.search.legs import Leg, Place, rows_at, text_leg, vector_leg
from core.search.planner import VectorRequest
from core.search.query import Query
from core.search.versions import nearest_version, same_version

LEG_DEPTH = 100


@dataclass(frozen=True, slots=True)
class _Resolved:
    """The filters that are run for the ones asked for; ``empty`` when nothing can match."""

    filters: Filters
    asked: Filters
    notes: tuple[str, ...] = ()
    empty: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found among some partitions, and how."""

    hits: tuple[Hit, ...]
    path: str
    candidates: int
    notes: tuple[str, ...]
    telling: tuple[str, ...]


class SearchService:
    """Answers queries from the index. Safe from any thread; the embedding model is asked for when first needed."""

    def __init__(
        self,
        corpus: Corpus,
        embedder: Embedder,
        model_state: Callable[[], str],
        left_out: Callable[[], str] = lambda: "",
    ) -> None:
        """``model_state`` says why there are no vectors now ("" when the model is ready), ``left_out`` is a sentence
        about what there is besides the partitions that are open ("" when that is all).
        """
        self._corpus = corpus
        self._embedder = embedder
        self._model_state = model_state
        self._left_out = left_out

    def search(self, query: Query) -> Answer:
        """Run ``query``.

        Raises ModelUnavailable when only vectors were asked for and there is no model.
        """
        started = time.perf_counter()
        partitions = self._corpus.partitions()
        try:
            found = self._search(query, partitions)
        except IndexGone:
            if len(partitions) == 1:
                raise
            # The keys were locked meanwhile, or the file with what is sealed is damaged; the rest still answers.
            partitions = [self._corpus.plain]
            found = self._search(query, partitions)
        left_out = "" if any(partition.sealed for partition in partitions) else self._left_out()
        more = (left_out,) if left_out else ()
        milliseconds = round((time.perf_counter() - started) * 1000, 2)
        return Answer(
            query.text,
            query.mode,
            found.hits,
            found.path,
            found.candidates,
            milliseconds,
            (*found.notes, *more),
            (*found.telling, *more),
        )

    def _search(self, query: Query, partitions: Sequence[Partition]) -> _Found:
        resolved = _resolve(partitions, query.filters)
        if resolved.empty:
            return _Found((), "none", 0, resolved.notes, resolved.notes)
        notes, telling = list(resolved.notes), list(resolved.notes)
        vectors, words = Leg(), Leg()
        depth = max(LEG_DEPTH, 4 * query.limit)
        if query.mode is not SearchMode.TEXT:
            reason = self._model_state()
            identity = self._embedder.identity
            if reason or identity is None:
                if query.mode is SearchMode.VECTOR:
                    raise ModelUnavailable(reason or "The embedding model is still loading.", "Search with mode text.")
                notes.append(f"Found by words only: {reason or MODEL_LOADING}")
            else:
                vector = self._embedder.embed_query(query.text)
                vectors = vector_leg(partitions, VectorRequest(vector, identity.key, resolved.filters, depth))
                if pending := sum(partition.index.pending_count() for partition in partitions):
                    telling.append(f"{pending:,} passages have no vector yet and are found by words only.")
                    notes.append(telling[-1])
        if query.mode is not SearchMode.VECTOR:
            words = text_leg(partitions, query.text, resolved.filters, depth)
            if words.note:
                notes.append(words.note)
        hits = self._hits(query, partitions, resolved, vectors.found, words.found)
        candidates = vectors.candidates or words.candidates
        return _Found(hits, vectors.path or "text", candidates, tuple(notes), tuple(telling))

    @staticmethod
    def _hits(
        query: Query,
        partitions: Sequence[Partition],
        resolved: _Resolved,
        vector_leg: Sequence[tuple[Place, float]],
        text_leg: Sequence[tuple[Place, float]],
    ) -> tuple[Hit, ...]:
        legs, weights = [], []
        if query.mode is not SearchMode.TEXT and vector_leg:
            legs.append([place for place, _ in vector_leg])
            weights.append(VECTOR_WEIGHT)
        if query.mode is not SearchMode.VECTOR:
            legs.append([place for place, _ in text_leg])
            weights.append(TEXT_WEIGHT)
        fused = fuse(legs, weights)
        similarity = dict(vector_leg)
        vector_rank = {place: rank for rank, (place, _) in enumerate(vector_leg, start=1)}
        text_rank = {place: rank for rank, (place, _) in enumerate(text_leg, start=1)}
        hits: list[Hit] = []
        texts: set[str] = set()
        symbols: set[tuple[str, str]] = set()
        # Some more than asked for: of a symbol or heading in several passages, and of equal texts, the best is shown.
        considered = fused[: 4 * query.limit]
        rows = rows_at(partitions, [place for place, _ in considered])
        for place, score in considered:
            row = rows.get(place)
            if row is None or row.text_sha256 in texts or (row.document_id, row.title) in symbols:
                continue
            texts.add(row.text_sha256)
            symbols.add((row.document_id, row.title))
            hits.append(
                Hit(
                    id=f"{row.document_id}:{row.ordinal}",
                    document_id=row.document_id,
                    ordinal=row.ordinal,
                    title=row.title,
                    text=row.text,
                    score=round(score, 6),
                    language=row.language,
                    library=row.library,
                    version=row.version,
                    matched=_matched(resolved.asked, row),
                    document_title=row.document_title,
                    source=row.source,
                    line=row.line,
                    similarity=round(similarity[place], 6) if place in similarity else None,
                    vector_rank=vector_rank.get(place),
                    text_rank=text_rank.get(place),
                )
            )
            if len(hits) == query.limit:
                break
        return tuple(hits)


def _resolve(partitions: Sequence[Partition], asked: Filters) -> _Resolved:
    filters, notes = asked, []
    named = bool(asked.language or asked.library or asked.version)
    origins = [origin for partition in partitions for origin in partition.index.origins()] if named else []
    if asked.language:
        languages = {normalise_name(language) for language, _, _ in origins}
        if normalise_name(asked.language) not in languages:
            return _nothing(asked, "language", asked.language, sorted(each for each in languages if each))
    if asked.library:
        names = {normalise_name(library) for _, library, _ in origins}
        if normalise_name(asked.library) not in names:
            close = difflib.get_close_matches(normalise_name(asked.library), names, 3) or sorted(names)[:8]
            return _nothing(asked, "library", asked.library, close)
    if asked.version:
        versions = [
            version
            for _, library, version in origins
            if not asked.library or normalise_name(library) == normalise_name(asked.library)
        ]
        same = [version for version in versions if version and same_version(asked.version, version)]
        if same:
            filters = replace(filters, version=same[0])
        elif not asked.library:
            return _nothing(asked, "version", asked.version, [])
        else:
            nearest = nearest_version(asked.version, versions)
            filters = replace(filters, version=nearest or "")
            found = f"version {nearest}, the nearest," if nearest else "documents without a version"
            notes.append(f"{asked.library} {asked.version} is not here: {found} answered instead.")
    return _Resolved(filters, asked, tuple(notes))


def _nothing(asked: Filters, name: str, value: str, known: Sequence[str]) -> _Resolved:
    listing = f" Known: {', '.join(known)}." if known else ""
    return _Resolved(asked, asked, (f"Nothing of {name} {value} is here.{listing}",), empty=True)


def _matched(asked: Filters, row: PassageRow) -> Matched:
    def compare(wanted: str, actual: str) -> Match | None:
        if not wanted:
            return None
        return Match.EXACT if normalise_name(wanted) == normalise_name(actual) else Match.NONE

    version: Match | None = None
    if asked.version:
        if not row.version:
            version = Match.NONE
        else:
            version = Match.EXACT if same_version(asked.version, row.version) else Match.NEAREST
    return Matched(compare(asked.language, row.language), compare(asked.library, row.library), version)
