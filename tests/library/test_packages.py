"""Installed packages are found and read without running anything of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from core.errors import InvalidInput, NotFound
from core.library.extract import ReadRequest, extract
from core.library.packages import environment_at, find_environment, find_package, module_name, own_environment
from core.library.reexports import is_private, public_names


class Environment:
    """A virtual environment made of files; importing or running anything in it leaves a marker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = folder.parent / f"{folder.name} was run"
        self.site = folder / "lib" / "python3.11" / "site-packages"
        self.site.mkdir(parents=True)
        (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
        self.write("marker.pth", [self.trap])

    @property
    def trap(self) -> str:
        return f"import pathlib; pathlib.Path({str(self.marker)!r}).touch()"

    def write(self, name: str, lines: Iterable[str] = ()) -> Path:
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    def install(self, name: str, version: str, files: dict[str, Iterable[str]], **metadata: str) -> None:
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        for path, lines in files.items():
            self.write(path, lines)
        self.write(f"{info}/METADATA", ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "", "About."])
        for extra, text in metadata.items():
            self.write(f"{info}/{extra}", [text])
        names = [*files, f"{info}/METADATA", f"{info}/RECORD", *(f"{info}/{extra}" for extra in metadata)]
        self.write(f"{info}/RECORD", [f"{each},," for each in names])


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment(tmp_path / "project" / ".venv")
    made.install(
        "tea-kettle",
        "1.2.0",
        {
            "kettle/__init__.py": [made.trap, "from ._core import Kettle as Kettle, _inner", "from ._core import boil"],
            "kettle/_core.py": [
                made.trap,
                "from ._deep import cool",
                "class Kettle:",
                '    """Boils."""',
                "def boil():",
                '    """Makes hot."""',
                "def unused():",
                '    """Nobody sees this."""',
                "def _inner(): ...",
            ],
            "kettle/_deep.py": ["def cool():", '    """Makes cold."""'],
            "kettle/api.py": ["from kettle._core import cool as chill", '__all__ = ["chill"]'],
            "kettle/fast.pyi": ["def whistle() -> None: ..."],
            "kettle/fast.cpython-311-x86_64-linux-gnu.so": ["\x7fELF"],
            "kettle/both.py": ["def both(): ..."],
            "kettle/both.pyi": ["def both() -> int: ..."],
            "kettle/tests/test_kettle.py": ["def test(): ..."],
            "kettle/tests/__init__.py": [],
            "kettle/conftest.py": [],
            "kettle/_vendor/other.py": [],
            "kettle/my-script.py": [],
            "kettle/__main__.py": [],
        },
    )
    made.install("coffee-pot", "2.0", {"coffee.py": [made.trap]})
    return made


def test_a_package_is_found_with_its_modules(environment: Environment) -> None:
    package = find_package(environment_at(str(environment.site)), "Tea_Kettle")
    assert (package.name, package.version) == ("tea-kettle", "1.2.0")
    assert list(package.modules) == [
        "kettle", "kettle._core", "kettle._deep", "kettle.api", "kettle.both", "kettle.fast",
    ]  # fmt: skip
    assert package.modules["kettle.fast"].name == "fast.pyi"
    assert package.modules["kettle.both"].name == "both.py"
    assert package.description is not None
    assert package.description.name == "METADATA"
    assert not environment.marker.exists()


def test_reading_every_module_runs_nothing(environment: Environment) -> None:
    package = find_package(environment_at(str(environment.site)), "tea-kettle==1.2")
    public = public_names(package.modules)
    titles = []
    for module, path in package.modules.items():
        names = public.get(module) if is_private(module) else None
        content = extract(ReadRequest(path, package.location, module=module, public_names=names)).content
        titles += [each.title for each in content.passages]
    assert sorted(titles) == [
        "kettle.Kettle",
        "kettle.api.chill",
        "kettle.boil",
        "kettle.both.both",
        "kettle.fast.whistle",
    ]
    assert not environment.marker.exists()


def test_symbols_of_private_modules_get_their_public_names(environment: Environment) -> None:
    package = find_package(environment_at(str(environment.site)), "tea-kettle")
    assert public_names(package.modules) == {
        "kettle._core": {"Kettle": "kettle.Kettle", "boil": "kettle.boil", "cool": "kettle.api.chill"},
        "kettle._deep": {"cool": "kettle.api.chill"},
    }


