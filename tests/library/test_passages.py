"""Passages fit the model whole, and nothing is lost between them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config import cache_folder
from core.index.model_files import resolve_tokenizer
from core.library.extract import ReadRequest, extract
from core.library.passages import LIMIT, cut
from core.library.readers.sections import Block, Section
from core.library.tokens import TokenCounter, estimate_tokens, tokenizer_counter
from core.model import Passage
from tests.agentfs.canaries import new_canary

SPECIAL_TOKENS = 2
hurried = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

words = st.one_of(
    st.sampled_from(
        ["the", "unconventional", "x", "foo.bar_baz(1)", "日本語", "한국어", "naïve", "€9", "🫖", "a" * 60]
    ),
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=24),
)
texts = st.lists(
    st.tuples(words, st.sampled_from([" ", "  ", ". ", "\n", "\n\n", "\n    "])), min_size=1, max_size=150
).map(lambda parts: "".join(word + space for word, space in parts))


@lru_cache
def model_tokens() -> TokenCounter:
    return tokenizer_counter(resolve_tokenizer(cache_folder()))


@st.composite
def sections(draw: st.DrawFn, *, code: bool = True) -> Section:
    blocks = draw(
        st.lists(
            st.builds(
                Block,
                texts,
                st.integers(1, 5000),
                is_code=st.booleans() if code else st.just(False),
                language=st.sampled_from(["", "python", "not a name!"]),
                tight=st.booleans(),
            ),
            min_size=1,
            max_size=6,
        )
    )
    title = draw(st.lists(words, min_size=1, max_size=40).map(" ".join))
    return Section((title,), title, tuple(blocks))


def assert_fit(passages: tuple[Passage, ...], count: TokenCounter, limit: int = LIMIT) -> None:
    assert passages
    for each in passages:
        assert count(each.embedding_text) + SPECIAL_TOKENS <= limit
        assert each.text.strip()


@hurried
@given(sections())
def test_every_passage_fits_the_model_with_its_title(section: Section) -> None:
    assert_fit(cut([section], model_tokens()), model_tokens())


@hurried
@given(sections(), st.integers(16, 80))
def test_every_passage_fits_any_limit_by_the_estimate(section: Section, limit: int) -> None:
    assert_fit(cut([section], estimate_tokens, limit), estimate_tokens, limit)


@hurried
@given(sections(code=False))
def test_no_character_is_lost_and_all_stay_in_order(section: Section) -> None:
    passages = cut([section], model_tokens())
    before = "".join("".join(block.text.split()) for block in section.blocks)
    assert "".join("".join(each.text.split()) for each in passages) == before


@hurried
@given(st.lists(st.sampled_from(["alpha", "beta", "gamma_delta", "if", "x1"]), min_size=1, max_size=600))
def test_no_word_of_code_is_lost_and_each_piece_is_fenced(code: list[str]) -> None:
    section = Section(("T",), "T", (Block("\n".join(code), 10, is_code=True, language="python"),))
    passages = cut([section], model_tokens())
    found: list[str] = []
    for each in passages:
        lines = each.text.split("\n")
        assert (lines[0], lines[-1]) == ("```python", "```")
        assert each.line == 10 + len(found)
        found += lines[1:-1]
    assert found == code


def test_a_giant_word_is_cut_inside() -> None:
    word = "abc123" * 5000
    passages = cut([Section(("T",), "T", (Block(f"before {word} after", 3),))], model_tokens())
    assert_fit(passages, model_tokens())
    assert "".join(each.text for each in passages).replace(" ", "") == f"before{word}after"
    assert {each.line for each in passages} == {3}


def test_a_giant_fence_keeps_its_lines_and_is_fenced_again() -> None:
    code = "\n".join(f"value_{number} = compute({number})" for number in range(2000))
    passages = cut([Section(("T",), "T", (Block(code, 100, is_code=True, language="py"),))], model_tokens())
    assert_fit(passages, model_tokens())
    lines: list[str] = []
    for each in passages:
        assert each.line == 100 + len(lines)
        lines += each.text.removeprefix("```py\n").removesuffix("\n```").split("\n")
    assert lines == code.split("\n")


def test_a_fence_inside_code_does_not_end_it() -> None:
    (passage,) = cut([Section(("T",), "T", (Block("a\n```\nb", 1, is_code=True),))], model_tokens())
    assert passage.text == "````\na\n```\nb\n````"


def test_a_giant_title_leaves_room_for_the_text() -> None:
    title = "endlessly long heading " * 500
    passages = cut([Section((title,), title, (Block("the text itself", 1),))], model_tokens())
    assert_fit(passages, model_tokens())
    assert passages[0].text == "the text itself"
    assert passages[0].title.startswith("endlessly long heading")
    assert passages[0].title.endswith("…")
    assert passages[0].heading_path == (title,)


def test_cuts_fall_between_paragraphs_where_they_can() -> None:
    paragraphs = [f"Paragraph {number} " + "word " * 90 + "end." for number in range(6)]
    blocks = tuple(Block(text, 1 + 2 * number) for number, text in enumerate(paragraphs))
    passages = cut([Section(("T",), "T", blocks)], model_tokens())
    assert [each.text for each in passages] == ["\n\n".join(paragraphs[at : at + 2]) for at in (0, 2, 4)]
    assert [each.line for each in passages] == [1, 5, 9]


def test_what_no_screen_can_show_is_replaced() -> None:
    (passage,) = cut([Section(("T\x07",), "T\x07", (Block("a\x00b \ud800 c\x1b", 1),))], model_tokens())
    assert (passage.title, passage.text) == ("T\ufffd", "a\ufffdb \ufffd c\ufffd")


def test_sections_never_share_a_passage_and_blank_ones_make_none() -> None:
    made = [Section(("A",), "A", (Block("one", 1),)), Section(("B",), "B", (Block(" \n", 2),))]
    assert [each.title for each in cut([*made, Section(("C",), "C", (Block("two", 3),))], estimate_tokens)] == [
        "A",
        "C",
    ]


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        cut([], estimate_tokens, 15)


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.rst"])
def test_a_secret_is_found_wherever_the_cut_goes(tmp_path: Path, name: str) -> None:
    canary, cuts = new_canary(), 0
    for offset in range(0, 1_500, 61):
        text = f"Heading\n=======\n\n{'x1' * offset}-{canary}-{'x1' * 1_000}\n"
        (tmp_path / name).write_text(text)
        extracted = extract(ReadRequest(tmp_path / name, tmp_path))
        assert extracted.holds_secret, offset
        cuts += not any(canary in passage.text for passage in extracted.content.passages)
    assert cuts > 0
