"""The tables of fields in the documents, made from the types."""

from pathlib import Path

import pytest

from nas.proxy.proxy import Proxy
from nas.recipe.assignments import assignments, field_names, nested
from nas.recipe.fields import field_table
from nas.recipe.recipe import Recipe
from space.errors import InputError

DOCS = Path(__file__).parents[3] / "docs"
TABLES = [(Proxy, "proxy.", "proxies.md"), (Recipe, "", "recipe.md")]


@pytest.mark.parametrize(("model", "prefix", "document"), TABLES)
def test_a_document_has_the_table_that_the_types_make(model, prefix, document):
    # python -m nas.recipe.fields prints it
    assert field_table(model, prefix) in (DOCS / document).read_text()


@pytest.mark.parametrize(("model", "prefix", "_"), TABLES)
def test_every_field_has_a_row_with_a_type_and_a_meaning(model, prefix, _):
    rows = [row.strip("| ").split(" | ") for row in field_table(model, prefix).splitlines()[2:]]
    assert [row[0].strip("`") for row in rows] == list(field_names(model, prefix))
    for name, kind, default, meaning in rows:
        assert kind and default and len(meaning) > 3 and "typing" not in kind and "<class" not in kind, name


def test_fields_of_the_command_line_are_yaml():
    texts = ["a=1", "b.c=1e-3", "d=[1, 2]", "e=", "f=text=more", "a=2"]
    assert assignments(texts) == {"a": 2, "b.c": 1e-3, "d": [1, 2], "e": None, "f": "text=more"}


def test_dotted_keys_go_into_their_parts():
    values = {"schedule.warmup_epochs": 2, "schedule.min_lr": 0.0, "epochs": 5}
    fields = nested(values, Recipe, "docs/recipe.md")
    assert fields == {"schedule": {"warmup_epochs": 2, "min_lr": 0.0}, "epochs": 5}


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("proxy.epoch", "proxy.epochs"), ("epochs", "proxy.epochs"), ("proxy.batchsize", "proxy.batch_size")],
)
def test_an_unknown_field_is_a_line_with_the_nearest(key, nearest):
    with pytest.raises(InputError) as caught:
        nested({key: 1}, Proxy, "docs/proxies.md", "proxy.")
    assert str(caught.value) == (
        f"--set {key}: unknown key; the nearest is {nearest}, docs/proxies.md has them all"
    )


@pytest.mark.parametrize("text", ["", "x", "=1", " =1"])
def test_what_is_no_assignment_is_one_line(text):
    with pytest.raises(InputError, match=r"write it like proxy\.epochs=5"):
        assignments([text])
