"""Filters as SQL: constant fragments with parameters, so that nothing a person typed is ever part of a statement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from core.model import Filters

Parameter: TypeAlias = str | int | list[float] | list[str]

_SEPARATORS = re.compile(r"[-_.]+")
_METADATA_MATCHES = "json_extract_string(metadata, ?) = ?"
_DOCUMENT_METADATA_MATCHES = "document_id IN (SELECT id FROM documents WHERE json_extract_string(metadata, ?) = ?)"


def normalise_name(name: str) -> str:
    """The spelling under which languages and libraries are compared: PEP 503's, so lower case, and - _ . alike."""
    return _SEPARATORS.sub("-", name.strip()).lower()


def json_pointer(key: str) -> str:
    """The RFC 6901 pointer to a top-level key, whatever characters the key has."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class Condition:
    """A WHERE condition made of constant fragments, and the parameters it takes in order."""

    sql: str
    parameters: tuple[Parameter, ...]


def passage_condition(filters: Filters) -> Condition:
    """The condition on rows of ``passages``."""
    return _condition(filters, _DOCUMENT_METADATA_MATCHES)


def document_condition(filters: Filters) -> Condition:
    """The condition on rows of ``documents``."""
    return _condition(filters, _METADATA_MATCHES)


def _condition(filters: Filters, metadata_matches: str) -> Condition:
    fragments = ["TRUE"]
    parameters: list[Parameter] = []
    if filters.language:
        fragments.append("language_key = ?")
        parameters.append(normalise_name(filters.language))
    if filters.library:
        fragments.append("library_key = ?")
        parameters.append(normalise_name(filters.library))
    if filters.version:
        fragments.append("version = ?")
        parameters.append(filters.version)
    for key, value in filters.where:
        fragments.append(metadata_matches)
        parameters += [json_pointer(key), value]
    return Condition(" AND ".join(fragments), tuple(parameters))
