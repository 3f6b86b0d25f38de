"""CSV files of results, of one's own and timm's."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Mapping, Sequence

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


READERS: Mapping[str, Sequence[str]] = {
    "analysis.compare": ("--published", "--family", "mine"),
    "analysis.dashboard": ("--out", "x.html"),
    "analysis.scale": ("--to", "15G"),
}
TRAINED = {"table": "bad.csv", "axes": {"depth": "depth", "layer": {"column": "code", "characters": True}},
           "costs": {"macs": "macs"}, "accuracies": "acc"}  # fmt: skip
CODES = "depth,code,macs,acc\n1,ab,99,0.5\n2,ab,100,0.6\n"
CURVES = {"depth": 1, "code": "ab", "macs": 99}
OF_NETWORKS: Mapping[str, str | bytes | Make] = {
    **NO_TEXT_FILES,
    "empty": "",
    "a head alone": "depth,code,macs,acc\n",
    "a column twice": CODES.replace("acc", "macs"),
    "semicolons": CODES.replace(",", ";"),
    "a cell too many": CODES + "3,ab,98,0.4,1\n",
    "a quote that never ends": CODES + '"3,ab',
    "a network twice": CODES + "1,ab,99,0.5\n",
    "a code of another length": CODES + "3,abb,98,0.4\n",
    "an axis of 2,000 characters": CODES.replace("ab", "a" * 2000),
    **{
        f"macs: {cell}": CODES.replace("99", cell) for cell in ("", "x", "0", "-99", "nan", "9" * 30, "1e400")
    },
    **{
        f"acc: {cell}": CODES.replace("0.5", cell)
        for cell in ("x", "50", "-0.5", "nan", "inf", '"0,5"', "True")
    },
}
"""Of `--proxy table:FILE`."""
OF_CURVES: Mapping[str, object] = {
    "a text": "x",
    "a row that is text": ["x"],
    "a mapping": {"a": CURVES},
    "nested deep": [CURVES | {"acc": [[[0.5]]]}],
    "an accuracy that is a mapping": [CURVES | {"acc": {}}],
    "no accuracy": [CURVES | {"acc": []}, CURVES | {"acc": None}],
    "a choice that is a mapping": [CURVES | {"depth": {}, "acc": 0.5}],
    "a row without a column": [CURVES],
    "NaN and infinity": [CURVES | {"macs": float("inf"), "acc": float("nan")}],
    "networks apart by 1 of 1e35": [CURVES | {"depth": 10**35 + i, "acc": 0.5} for i in range(2)],
}
PACKED: Mapping[str, bytes] = {
    "not packed": CODES.encode(),
    "cut off": lzma.compress(CODES.encode())[:60],
    "unpacks to 400 MB": lzma.compress(bytes(400 << 20)),
}


def cases() -> Iterator[Case]:
    """All of them."""
    for name, content in FILES.items():
        files = {"bad.csv": link("bad.csv") if name == "a link to itself" else content}
        for command, argv in READERS.items():
            yield Case(command, "tables", "--results", name, (*argv, "--results", "bad.csv"), files)
    for name, content in OF_NETWORKS.items():
        yield _searched(name, "bad.csv", link("bad.csv") if name == "a link to itself" else content)
    for name, rows in OF_CURVES.items():
        yield _searched(f"JSON: {name}", "bad.json", json.dumps(rows))
    for name, packed in PACKED.items():
        yield _searched(f"xz: {name}", "bad.csv.xz", packed)
    for column, values in CELLS.items():
        for value in values:
            shown = repr(value) if len(value) < 60 else f"{len(value):,} characters"
            yield _case(f"{column}: {shown}", {"bad.csv": _row(**{column: value})})
    for name, (results, costs) in TIMM_FILES.items():
        yield _case(f"timm's: {name}", {"bad.csv": results, "costs.csv": costs})


def _searched(name: str, file: str, content: str | bytes | Make) -> Case:
    argv = ("--budget", "50..200", "--trials", "2", "--proxy", "table:t.yaml")
    files = {"t.yaml": json.dumps(TRAINED | {"table": file}), file: content}
    return Case("nas.search", "tables", "--proxy", name, argv, files)


def _case(name: str, files: Mapping[str, str | bytes | Make]) -> Case:
    argv = ("--published", "--family", "mine", "--results", *files)
    return Case("analysis.compare", "tables", "--results", name, argv, files)
