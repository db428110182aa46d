"""Installed Python packages: in which environment, which version, which files; nothing of them is ever imported."""

from __future__ import annotations

import csv
import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from core.errors import InvalidInput, NotFound

INTERPRETER_SECONDS = 20
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:==\s*([A-Za-z0-9.!+_-]+))?\s*")
_LEFT_OUT_FOLDERS = frozenset({"tests", "test", "_vendor", "vendor", "_vendored", "vendored", "__pycache__"})
_LEFT_OUT_FILES = re.compile(r"test_.*|.*_test|tests|conftest|__main__|setup")
_PRINT_PATHS = "import json, sys; print(json.dumps(sys.path))"


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """Where packages are looked for; ``label`` says it to a person."""

    label: str
    site_paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package as installed: its modules' files by dotted name, and the file that holds its long description."""

    name: str
    version: str
    location: Path
    modules: Mapping[str, Path]
    description: Path | None


def find_environment(python: str | None, cwd: Path, environ: Mapping[str, str]) -> PythonEnvironment:
    """The environment ``python`` names (an interpreter or a virtual environment), else $VIRTUAL_ENV, .venv, our own.

    Only an interpreter that was named is run, and only to print its search path. Raises NotFound, InvalidInput.
    """
    if python:
        return _named_environment((cwd / Path(python).expanduser()).absolute())
    active = environ.get("VIRTUAL_ENV")
    if active and (Path(active) / "pyvenv.cfg").is_file():
        return _virtual_environment(Path(active))
    for folder in (cwd, *cwd.parents):
        if (folder / ".venv" / "pyvenv.cfg").is_file():
            return _virtual_environment(folder / ".venv")
        if (folder / ".git").exists() or folder == Path.home():
            break
    return own_environment()


def own_environment() -> PythonEnvironment:
    """The environment Bailiwick itself runs in."""
    return PythonEnvironment("Bailiwick's own environment", _folders(sys.path))


def environment_at(location: str) -> PythonEnvironment:
    """The environment whose packages lie in the folder ``location``."""
    return PythonEnvironment(location, _with_path_files(Path(location)))


def find_package(environment: PythonEnvironment, requirement: str) -> InstalledPackage:
    """The package that ``requirement`` (``NAME`` or ``NAME==VERSION``) names.

    Raises InvalidInput when it is malformed, NotFound when the package, or that version of it, is not installed.
    """
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None:
        raise InvalidInput(f"{requirement!r} is not of the form NAME or NAME==VERSION.", "Example: rich==15.0.0")
    name, version = match[1], match[2]
    paths = [str(path) for path in environment.site_paths]
    for distribution in metadata.Distribution.discover(name=name, path=paths):
        found = distribution.metadata["Name"] if distribution.metadata else None
        if not found:
            continue
        if version and not _same(version, distribution.version):
            raise NotFound(
                f"{found} {version} is not installed in {environment.label}; {distribution.version} is.",
                f"Add that one with `bailiwick add --package {found}=={distribution.version}`.",
            )
        return _installed(distribution, found)
    names = {canonicalize_name(each.name) for each in metadata.distributions(path=paths) if each.metadata}
    close = difflib.get_close_matches(canonicalize_name(name), names, 3)
    raise NotFound(
        f"{name} is not installed in {environment.label}.",
        f"Did you mean {', '.join(close)}?" if close else "Name another environment with --python.",
    )


def _same(left: str, right: str) -> bool:
    try:
        return Version(left) == Version(right)
    except InvalidVersion:
        return left == right


