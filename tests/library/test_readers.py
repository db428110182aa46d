"""What each reader of prose makes of a realistic file: title, heading paths, text and the lines they stand at."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading import assert_line_holds, read, titled, whole

MARKDOWN = """
    # Cache

    Keeps what was *read*, see [the guide](https://example.org/guide) and [more](more.md).

    ## Setting it up

    1. Install `pip`.
    2. Run:

       ```bash
       # this is no heading
       cache --start
       ```

    ### Sizes

    | name | bytes    |
    |------|----------|
    | tiny | 10       |

    ## Deeper

    Plain <b>text</b><!-- not this -->.
    """


def test_markdown_headings_fences_and_tables(tmp_path: Path) -> None:
    content = read(tmp_path, "cache.md", MARKDOWN)
    assert content.title == "Cache"
    assert [each.title for each in content.passages] == [
        "Cache",
        "Cache › Setting it up",
        "Cache › Setting it up › Sizes",
        "Cache › Deeper",
    ]
    assert titled(content, "Cache").text == ("Keeps what was read, see the guide (https://example.org/guide) and more.")
    steps = titled(content, "Cache › Setting it up")
    assert steps.heading_path == ("Cache", "Setting it up")
    assert "1. Install `pip`.\n2. Run:" in steps.text.replace("\n\n", "\n")
    assert "```bash\n# this is no heading\ncache --start\n```" in steps.text
    assert "| tiny | 10 |" in titled(content, "Cache › Setting it up › Sizes").text
    assert titled(content, "Cache › Deeper").text == "Plain text."
    for title, text in (
        ("Cache", "Keeps what"),
        ("Cache › Setting it up", "1. Install"),
        ("Cache › Setting it up › Sizes", "| name"),
        ("Cache › Deeper", "Plain"),
    ):
        assert_line_holds(tmp_path, "cache.md", titled(content, title), text)


def test_front_matter_gives_the_title_and_keeps_the_lines(tmp_path: Path) -> None:
    text = """
        ---
        title: "The  whole story"
        tags: [a, b]
        ---

        First words.

        # One

        Under one.

        # Two

        Under two.
        """
    content = read(tmp_path, "story.md", text)
    assert content.title == "The whole story"
    assert "tags" not in whole(content)
    under = titled(content, "The whole story › Two")
    assert under.text == "Under two."
    assert_line_holds(tmp_path, "story.md", under, "Under two.")


def test_malformed_front_matter_stops_nothing(tmp_path: Path) -> None:
    content = read(tmp_path, "broken.md", "---\ntitle: [unclosed\n---\n\n# Heading\n\nText.\n")
    assert (content.title, content.passages[0].text) == ("Heading", "Text.")


def test_mdx_leaves_out_its_modules(tmp_path: Path) -> None:
    text = """
        import {Tabs} from "@theme/Tabs"
        export const size = 3

        # Page

        <Tabs>

        Inside the tabs.

        </Tabs>
        """
    content = read(tmp_path, "page.mdx", text)
    assert [each.embedding_text for each in content.passages] == ["Page\nInside the tabs."]
    assert "import" in whole(read(tmp_path, "page.md", text))


def test_directives_of_markdown_are_read_as_text(tmp_path: Path) -> None:
    text = """
        # Page

        ```{note} Beware
        :class: wide

        Of the *dog*.
        ```

        ```{code-block} python
        bark()
        ```
        """
    content = read(tmp_path, "myst.md", text)
    passage = titled(content, "Page")
    assert "Beware\n\nOf the dog." in passage.text
    assert ":class:" not in passage.text
    assert "```python\nbark()\n```" in passage.text
    assert content.language == "python"


RESTRUCTURED = """
    =======
    Sending
    =======

    Letters are sent by :func:`~mail.post` or :ref:`by hand <hand>`, see `the post <https://post.example>`_.

    Options
    -------

    .. code-block:: python

       mail.post("home",
                 stamp=2)

    .. note:: Mind the *stamp*.

    .. py:function:: mail.post(to, *, stamp=1)

       Sends a letter.

       :param to: where it goes
       :returns: nothing

    Tables
    ------

    ====  =====
    size  price
    ====  =====
    A4    2
    ====  =====
    """


def test_restructured_text_sections_directives_and_roles(tmp_path: Path) -> None:
    content = read(tmp_path, "mail.rst", RESTRUCTURED)
    assert content.title == "Sending"
    assert [each.title for each in content.passages] == [
        "Sending",
        "Sending › Options",
        "Sending › Options › mail.post",
        "Sending › Tables",
    ]
    assert titled(content, "Sending").text == (
        "Letters are sent by `mail.post` or by hand, see the post (https://post.example)."
    )
    options = titled(content, "Sending › Options")
    assert '```python\nmail.post("home",\n          stamp=2)\n```' in options.text
    assert "Note: Mind the stamp." in options.text
    symbol = titled(content, "Sending › Options › mail.post")
    assert symbol.text.startswith("mail.post(to, *, stamp=1)\n\nSends a letter.")
    assert "param to: where it goes" in symbol.text
    assert titled(content, "Sending › Tables").text == "size | price\n--- | ---\nA4 | 2"
    assert_line_holds(tmp_path, "mail.rst", titled(content, "Sending"), "Letters are")
    assert_line_holds(tmp_path, "mail.rst", options, 'mail.post("home"')
    assert_line_holds(tmp_path, "mail.rst", symbol, ".. py:function::")


def test_restructured_text_includes_and_runs_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret.txt").write_text("the secret words")
    (tmp_path / "secret.csv").write_text("the secret words,1")
    text = f"""
        Title
        =====

        .. include:: {tmp_path}/secret.txt
        .. literalinclude:: {tmp_path}/secret.txt
        .. raw:: html
           :file: {tmp_path}/secret.txt
        .. csv-table:: Numbers
           :file: {tmp_path}/secret.csv

        .. raw:: html

           <script>alert(1)</script>

        :unknown-role:`kept text` and |undefined| and `unclosed

        .. unknown-directive:: argument
           :option: value

           Kept content.

        Short
        ==

        After the errors.
        """
    content = read(tmp_path, "bad.rst", text)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert "secret words" not in whole(content)
    assert "alert" not in whole(content)
    for kept in ("kept text", "Kept content.", "After the errors."):
        assert kept in whole(content)


def test_html_keeps_the_text_and_drops_the_rest(tmp_path: Path) -> None:
    text = """
        <!DOCTYPE html>
        <html><head><title>Pipes &mdash; manual</title><style>p {color: red}</style></head>
        <body>
        <nav><a href="/">Home page</a></nav>
        <main>
        <h1>Pipes<a class="headerlink" href="#pipes">¶</a></h1>
        <p>A pipe <em>joins</em> two
        programs, see <a href="https://example.org/man">the manual</a>.</p>
        <script>track("you")</script>
        <h2>Example</h2>
        <div class="highlight-python"><pre>
        with pipe() as p:
            p.write("x &lt; y")
        </pre></div>
        <ul><li>first</li><li>second <code>item</code></li></ul>
        <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
        </main>
        <footer>Copyright</footer>
        </body></html>
        """
    content = read(tmp_path, "pipes.html", text)
    assert content.title == "Pipes"
    first = titled(content, "Pipes")
    assert first.text == "A pipe joins two programs, see the manual (https://example.org/man)."
    example = titled(content, "Pipes › Example")
    assert '```python\nwith pipe() as p:\n    p.write("x < y")\n```' in example.text
    assert "- first" in example.text
    assert "- second `item`" in example.text
    assert "a | b\n--- | ---\n1 | 2" in example.text
    for dropped in ("Home page", "track", "color", "Copyright", "¶"):
        assert dropped not in whole(content)
    assert_line_holds(tmp_path, "pipes.html", first, "A pipe")
    assert_line_holds(tmp_path, "pipes.html", example, "with pipe()")


def test_html_with_several_main_headings_is_called_by_its_title_element(tmp_path: Path) -> None:
    content = read(tmp_path, "two.html", "<title>Both &amp; all</title><h1>One</h1><p>1</p><h1>Two</h1><p>2</p>")
    assert content.title == "Both & all"
    assert [each.heading_path for each in content.passages] == [("Both & all", "One"), ("Both & all", "Two")]


def test_html_without_text_is_a_document_without_passages(tmp_path: Path) -> None:
    assert read(tmp_path, "void.html", "<script>1</script>").passages == ()
    assert read(tmp_path, "empty.html", "").passages == ()


def test_plain_text_headings_and_paragraphs(tmp_path: Path) -> None:
    text = """
        Notes
        =====

        First paragraph
        goes on.

        Session
        -------

        >>> 1 + 1
        2

        >>> "x"
        'x'
        """
    content = read(tmp_path, "notes.txt", text)
    assert content.title == "Notes"
    assert titled(content, "Notes").text == "First paragraph\ngoes on."
    session = titled(content, "Notes › Session")
    assert session.text == "```pycon\n>>> 1 + 1\n2\n\n>>> \"x\"\n'x'\n```"
    assert_line_holds(tmp_path, "notes.txt", session, ">>> 1 + 1")


def test_a_readme_without_heading_is_called_after_its_folder(tmp_path: Path) -> None:
    assert read(tmp_path, "kettle/README", "Boils water.").title == "kettle"
    assert read(tmp_path, "kettle/tea.txt", "Needs water.").title == "tea"


@pytest.mark.parametrize(
    ("manifest", "text", "expected"),
    [
        ("pyproject.toml", '[project]\nname = "tea"\nversion = "3.1"\n', ("python", "tea", "3.1")),
        ("Cargo.toml", '[package]\nname = "tea"\nversion = "0.2.0"\n', ("rust", "tea", "0.2.0")),
        ("package.json", '{"name": "tea", "version": "1.0.0", "types": "x"}', ("typescript", "tea", "1.0.0")),
        ("go.mod", "module example.org/tea\n", ("go", "example.org/tea", "")),
        ("setup.cfg", "[metadata]\nname = tea\nversion = attr: tea.v\n", ("python", "tea", "")),
        ("pyproject.toml", "not toml [", ("", "docs", "")),
    ],
)
def test_library_and_version_come_from_the_nearest_manifest(
    tmp_path: Path, manifest: str, text: str, expected: tuple[str, str, str]
) -> None:
    root = tmp_path / "docs"
    (root / "guide").mkdir(parents=True)
    (root / manifest).write_text(text)
    content = read(root, "guide/start.md", "# Start\n\nHere.\n")
    assert (content.language, content.library, content.version) == expected


def test_what_was_said_wins_over_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "tea"\nversion = "3.1"\n')
    content = read(tmp_path, "a.md", "Text.", language="go", version="9")
    assert (content.language, content.library, content.version) == ("go", "tea", "9")
