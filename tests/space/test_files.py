"""Files within limits, written whole or not at all."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from space.errors import InputError, quoted
from space.files import (
    TEMPORARY,
    csv_cell,
    csv_of,
    folders,
    locked,
    make_folder,
    replacing,
    sweep,
    write_text,
)
from space.reading import parse_json, parse_yaml, read_text

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:1:3:1", "1:1:3:1"),  # 219781 by YAML 1.1
        ("12:30:45", "12:30:45"),
        ("1e-6", 1e-6),
        ("2001-99-99", "2001-99-99"),
        ("2001-01-01", "2001-01-01"),
        ("no", "no"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("010", 10),
        ("0o10", 8),
        ("0x10", 16),
        (".5", 0.5),
        ("-.INF", float("-inf")),
        ("~", None),
        ("True", True),
        ("=", "="),
    ],
)
def test_yaml_is_read_by_its_version_1_2(text, value):
    assert parse_yaml(f"key: {text}", "here") == {"key": value}


def test_merges_are_read():
    assert parse_yaml("x: &b {a: 1}\ny: {<<: *b, c: 2}", "here") == {"x": {"a": 1}, "y": {"a": 1, "c": 2}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 200,000 values"),
        ("&a [*a]", "an alias stands inside of what it names"),
        ("[" * 5000, "nested more than 64 deep"),
        ("{a: " * 5000, "nested more than 64 deep"),
        ("9" * 5000, "a number of more than 40 digits"),
        ("a: 1\nb: 2\na: 3", "the key 'a' stands twice"),
        ("? [1]\n: 2", "[1] cannot be a key"),
        ("!!python/object:os.system x", "could not determine a constructor"),
        ("!!timestamp 2001-99-99", "could not determine a constructor"),
        ("!!int yes", "invalid literal"),
        ("!!bool maybe", "'maybe'"),
        ("a: \x00", "unacceptable character"),
        ("a: [1", "expected ',' or ']'"),
    ],
)
def test_hostile_yaml_is_one_line_at_once(text, said):
    began = time.process_time()
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "here")
    assert str(caught.value).startswith("here: not YAML: ") and said in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1300
    assert time.process_time() - began < 5


def test_many_keys_take_linear_time():
    began = time.process_time()
    assert len(parse_yaml("\n".join(f"k{i}: {i}" for i in range(20_000)), "here")) == 20_000
    assert time.process_time() - began < 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested more than 64 deep"),
        ("[" * 70 + "]" * 70, "nested more than 64 deep"),
        ('{"a": ' + "9" * 5000 + "}", "a number of more than 40 digits"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
    ],
)
def test_hostile_json_is_one_line(text, said):
    with pytest.raises(InputError, match=r"^here: not JSON: ") as caught:
        parse_json(text, "here")
    assert said in str(caught.value)


# PyYAML writes some text without quotes that YAML 1.2 takes for numbers, as 0E0
TEXT = st.text().filter(lambda text: not re.fullmatch(r"[-+]?[\d.]+[eE][-+]?\d+|0o[0-7]+", text))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_pyyaml_writes_is_read_back(values):
    assert parse_yaml(yaml.safe_dump(values), "here") == values


@given(st.text(max_size=300))
def test_any_text_is_a_value_or_one_line(text):
    for parse in (parse_yaml, parse_json):
        try:
            parse(text, "here")
        except InputError as error:
            assert str(error).isprintable()


@given(VALUES)
def test_a_quoted_value_is_short(value):
    assert len(quoted(value)) <= 80
    assert str(InputError(f"x: {quoted(value)}: wrong")).endswith(": wrong")


def test_huge_values_are_quoted_short():
    for value in (["x"] * 10**6, "x" * 10**6, 10**5000, {i: i for i in range(10**5)}):
        assert len(quoted(value)) <= 80


def test_a_line_keeps_its_ends_and_can_be_printed():
    line = str(InputError("band: " + "[0, " * 10_000 + ": must\nbe \x1b[31m0.95:1 \udcff"))
    assert line.startswith("band: [0, ") and line.endswith(r": must be \x1b[31m0.95:1 \udcff")
    assert len(line) <= 1200 and line.isprintable()


def test_reading_ends(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe with nothing in it"):
        read_text(tmp_path / "pipe", "here")  # nobody writes to it
    with pytest.raises(InputError, match="here: is larger than 64 MiB"):
        read_text(Path("/dev/zero"), "here")
    for path, said in (
        (tmp_path, "Is a directory"),
        (tmp_path / "no", "No such file"),
        (tmp_path / ("n" * 300), "File name too long"),
        (Path("a\0b"), "embedded null"),
    ):
        with pytest.raises(InputError, match=f"here: cannot be read .*{said}"):
            read_text(path, "here")
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbftext")
    assert read_text(tmp_path / "marked", "here") == "text"
    (tmp_path / "latin").write_bytes(b"\xe4")
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        read_text(tmp_path / "latin", "here")


def test_a_pipe_with_a_writer_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = subprocess.Popen(["sh", "-c", f"sleep 0.2 > {tmp_path / 'pipe'} & exec 3>{tmp_path / 'pipe'};"
                               "sleep 0.5; echo late >&3"])  # fmt: skip
    time.sleep(0.3)
    with (tmp_path / "pipe").open("rb", buffering=0):  # the writer's open waits for a reader
        time.sleep(0.1)
        assert read_text(tmp_path / "pipe", "here") == "late\n"
    writer.wait()


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(TEMPORARY)]


def test_what_a_dead_writer_left_is_swept_and_a_living_ones_is_not(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from space.files import replacing\n"
        "with replacing(Path('page.html')) as file:\n"
        "    file.write(b'half'); file.flush()\n"
        "    print('there', flush=True); sys.stdin.read()\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert writer.stdout.readline() == b"there\n"
    sweep(tmp_path)
    assert len(leftovers(tmp_path)) == 1  # it lives
    writer.kill()
    writer.wait()
    write_text(tmp_path / "other", "")
    assert len(leftovers(tmp_path)) == 1  # another file's
    write_text(tmp_path / "page.html", "whole")
    assert not leftovers(tmp_path)
    assert (tmp_path / "page.html").read_text() == "whole"


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = write_text(tmp_path / "page", "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"new")
        1 / 0  # noqa: B018
    assert path.read_text() == "old" and not leftovers(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "no" / "page", "")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / ("n" * 300), "")
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_can_be_written(tmp_path):
    assert write_text(tmp_path / ("ü" * 127), "x").read_text() == "x"


def test_a_file_has_the_rights_that_any_new_file_has(tmp_path):
    (tmp_path / "plain").write_text("")
    assert write_text(tmp_path / "ours", "").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_lock_is_one_process_s(tmp_path):
    lock = locked(tmp_path / "new" / ".lock", "somebody has it")
    with pytest.raises(InputError, match=r"^somebody has it$"):
        locked(tmp_path / "new" / ".lock", "somebody has it")
    lock.close()
    locked(tmp_path / "new" / ".lock", "somebody has it").close()


def test_a_lock_is_never_taken_of_a_file_that_nobody_finds(tmp_path, monkeypatch):
    import fcntl

    def removed_meanwhile(file, how, flock=fcntl.flock):
        if not taken:
            (tmp_path / ".lock").unlink()  # its holder gave it up between opening and locking
        taken.append(how)
        flock(file, how)

    taken: list[int] = []
    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    lock = locked(tmp_path / ".lock", "")
    assert len(taken) == 2 and os.path.samestat(os.fstat(lock.fileno()), (tmp_path / ".lock").stat())
    lock.close()


def test_without_posix_locks_the_systems_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("space.files.fcntl", None)
    write_text(tmp_path / "page", "x")  # writing needs none
    with pytest.raises(InputError, match="Linux and macOS"):
        locked(tmp_path / ".lock", "")


def test_a_folder_is_made_with_all_above_it_or_with_none(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()  # again
    for name in ("n" * 300, "nul\0"):
        with pytest.raises((OSError, ValueError)):
            make_folder(tmp_path / "new" / "below" / name)
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "file/below", "dangling/below"):
        with pytest.raises(NotADirectoryError):
            make_folder(tmp_path / name)
    with pytest.raises(InputError), folders(tmp_path / "new"):
        write_text(tmp_path / "new" / ("n" * 300), "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "dangling", "file"]


def test_no_name_is_a_formula_to_a_spreadsheet():
    for name in ("=1+1", "@SUM(1)", "\t=1", "+HYPERLINK(1)", "-2+3+cmd|' /C calc'!A0"):
        assert csv_of(["name"], [{"name": name}]) == csv_of(["name"], [{"name": f"'{name}"}])
    for plain in ("a=b", "-0.5", "+2.1 (90% +1.0 to +3.1)", "-", "", -0.5, None):
        assert csv_cell(plain) == plain


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done, sync, rename = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("synced"), sync(handle)))
    monkeypatch.setattr(Path, "replace", lambda *names: (done.append("renamed"), rename(*names)))
    assert write_text(tmp_path / "study.json", "{}").read_text() == "{}"
    assert done == ["synced", "renamed"]
