"""CSV files of results, of one's own and timm's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.bad_input.case import Case, Make
from tests.bad_input.wrong import DIGITS, ESCAPE, LONG, NO_TEXT_FILES, link

HEAD = "name,family,resolution,pretrain,top1,gflops\n"
ROW = "a,mine,224,imagenet-1k,80.1,4.5\n"


def _row(**changed: str) -> str:
    values = {
        "name": "a",
        "family": "mine",
        "resolution": "224",
        "pretrain": "imagenet-1k",
        "top1": "80.1",
        "gflops": "4.5",
    }
    return HEAD + ROW.replace("a,", "b,", 1) + ",".join((values | changed).values()) + "\n"


def _head(text: str) -> str:
    return f"{text}\n" + ROW


COSTS = "model,infer_img_size,infer_gmacs\nconvnext_tiny,224,4.47\n"
TIMM = "model,top1,param_count,img_size\n"
CELLS: Mapping[str, tuple[str, ...]] = {
    "name": ("",),
    "family": ("",),
    "resolution": ("", "x", "0", "-1", "1.5", "nan", DIGITS, ESCAPE, "224px", LONG),
    "pretrain": ("",),
    "top1": (
        "",
        "x",
        "-1",
        "100.1",
        "nan",
        "inf",
        "1e400",
        '"80,1"',
        "80.1%",
        DIGITS,
        ESCAPE,
        LONG,
        "a\x00b",
    ),
    "gflops": (
        "",
        "x",
        "0",
        "-1",
        "nan",
        "inf",
        "1e400",
        '"4,466"',
        '"4,5"',
        "4.5G",
        "1e-400",
        DIGITS,
        ESCAPE,
        "½",
        "٤x",
    ),
}
FILES: Mapping[str, str | bytes | Make] = {
    **NO_TEXT_FILES,
    "empty": "",
    "a blank line": "\n",
    "a head alone": HEAD,
    "columns of others": "a,b,c\n1,2,3\n",
    "no name": _head("x,family,resolution,pretrain,top1,gflops"),
    "no family": _head("name,x,resolution,pretrain,top1,gflops"),
    "no resolution": _head("name,family,x,pretrain,top1,gflops"),
    "no accuracy": _head("name,family,resolution,pretrain,x,gflops"),
    "no cost": _head("name,family,resolution,pretrain,top1,x"),
    "an unknown column": HEAD.replace("\n", ",nope\n") + ROW.replace("\n", ",1\n"),
    "a column twice": HEAD.replace("\n", ",top1\n") + ROW.replace("\n", ",1\n"),
    "two columns of accuracy": HEAD.replace("\n", ",accuracy\n") + ROW.replace("\n", ",0.8\n"),
    "two columns of cost": HEAD.replace("\n", ",macs\n") + ROW.replace("\n", ",1\n"),
    "a column without a name": HEAD.replace("\n", ",\n") + ROW.replace("\n", ",1\n"),
    "a cell too many": HEAD + ROW.replace("\n", ",1\n"),
    "a cell too few": HEAD + "a,mine,224,imagenet-1k,80.1\n",
    "a row twice": HEAD + ROW + ROW,
    "fractions called top1": HEAD + ROW.replace("80.1", "0.801"),
    "percent called accuracy": (HEAD + ROW).replace("top1", "accuracy"),
    "a quote that never ends": HEAD + 'a,"' + ROW * 10,
    "a field of 200,000 characters": HEAD + ROW + "x" * 200_000 + ROW[1:].replace("80.1", "x"),
    "a head of 10,000 columns": ",".join(f"c{i}" for i in range(10_000)) + "\n1\n",
    "JSON": '{"a": 1}',
    "an HTML page": "<!DOCTYPE html>\n<html></html>\n",
    "NUL": (HEAD + ROW).replace("mine", "mi\x00ne").replace("80.1", "80\x00.1"),
    "a carriage return in a name": HEAD + '"a\rb",mine,x,imagenet-1k,80.1,4.5\n',
    "only costs of timm": COSTS,
    "only accuracies of timm": TIMM + "convnext_tiny.fb_in1k,82.1,28.6,224\n",
    "a spreadsheet": b"PK\x03\x04" + bytes(100),
}
TIMM_FILES: Mapping[str, tuple[str, str]] = {
    "no model in common": (TIMM + "x,80,5,224\n", COSTS),
    "a size that is text": (TIMM + "convnext_tiny,80,5,x\n", COSTS),
    "an accuracy of 200": (TIMM + "convnext_tiny,200,5,224\n", COSTS),
    "a size of no parameters": (TIMM + "convnext_tiny,80,0,224\n", COSTS),
    "two costs of a model": (TIMM + "convnext_tiny,80,5,224\n", COSTS + "convnext_tiny,224,9\n"),
    "a cost that is text": (TIMM + "convnext_tiny,80,5,224\n", COSTS.replace("4.47", "x")),
    "a cost that is NaN": (TIMM + "convnext_tiny,80,5,224\n", COSTS.replace("4.47", "nan")),
    "a model twice": (TIMM + "convnext_tiny,80,5,224\n" * 2, COSTS),
    "no rows": (TIMM, COSTS),
}


def cases() -> Iterator[Case]:
    """All of them."""
    for name, content in FILES.items():
        yield _case(name, {"bad.csv": link("bad.csv") if name == "a link to itself" else content})
    for column, values in CELLS.items():
        for value in values:
            shown = repr(value) if len(value) < 60 else f"{len(value):,} characters"
            yield _case(f"{column}: {shown}", {"bad.csv": _row(**{column: value})})
    for name, (results, costs) in TIMM_FILES.items():
        yield _case(f"timm's: {name}", {"bad.csv": results, "costs.csv": costs})


def _case(name: str, files: Mapping[str, str | bytes | Make]) -> Case:
    argv = ("--published", "--family", "mine", "--results", *files)
    return Case("analysis.compare", "tables", "--results", name, argv, files)