def test_the_shortest_public_name_wins_and_all_decides(tmp_path: Path) -> None:
    sources = {
        "p": "from p._a import X, Y\n__all__ = ['X']\n__all__ += ['Z']\nfrom ._a import Z",
        "p.sub": "from ._a import X\nfrom ._a import Y\n__all__ = ('X', 'Y')",
        "p._a": "class X: ...\nclass Y: ...\nclass Z: ...",
        "p.broken": "from ._a import (",
    }
    modules = {}
    for name, text in sources.items():
        path = tmp_path / name / ("__init__.py" if name == "p" else f"{name}.py")
        path.parent.mkdir()
        path.write_text(text)
        modules[name] = path
    assert public_names(modules) == {"p._a": {"X": "p.X", "Y": "p.sub.Y", "Z": "p.Z"}}


def test_an_editable_package_is_read_where_it_lies(environment: Environment, tmp_path: Path) -> None:
    source = tmp_path / "checkout" / "src"
    (source / "mine" / "sub").mkdir(parents=True)
    (source / "mine" / "__init__.py").write_text(environment.trap)
    (source / "mine" / "sub" / "thing.py").write_text("def thing(): ...")
    (source / "tests").mkdir()
    (source / "tests" / "__init__.py").write_text("")
    environment.install("mine", "0.1", {"__editable__.mine.pth": [str(source)]})
    package = find_package(environment_at(str(environment.site)), "mine==0.1")
    assert dict(package.modules) == {
        "mine": source / "mine" / "__init__.py",
        "mine.sub.thing": source / "mine" / "sub" / "thing.py",
    }
    assert source in environment_at(str(environment.site)).site_paths
    assert not environment.marker.exists()


def test_another_version_is_told_with_the_installed_one(environment: Environment) -> None:
    with pytest.raises(NotFound, match=r"tea-kettle 9\.9 is not installed in .*; 1\.2\.0 is\.") as caught:
        find_package(environment_at(str(environment.site)), "tea-kettle==9.9")
    assert "tea-kettle==1.2.0" in caught.value.hint


def test_an_unknown_package_is_told_with_what_is_near(environment: Environment) -> None:
    with pytest.raises(NotFound, match="tea-ketle is not installed") as caught:
        find_package(environment_at(str(environment.site)), "tea-ketle")
    assert caught.value.hint == "Did you mean tea-kettle?"
    with pytest.raises(NotFound) as other:
        find_package(environment_at(str(environment.site)), "zzzzzz")
    assert "--python" in other.value.hint


@pytest.mark.parametrize("text", ["", "tea kettle", "tea>=1", "tea==", "tea==1==2", "../tea", "tea[extra]", "-tea"])
def test_a_malformed_requirement_is_refused(environment: Environment, text: str) -> None:
    with pytest.raises(InvalidInput, match="is not of the form NAME or NAME==VERSION"):
        find_package(environment_at(str(environment.site)), text)


def test_the_environment_is_the_active_one_then_the_nearest_then_our_own(
    environment: Environment, tmp_path: Path
) -> None:
    active = Environment(tmp_path / "active")
    deep = tmp_path / "project" / "src" / "deep"
    deep.mkdir(parents=True)
    environ = {"VIRTUAL_ENV": str(active.folder)}
    assert find_environment(None, deep, environ).label == str(active.folder)
    assert find_environment(None, deep, environ).site_paths[0] == active.site.resolve()
    assert find_environment(None, deep, {"VIRTUAL_ENV": str(tmp_path / "gone")}).label == str(environment.folder)
    assert find_environment(str(environment.folder), tmp_path, environ).label == str(environment.folder)
    assert find_environment("project/.venv", tmp_path, environ).label == str(environment.folder)
    (deep / ".git").mkdir()
    assert find_environment(None, deep, {}) == own_environment()
    assert not environment.marker.exists()
    assert not active.marker.exists()


def test_a_named_interpreter_is_asked_for_its_folders() -> None:
    found = find_environment(sys.executable, Path("/"), {})
    assert found.label == sys.executable
    assert find_package(found, "pytest").modules["pytest"].name == "__init__.py"


def test_a_wrong_interpreter_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no program")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    for name, sentence in (
        ("folder", "is not a virtual environment"),
        ("text", "There is no interpreter"),
        ("missing", "There is no interpreter"),
    ):
        with pytest.raises(NotFound, match=sentence):
            find_environment(name, tmp_path, {})
    with pytest.raises(InvalidInput, match="does not answer like a Python interpreter"):
        find_environment("program", tmp_path, dict(os.environ))


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("a/b.py", "a.b"),
        ("a/__init__.py", "a"),
        ("a-stubs/b.pyi", "a.b"),
        ("a/tests/b.py", ""),
        ("a/test_b.py", ""),
        ("a/testing.py", "a.testing"),
        ("a-1.0.data/b.py", ""),
        ("setup.py", ""),
    ],
)
def test_module_names(path: str, module: str) -> None:
    assert module_name(path.split("/")) == module
