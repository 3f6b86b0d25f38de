"""A name in another language is a name there, whatever it holds."""

import ast
import shlex

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nas.targets.quoting import in_code, in_comment, in_docstring, in_markdown, in_shell
from space.errors import InputError, printable

TEXT = st.text(
    st.characters(codec=None) | st.sampled_from(list("`*_[]()<>&|~$#!+-=.\\\"'\n\t 1")), max_size=40
)


def shown(markdown):
    """The text that Markdown shows, and the kinds of its parts."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in [*tokens, *inline]}
    return "".join(child.content for child in inline), kinds


@settings(deadline=None)
@given(TEXT)
def test_markdown_shows_a_name_as_it_is(text):
    line = printable(text)
    content, kinds = shown(f"# {in_markdown(text)}")
    assert content == line and kinds <= {"heading_open", "inline", "text", "heading_close", "text_special"}
    content, kinds = shown(in_markdown(text))
    if line:
        assert content == line
        assert kinds <= {"paragraph_open", "inline", "text", "paragraph_close", "text_special"}


@settings(deadline=None)
@given(TEXT)
def test_a_code_span_shows_a_name_as_it_is(text):
    content, kinds = shown(in_code(text))
    if printable(text):
        assert content == printable(text) and "code_inline" in kinds and "html_inline" not in kinds


@settings(deadline=None)
@given(TEXT)
def test_a_comment_and_a_docstring_are_one_line(text):
    assert len(f"# {in_comment(text)}".splitlines()) == 1
    assert yaml.safe_load(f"# {in_comment(text)}\na: 1\n") == {"a": 1}
    assert ast.literal_eval(f'"""{in_docstring(text)}\n"""').splitlines()[0].replace("'''", '"""') == (
        in_comment(text).replace("'''", '"""')
    )


@settings(deadline=None)
@given(TEXT)
def test_a_word_of_a_shell_is_one_word_or_refused(text):
    try:
        word = in_shell(text)
    except InputError:
        assert not text.isprintable()
    else:
        assert shlex.split(f"x /path/to/{word}") == ["x", f"/path/to/{text}"]


@pytest.mark.parametrize("text", ["a\nb", "\x1b[0m", "a\u2028b", "\x00", "\ud800"])
def test_line_breaks_and_control_characters_are_no_word(text):
    with pytest.raises(InputError, match="has line breaks or control characters"):
        in_shell(text)


def test_plain_names_stay_readable():
    for name in ("convnext_tiny", "trial 7 of my-study", "it's 4.5 GFLOPs (1.5x)", "a < b", "R&D!"):
        assert in_markdown(name) == name