def _named_environment(path: Path) -> PythonEnvironment:
    if (path / "pyvenv.cfg").is_file():
        return _virtual_environment(path)
    if path.is_dir():
        raise NotFound(f"{path} is not a virtual environment.", "Name one, or an interpreter.")
    if not path.is_file() or not os.access(path, os.X_OK):
        raise NotFound(f"There is no interpreter {path}.", "Name one with --python.")
    try:
        result = subprocess.run(
            [str(path), "-I", "-c", _PRINT_PATHS],
            capture_output=True,
            text=True,
            timeout=INTERPRETER_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return PythonEnvironment(str(path), _folders(json.loads(result.stdout)))
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        raise InvalidInput(f"{path} does not answer like a Python interpreter.") from None


def _virtual_environment(folder: Path) -> PythonEnvironment:
    sites = [*sorted(folder.glob("lib/python3*/site-packages")), *sorted(folder.glob("lib64/python3*/site-packages"))]
    paths: dict[Path, None] = {}
    for site in sites:
        for path in _with_path_files(site.resolve()):
            paths[path] = None
    return PythonEnvironment(str(folder), tuple(paths))


def _with_path_files(site: Path) -> tuple[Path, ...]:
    """``site`` and the folders that its .pth files add; their lines of code are not run."""
    paths = [site]
    for file in sorted(site.glob("*.pth")):
        paths.extend(_path_lines(file, site))
    return tuple(path for path in paths if path.is_dir())


def _path_lines(file: Path, site: Path) -> Iterator[Path]:
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        text = line.strip()
        if text and not text.startswith(("#", "import ", "import\t")):
            yield (site / text).absolute()


def _folders(paths: Sequence[object]) -> tuple[Path, ...]:
    return tuple(Path(path) for path in paths if isinstance(path, str) and path and Path(path).is_dir())


def _installed(distribution: metadata.Distribution, name: str) -> InstalledPackage:
    location = Path(str(distribution.locate_file(""))).absolute()
    modules: dict[str, Path] = {}
    description: Path | None = None
    for entry in _recorded(distribution):
        if entry.endswith((".py", ".pyi")) and not entry.startswith(("..", "/")):
            _add(modules, entry.split("/"), location / entry)
        elif entry.endswith(".dist-info/METADATA"):
            description = location / entry
    if not modules:
        for root, parts in _editable_files(distribution, location):
            _add(modules, parts, root.joinpath(*parts))
    return InstalledPackage(name, distribution.version, location, dict(sorted(modules.items())), description)


def _recorded(distribution: metadata.Distribution) -> list[str]:
    """The paths in a distribution's RECORD; much quicker than its ``files``, which makes an object of each."""
    record = distribution.read_text("RECORD")
    if record is None:
        return [str(file) for file in distribution.files or ()]
    return [row[0] for row in csv.reader(record.splitlines()) if row]


def _add(modules: dict[str, Path], parts: Sequence[str], path: Path) -> None:
    module = module_name(parts)
    if not module or not path.is_file():
        return
    known = modules.get(module)
    # The source has the docstrings; a stub stands in only for a compiled module.
    if known is None or known.suffix == ".pyi":
        modules[module] = path


def module_name(parts: Sequence[str]) -> str:
    """The dotted name of the file at ``parts`` below a search path; empty for tests and for what is no module."""
    folders, stem = list(parts[:-1]), Path(parts[-1]).stem
    if folders and folders[0].endswith("-stubs"):
        folders[0] = folders[0].removesuffix("-stubs")
    if any(folder in _LEFT_OUT_FOLDERS or not folder.isidentifier() for folder in folders):
        return ""
    if _LEFT_OUT_FILES.fullmatch(stem) or not stem.isidentifier():
        return ""
    return ".".join(folders if stem == "__init__" else [*folders, stem])


def _editable_files(distribution: metadata.Distribution, location: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The files of a package installed in place, found through the path file its installer left."""
    listed = (distribution.read_text("top_level.txt") or "").split()
    for file in distribution.files or ():
        if file.suffix != ".pth":
            continue
        for root in _path_lines(Path(str(distribution.locate_file(file))), location):
            names = listed or [each.parent.name for each in sorted(root.glob("*/__init__.py"))]
            for name in names:
                if name in _LEFT_OUT_FOLDERS:
                    continue
                for path in [*sorted((root / name).rglob("*.py")), root / f"{name}.py"]:
                    yield root, path.relative_to(root).parts
