"""Reads Python source and stubs without importing them: signatures and docstrings of what is public."""

from __future__ import annotations

import logging
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import griffe

from core.library.readers.python_signatures import attribute_line, class_line, function_line, is_enumeration
from core.library.readers.sections import Block, Reading, Section, text_blocks

logging.getLogger("griffe").addHandler(logging.NullHandler())

_UNDERLINE = re.compile(r"[ \t]*[-=~]{3,}[ \t]*")
_DEPRECATED = frozenset({"warnings.deprecated", "typing_extensions.deprecated", "deprecated", "deprecation.deprecated"})


class NotPython(ValueError):
    """The text is not Python that this interpreter can parse; the message says where."""


def read(text: str, module: str, path: Path, public_names: Mapping[str, str] | None = None) -> Reading:
    """One section for the module, and for each of its public classes, functions and methods.

    With ``public_names`` (names defined in the module → qualified names they are used by) only those symbols are read,
    under these names: so a private module is documented as what it is re-exported as. Raises ``NotPython``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            definitions = _Definitions()
            found = griffe.visit(module, filepath=path, code=text, extensions=griffe.Extensions(definitions))
            definitions.restore()
    except SyntaxError as error:
        raise NotPython(f"is not valid Python: {error.msg} (line {error.lineno or 1})") from None
    except ValueError as error:
        raise NotPython(f"is not valid Python: {error}") from None
    reader = _SymbolReader(text.split("\n"), module)
    if public_names is None:
        return Reading(module, tuple(reader.module(found)))
    return Reading(module, tuple(reader.exported(found, public_names)))


class _Definitions(griffe.Extension):
    """Remembers what is defined, because an import of the same name further down (a compiled twin) would hide it."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[griffe.Class | griffe.Function] = []

    def on_instance(self, *, obj: griffe.Object, **_unused: object) -> None:
        if isinstance(obj, griffe.Class | griffe.Function):
            self._found.append(obj)

    def restore(self) -> None:
        """Puts definitions back in the place of such imports."""
        for symbol in self._found:
            scope = symbol.parent
            if isinstance(scope, griffe.Module | griffe.Class) and scope.members.get(symbol.name, symbol).is_alias:
                scope.members[symbol.name] = symbol


