"""Which symbols of private modules a package offers under public names, read from its import statements alone."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.library.file_text import Unreadable, read_text

MOST_PASSES = 3


def is_private(module: str) -> bool:
    """Whether a dotted module name has a part that begins with an underscore."""
    return any(part.startswith("_") and not part.endswith("__") for part in module.split("."))


def public_names(modules: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """For each private module of ``modules`` (names to files) its symbols with the names they are used by.

    A name counts when a public module imports it and lists it in ``__all__``, or, having no ``__all__``, is a package's
    ``__init__`` and the name has no underscore. The shortest public name wins. Chains of private modules are followed.
    """
    private = {name for name in modules if is_private(name)}
    if not private:
        return {}
    found: dict[str, dict[str, str]] = {}
    imports = {name: _Imports(name, path) for name, path in modules.items()}
    for name, module in imports.items():
        if name not in private:
            for origin, symbol, local in module.exported():
                _offer(found, origin, symbol, f"{name}.{local}", private)
    for _ in range(MOST_PASSES):
        if not _follow(found, imports, private):
            break
    return found


def _follow(found: dict[str, dict[str, str]], imports: Mapping[str, _Imports], private: set[str]) -> bool:
    """What a private module offers but only imports itself is offered by where it comes from."""
    changed = False
    for name in list(found):
        if name in imports:
            for origin, symbol, local in imports[name].all():
                qualified = found[name].get(local)
                if qualified is not None:
                    changed |= _offer(found, origin, symbol, qualified, private)
                elif local == "*":
                    for offered, public in list(found[name].items()):
                        changed |= _offer(found, origin, offered, public, private)
    return changed


def _offer(found: dict[str, dict[str, str]], origin: str, symbol: str, qualified: str, private: set[str]) -> bool:
    if origin not in private or symbol == "*":
        return False
    names = found.setdefault(origin, {})
    known = names.get(symbol)
    if known is not None and (known.count("."), len(known)) <= (qualified.count("."), len(qualified)):
        return False
    names[symbol] = qualified
    return True


class _Imports:
    """The ``from … import …`` statements of one module, and its ``__all__``."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._is_package = path.stem == "__init__"
        self._entries: list[tuple[str, str, str]] = []
        self._exports: set[str] | None = None
        try:
            tree = ast.parse(read_text(path))
        except (Unreadable, SyntaxError, ValueError, RecursionError):
            return
        self._collect(tree.body)

    def all(self) -> Iterable[tuple[str, str, str]]:
        """Origin module, symbol and local name of every import."""
        return self._entries

    def exported(self) -> Iterable[tuple[str, str, str]]:
        """Those that are part of this module's public names."""
        for origin, symbol, local in self._entries:
            if self._exports is not None:
                public = local in self._exports
            else:
                public = self._is_package and not local.startswith("_")
            if public and symbol != "*":
                yield origin, symbol, local

    def _collect(self, body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ImportFrom):
                origin = self._absolute(node)
                self._entries.extend((origin, alias.name, alias.asname or alias.name) for alias in node.names)
            elif isinstance(node, ast.If | ast.Try):
                self._collect(node.body)
                self._collect(node.orelse)
            elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
                self._take_exports(node)

    def _take_exports(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            listed = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else []
            names = {each.value for each in listed if isinstance(each, ast.Constant) and isinstance(each.value, str)}
            self._exports = (self._exports or set()) | names

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self._name.split(".")
        up = node.level - 1 if self._is_package else node.level
        base = parts[: len(parts) - up] if up else parts
        return ".".join([*base, *([node.module] if node.module else [])])
