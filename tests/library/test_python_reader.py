"""What is read of Python source and of an installed package's metadata."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading import assert_line_holds, read, titled, whole

from core.library.extract import ReadRequest, extract
from core.library.file_text import Unreadable

PYTHON = '''
    """Kettles of all kinds.

    They boil.
    """

    import os
    from enum import Enum
    from typing import overload
    from warnings import deprecated

    LIMIT = 100
    """The boiling point."""

    raise SystemExit(open("{marker}", "w"))


    class Kettle(Vessel):
        """Boils water.

        Parameters
        ----------
        litres
            How much.
        """

        material: str = "steel"
        count = 0
        weight: float = 1.5

        def __init__(self, litres: float, *, lid=True):
            self.litres = litres
            """How much fits in."""
            self.weight = self.weigh()

        @property
        def hot(self) -> bool:
            """Whether it boiled."""

        @hot.setter
        def hot(self, value): ...

        @classmethod
        async def fill(cls, /, *cups: int, **more) -> None:
            """Fill it.

                >>> Kettle.fill(1)
            """

        def _secret(self):
            """Not shown."""

        def __len__(self):
            """How many cups."""


    @overload
    def boil(water: int) -> int: ...
    @overload
    def boil(water: str) -> str: ...
    def boil(water):
        """Make it hot."""


    @deprecated("use boil")
    def cook(water): ...


    def _hidden():
        """Not shown either."""


    class Colour(Enum):
        RED = 1
        BLUE = 2
    '''


def test_python_symbols_are_read_and_nothing_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "was run"
    content = read(tmp_path, "kettle.py", PYTHON.replace("{marker}", str(marker)), module="kitchen.kettle")
    assert not marker.exists()
    assert (content.title, content.language) == ("kitchen.kettle", "python")
    assert [each.title.removeprefix("kitchen.kettle").lstrip(".") for each in content.passages] == [
        "",
        "Kettle",
        "Kettle.hot",
        "Kettle.fill",
        "Kettle.__len__",
        "boil",
        "cook",
        "Colour",
    ]
    module = titled(content, "kitchen.kettle")
    assert module.text == "Kettles of all kinds.\n\nThey boil.\n\nLIMIT = 100\n    The boiling point."
    kettle = titled(content, "kitchen.kettle.Kettle")
    assert kettle.heading_path == ("kitchen.kettle", "Kettle")
    assert kettle.text.startswith(
        "class Kettle(Vessel)\ndef __init__(self, litres: float, *, lid=True)\n\nBoils water."
    )
    assert "Parameters:\nlitres\n    How much." in kettle.text
    assert "material: str = 'steel'\nweight: float\n" in kettle.text
    assert "litres\n    How much fits in." in kettle.text
    assert titled(content, "kitchen.kettle.Kettle.hot").text == "property hot: bool (writable)\n\nWhether it boiled."
    fill = titled(content, "kitchen.kettle.Kettle.fill").text
    assert fill.startswith("@classmethod async def fill(cls, /, *cups: int, **more) -> None\n\nFill it.")
    assert "```pycon\n" in fill
    assert titled(content, "kitchen.kettle.boil").text == (
        "def boil(water: int) -> int\ndef boil(water: str) -> str\n\nMake it hot."
    )
    assert "Deprecated: use boil" in titled(content, "kitchen.kettle.cook").text
    assert titled(content, "kitchen.kettle.Colour").text == "class Colour(Enum)\n\nRED = 1\nBLUE = 2"
    assert "Not shown" not in whole(content)
    for title, text in (
        ("kitchen.kettle", '"""Kettles'),
        ("kitchen.kettle.Kettle", "class Kettle"),
        ("kitchen.kettle.Colour", "class Colour"),
    ):
        assert_line_holds(tmp_path, "kettle.py", titled(content, title), text)


def test_a_symbol_is_found_at_its_definition(tmp_path: Path) -> None:
    content = read(tmp_path, "plain.py", "\n\nX = 1\n\n\ndef f(a):\n    return a\n")
    passage = titled(content, "plain.f")
    assert_line_holds(tmp_path, "plain.py", passage, "def f(a):")


def test_the_module_of_a_file_in_a_package_is_told_by_its_folders(tmp_path: Path) -> None:
    read(tmp_path, "src/kitchen/__init__.py", "")
    read(tmp_path, "src/kitchen/pots/__init__.py", "")
    content = read(tmp_path, "src/kitchen/pots/big.py", '"""Big pots."""')
    assert content.passages[0].title == "kitchen.pots.big"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("def f(:\n    pass\n", "line 1"), ("x = 1\nclass\n", "line 2"), ("x = '", "line 1")],
)
def test_broken_python_is_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match="is not valid Python") as caught:
        read(tmp_path, "broken.py", text)
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason


def test_metadata_of_a_package_keeps_indentation_and_lines(tmp_path: Path) -> None:
    text = (
        "Metadata-Version: 2.1\nName: kettle\nVersion: 1.0\nDescription-Content-Type: text/markdown; charset=UTF-8\n\n"
        "# Kettle\n\nBoils.\n\n## Use\n\n```python\nclass A:\n    def f(self):\n        return 1\n```\n"
    )
    (tmp_path / "METADATA").write_text(text)
    content = extract(ReadRequest(path=tmp_path / "METADATA", root=tmp_path, library="kettle")).content
    assert content.title == "kettle README"
    use = titled(content, "Kettle › Use")
    assert use.text == "```python\nclass A:\n    def f(self):\n        return 1\n```"
    assert_line_holds(tmp_path, "METADATA", use, "class A:")


def test_a_description_folded_into_the_header_is_unfolded(tmp_path: Path) -> None:
    lines = ["======", "", "Boils::", "", "    if cold:", "        boil()"]
    text = "Metadata-Version: 1.1\nName: kettle\nDescription: Kettle\n" + "".join(f"{'':8}{each}\n" for each in lines)
    (tmp_path / "METADATA").write_text(text)
    content = extract(ReadRequest(path=tmp_path / "METADATA", root=tmp_path)).content
    assert titled(content, "Kettle").text == "Boils:\n\n```\nif cold:\n    boil()\n```"
    assert_line_holds(tmp_path, "METADATA", titled(content, "Kettle"), "Boils")