class _SymbolReader:
    def __init__(self, lines: list[str], module: str) -> None:
        self._lines = lines
        self._module = module

    def module(self, module: griffe.Module) -> Iterator[Section]:
        blocks = [*self._docstring(module), *self._attributes(module)]
        if blocks:
            yield Section((self._module,), self._module, tuple(blocks))
        yield from self._members(module, (self._module,), self._module)

    def exported(self, module: griffe.Module, public_names: Mapping[str, str]) -> Iterator[Section]:
        for name, qualified in public_names.items():
            owner, _, last = qualified.rpartition(".")
            yield from self._symbol(module, name, (owner, last) if owner else (last,), qualified)

    def _members(self, scope: griffe.Module | griffe.Class, path: tuple[str, ...], title: str) -> Iterator[Section]:
        names = dict.fromkeys([*scope.members, *scope.overloads])
        exports = {str(each) for each in scope.exports or ()} if isinstance(scope, griffe.Module) else set()
        for name in names:
            if _is_public(name) or name in exports or self._is_documented_special(scope, name):
                yield from self._symbol(scope, name, (*path, name), f"{title}.{name}")

    def _symbol(
        self, scope: griffe.Module | griffe.Class, name: str, path: tuple[str, ...], title: str
    ) -> Iterator[Section]:
        member = scope.members.get(name)
        overloads = scope.overloads.get(name, []) if isinstance(scope.overloads, dict) else []
        if member is None and overloads:
            yield self._function(overloads[0], overloads, path, title)
        elif isinstance(member, griffe.Function):
            yield self._function(member, member.overloads or overloads, path, title)
        elif isinstance(member, griffe.Class):
            yield self._class(member, path, title)
            yield from self._members(member, path, title)
        elif isinstance(member, griffe.Attribute) and "property" in member.labels:
            line = member.lineno or 1
            yield Section(path, title, (Block(attribute_line(member), line), *self._docstring(member)))

    def _function(
        self, function: griffe.Function, overloads: list[griffe.Function] | None, path: tuple[str, ...], title: str
    ) -> Section:
        signatures = dict.fromkeys(function_line(each) for each in overloads or [function])
        blocks = [Block("\n".join(signatures), function.lineno or 1), *_deprecation(function)]
        documented = next((each for each in [function, *(overloads or [])] if each.docstring), function)
        return Section(path, title, (*blocks, *self._docstring(documented)))

    def _class(self, class_: griffe.Class, path: tuple[str, ...], title: str) -> Section:
        lines = [class_line(class_)]
        constructor = class_.members.get("__init__")
        if isinstance(constructor, griffe.Function) and not constructor.docstring and len(constructor.parameters) > 1:
            lines.append(function_line(constructor))
        blocks = [Block("\n".join(lines), class_.lineno or 1), *_deprecation(class_)]
        return Section(path, title, (*blocks, *self._docstring(class_), *self._attributes(class_)))

    def _attributes(self, scope: griffe.Module | griffe.Class) -> Iterator[Block]:
        """Documented attributes, each with its text; of a class also its undocumented fields, line by line."""
        is_class = isinstance(scope, griffe.Class)
        all_values = isinstance(scope, griffe.Class) and is_enumeration(scope)
        follows_field = False
        for name, member in scope.members.items():
            if not isinstance(member, griffe.Attribute) or "property" in member.labels or not _is_public(name):
                continue
            line = attribute_line(member)
            if member.docstring:
                text = textwrap.indent(member.docstring.value, "    ")
                yield Block(f"{line}\n{text}", member.lineno or 1)
                follows_field = False
            elif is_class and "class-attribute" in member.labels and (member.annotation is not None or all_values):
                yield Block(line, member.lineno or 1, tight=follows_field)
                follows_field = True

    def _docstring(self, symbol: griffe.Object) -> tuple[Block, ...]:
        if symbol.docstring is None:
            return ()
        blocks = text_blocks(symbol.docstring.value, self._first_line(symbol.docstring.lineno or symbol.lineno or 1))
        return tuple(block if block.is_code else replace(block, text=_plain_headings(block.text)) for block in blocks)

    def _first_line(self, line: int) -> int:
        """The line of the first word of the docstring that begins at ``line``."""
        for number in range(line, min(line + 20, len(self._lines)) + 1):
            if self._lines[number - 1].strip().lstrip("rRuUbBfF").strip("\"'\\ \t"):
                return number
        return line

    def _is_documented_special(self, scope: griffe.Module | griffe.Class, name: str) -> bool:
        member = scope.members.get(name)
        is_special = len(name) > 4 and name.startswith("__") and name.endswith("__")
        return is_special and isinstance(member, griffe.Function) and bool(member.docstring)


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _deprecation(symbol: griffe.Function | griffe.Class) -> Iterator[Block]:
    for decorator in symbol.decorators:
        if decorator.callable_path in _DEPRECATED:
            match = re.search(r"\(\s*(['\"])(.*?)\1", str(decorator.value), re.DOTALL)
            yield Block(f"Deprecated: {match[2]}" if match else "Deprecated.", decorator.lineno or 1)


def _plain_headings(text: str) -> str:
    """Headings underlined in numpydoc's way as "Parameters:", because every dash would cost a token."""
    lines = text.split("\n")
    result: list[str] = []
    for position, line in enumerate(lines):
        previous = lines[position - 1] if position else ""
        if result and previous.strip() and _UNDERLINE.fullmatch(line):
            result[-1] = f"{result[-1].rstrip().rstrip(':')}:"
        else:
            result.append(line)
    return "\n".join(result)
