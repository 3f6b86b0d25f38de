"""Study folders: databases cut, garbled, of others, of other versions, changed by hand; odd study.json."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bad_input.case import Case, Make
from tests.bad_input.cases.flags import MEASURE, SEARCH
from tests.bad_input.stock import MEASURED, SEARCHES
from tests.bad_input.wrong import (
    DIGITS,
    ESCAPE,
    LONG,
    copy,
    cut,
    fifo,
    folder,
    garbled,
    link,
    sparse,
    stocked,
)

READERS: Mapping[str, tuple[str, Sequence[str]]] = {
    "analysis.dashboard": ("small", ("bad", "--out", "page.html")),
    "analysis.compare": ("small", ("bad",)),
    "analysis.scale": ("sweep", ("bad", "--to", "48M")),
    "analysis.importance": ("small", ("bad",)),
    "analysis.proxies": ("small", ("bad",)),
    "analysis.agreement": ("small", ("bad", "bad")),
    "nas.export": ("small", ("bad", "--to", "native")),
    "nas.search": ("small", (*SEARCHES["small"], "--study", "bad", "--resume")),
    "nas.measure": ("measured", (*MEASURED, "--study", "bad", "--resume")),
}
"""Command -> the study that is right for it, and a command line that reads the study `bad`."""


def _sql(*statements: str) -> Make:
    """A database of its own."""

    def make(path: Path, _: Path) -> None:
        with sqlite3.connect(path) as database:
            for statement in statements:
                database.execute(statement)
        database.close()

    return make


OTHER: Mapping[str, bytes | Make] = {
    "empty": b"",
    "a text": b"no database\n",
    "a folder": folder,
    "a pipe": fifo,
    "a link to nothing": link("nowhere"),
    "a link to itself": link("study.db"),
    "a link to /dev/zero": link("/dev/zero"),
    "a sparse file of 3 GB": sparse(3 << 30),
    "the head of a database alone": b"SQLite format 3\0" + bytes(84),
    "another program's database": _sql("create table places (url text)", "insert into places values ('x')"),
    "a database without tables": _sql("create table x (a)", "drop table x"),
    "Optuna's tables by name only": _sql(
        "create table studies (a)", "create table trials (a)", "create table trial_user_attributes (a)"
    ),
}


def _spoilt(study: str) -> Mapping[str, Make]:
    database = f"{study}/study.db"
    return {
        "cut in the middle": cut(database, 0.5),
        "its first page alone": cut(database, 0.01),
        "its head garbled": garbled(database, 0.0),
        "garbled in the middle": garbled(database, 0.5, 3 << 12),
        "garbled all over": garbled(database, 0.02, 1 << 22),
    }


EDITS: Mapping[str, Sequence[str]] = {
    "no study in it": ("delete from studies",),
    "no attributes": ("delete from study_user_attributes",),
    "no format": ("delete from study_user_attributes where key = 'format'",),
    "a newer format": ("update study_user_attributes set value_json = '99' where key = 'format'",),
    "a format that is text": ("update study_user_attributes set value_json = '\"x\"' where key = 'format'",),
    "settings that are no JSON": (
        "update study_user_attributes set value_json = '{' where key = 'settings'",
    ),
    "settings that are a list": (
        "update study_user_attributes set value_json = '[]' where key = 'settings'",
    ),
    "no settings": ("delete from study_user_attributes where key = 'settings'",),
    "asked is a text": ("update study_user_attributes set value_json = '\"x\"' where key = 'asked'",),
    "a row of trials gone": ("delete from trials where number = 3",),
    "an attribute of a trial gone": (
        "delete from trial_user_attributes where key = 'network' and trial_id = 2",
    ),
    "a result that is a list": (
        "update trial_user_attributes set value_json = '[]' where key = 'result' and trial_id = 2",
    ),
    "a network that is no JSON": (
        "update trial_user_attributes set value_json = 'x' where key = 'network' and trial_id = 2",
    ),
    "no table of trials": ("drop table trials",),
    "no table of values": ("drop table trial_values",),
    "no table of versions": ("drop table version_info",),
    "no version": ("delete from version_info",),
    "an accuracy that is text": ("update trial_values set value = 'x' where trial_id = 2",),
    "a state that there is not": ("update trials set state = 'NOPE' where trial_id = 2",),
    "a trial of 5 MACs": (
        "update trial_user_attributes set value_json = json_set(value_json, '$.macs', 5) "
        "where key = 'network' and trial_id = 2",
    ),
    "a network of no stages": (
        "update trial_user_attributes "
        "set value_json = json_set(value_json, '$.architecture', json('{\"stages\": []}')) "
        "where key = 'network' and trial_id = 2",
    ),
    "a fingerprint of another network": (
        "update trial_user_attributes set value_json = json_set(value_json, '$.fingerprint', 'x') "
        "where key = 'network' and trial_id = 2",
    ),
    "a curve that is text": (
        "update trial_user_attributes set value_json = json_set(value_json, '$.curve', 'x') "
        "where key = 'result' and trial_id = 2",
    ),
}

URL = {"study": "bad"}
JSONS: Mapping[str, str | bytes | Make] = {
    "empty": "",
    "no JSON": "{",
    "a list": "[]",
    "a text": '"x"',
    "no keys": "{}",
    "no storage": json.dumps(URL),
    "no study": '{"storage": "postgresql://u@h/d"}',
    "a storage that is a number": json.dumps(URL | {"storage": 5}),
    "a storage that is null": json.dumps(URL | {"storage": None}),
    "a study that is a list": '{"storage": "postgresql://u@h/d", "study": []}',
    "an SQLite file of its choice": json.dumps(URL | {"storage": "sqlite:///evil.db"}),
    "MySQL": json.dumps(URL | {"storage": "mysql://u:SECRET@h/d"}),
    "a web address": json.dumps(URL | {"storage": "http://example.invalid/x"}),
    "no URL": json.dumps(URL | {"storage": "x"}),
    "a port that is none": json.dumps(URL | {"storage": "postgresql://u:SECRET@h:notaport/d"}),
    "a server that is not there": json.dumps(URL | {"storage": "postgresql://u:SECRET@127.0.0.1:1/d"}),
    "control characters": json.dumps(URL | {"storage": f"postgresql://{ESCAPE}@127.0.0.1:1/d"}),
    "a long URL": json.dumps(URL | {"storage": f"postgresql://{LONG * 20}@127.0.0.1:1/d"}),
    "NUL": json.dumps(URL | {"storage": "postgresql://u@127.0.0.1:1/a\x00b"}),
    "a number of 5,000 digits": f'{{"storage": {DIGITS}}}',
    "deep": "[" * 50_000,
    "UTF-16": json.dumps(URL).encode("utf-16"),
    "a pipe": fifo,
    "a link to /dev/zero": link("/dev/zero"),
}

MISMATCH: Mapping[str, Sequence[str]] = {
    "--budget": ("--budget", "20M..41M"),
    "--band": ("--budget", "40M", "--band", "0.5:0.9"),
    "--space": ("--space", "roadmap"),
    "--objective": ("--objective", "front"),
    "--proxy": ("--proxy", "simulated:interacting"),
    "--seed": ("--seed", "1"),
    "--sampler": ("--sampler", "evolution"),
    "--max-params": ("--max-params", "1M"),
    "--max-activations": ("--max-activations", "1M"),
    "--max-latency": ("--max-latency", "100ms"),
}


def cases() -> Iterator[Case]:
    """All of them."""
    for command, (study, argv) in READERS.items():
        for name, content in OTHER.items():
            yield _case(command, f"study.db: {name}", argv, {"runs/bad/study.db": content})
        for name, make in _spoilt(study).items():
            yield _case(command, f"study.db: {name}", argv, {"runs/bad/study.db": make})
        for name, statements in EDITS.items():
            yield _case(command, f"study.db: {name}", argv, {"runs/bad": _edited(study, statements)})
        if command.startswith(("analysis.", "nas.export")):
            for name, text in JSONS.items():
                yield _case(command, f"study.json: {name}", argv, {"runs/bad/study.json": text})
        for name, make in (
            ("an empty folder", folder),
            ("a file", _file),
            ("a pipe", fifo),
            ("a link to itself", link("bad")),
        ):
            yield _case(command, name, argv, {"runs/bad": make})
    yield from _mismatches()
    for text in ("small:999", "small:1,1", "small:", "small:-1", "small:1,", "small:99999999999", "nope:1"):
        yield _case(
            "nas.measure", f"networks of {text}", (text, *MEASURE[1:]), {"runs/small": stocked("small")}
        )


def _mismatches() -> Iterator[Case]:
    small = {"runs/bad": stocked("small")}
    for flag, words in MISMATCH.items():
        argv = ("--study", "bad", "--resume", *words)
        yield _case("nas.search", f"resumed with another {flag}", argv, small)
    yield _case("nas.search", "exists, without --resume", (*SEARCH, "--study", "bad"), small)
    yield _case(
        "nas.search", "is a measurement", ("--study", "bad", "--resume"), {"runs/bad": stocked("measured")}
    )
    yield _case("nas.measure", "is a search", ("--study", "bad", "--resume"), small)
    measured = {"runs/bad": stocked("measured")}
    yield _case("nas.measure", "exists, without --resume", (*MEASURE, "--study", "bad"), measured)
    for words in (("convnext_small",), ("--proxy", "simulated:interacting"), ("--seed", "1")):
        yield _case(
            "nas.measure", f"resumed with {' '.join(words)}", (*words, "--study", "bad", "--resume"), measured
        )
    exported = {"runs/bad": stocked("small")}
    for name, content in (
        ("other files", {"out/x.txt": "x"}),
        ("another network", {"out": stocked("exported")}),
    ):
        argv = ("--arch", "convnext_tiny", "--to", "native", "--out", "out")
        yield Case("nas.export", "studies", "--out", f"holds {name}", argv, content)
    for name, text in {"no JSON": "{", "a list": "[]", "deep": "[" * 50_000, "a pipe": fifo}.items():
        argv = ("bad", "--to", "native", "--out", "out")
        yield Case(
            "nas.export",
            "studies",
            "--out",
            f"its architecture.json: {name}",
            argv,
            {**exported, "out/architecture.json": text},
        )
    for words in (("--trial", "99"), ("--to", "transformers", "--gpus", "7")):
        yield _case("nas.export", " ".join(words), ("bad", "--to", "native", *words), exported)


def _file(path: Path, _: Path) -> None:
    path.write_text("x")


def _edited(study: str, statements: Sequence[str]) -> Callable[[Path, Path], None]:
    def make(path: Path, stock: Path) -> None:
        copy(stock / study, path)
        database = sqlite3.connect(path / "study.db")
        with database:
            for statement in statements:
                changed = database.execute(statement).rowcount
                if changed == 0:
                    raise RuntimeError(f"{statement}: changes nothing")
        database.close()

    return make


def _case(command: str, name: str, argv: Sequence[str], files: Mapping[str, Any]) -> Case:
    return Case(
        command, "studies", "study", name, tuple(argv), files, secret="SECRET" if "MySQL" in name else ""
    )
