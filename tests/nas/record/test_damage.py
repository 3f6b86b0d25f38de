"""What can happen to a study's files, for real: at most one clear line, and nothing is lost or mixed."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from analysis import dashboard
from nas import export, search
from nas.record.damage import DamagedError, check_numbers
from nas.record.record import Record
from nas.record.sqlite import SqliteStorage
from space.errors import InputError
from space.files import TEMPORARY
from tests.nas.data.test_data import cut, flip_a_byte

ROOT = Path(__file__).parents[3]
SIMULATED = ["--proxy", "simulated:interacting", "--sampler", "random"]
SEARCH = ["--space", "micro", "--budget", "20M..40M", "--objective", "best", *SIMULATED]
PAGE = 4096


def results(folder):
    """What a study holds, without what depends on the clock."""
    record = Record.read(str(folder))
    trials = record.trials()
    record.close()
    return [(t.number, t.fingerprint, t.seed, t.state, t.accuracy, t.fidelity) for t in trials]


def started(*line):
    """A process that finds this package."""
    return subprocess.Popen(
        [str(word) for word in line],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def driver(*flags, before=""):
    """A search in a process of its own, after the Python lines `before`."""
    code = f"import sys\n{before}\nfrom nas import search\nsys.exit(search.main(sys.argv[1:]))"
    return started(sys.executable, "-c", code, *flags)


def ended(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A study of four trials, and one of eight that nothing happened to."""
    folder = tmp_path_factory.mktemp("studies")
    for name, trials in (("four", "4"), ("eight", "8")):
        assert search.main([*SEARCH, "--study", str(folder / name), "--trials", trials]) == 0
    return folder


@pytest.fixture
def one(studies, workplace):
    """A copy of the study of four, `./one`."""
    shutil.copytree(studies / "four", workplace / "one")
    return workplace / "one"


@pytest.fixture
def go_on(capsys):
    """Resumes `./one` to eight trials; returns exit code, output, errors."""

    def resume(*flags):
        code = search.main(["--study", "./one", "--resume", "--trials", "8", *flags])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return resume


def refused(code, out, err, *words):
    assert code == 2 and out == "" and err.count("\n") == 1 and "Traceback" not in err, (code, out, err)
    assert all(word in err for word in words), err


# rows that are missing or changed

RESULT = "update trial_user_attributes set value_json = {} where trial_id = 2 and key = 'result'"
STOPPING = "insert into study_user_attributes (study_id, key, value_json) values (1, 'stopping', {})"
SETTINGS = "update study_user_attributes set value_json = {} where key = 'settings'"
NETWORK = "update trial_user_attributes set value_json = {} where trial_id = 2 and key = 'network'"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (RESULT.format("substr(value_json, 1, 40)"), "Unterminated string"),
        (RESULT.format("json_remove(value_json, '$.curve')"), "trained for 9 epochs and its curve has 0"),
        (RESULT.format("json_set(value_json, '$.curve[3]', 7)"), "trial 1 has a curve without accuracies"),
        (RESULT.format("json_set(value_json, '$.accuracy', 0.99)"), "trial 1 has two accuracies"),
        (NETWORK.format("'5'"), "trial 1: network or result is no mapping"),
        (NETWORK.format("json_remove(value_json, '$.seed')"), "trial 1 has no seed"),
        (NETWORK.format("json_set(value_json, '$.macs', '30M')"), "trial 1: macs is no whole number"),
        (NETWORK.format("replace(value_json, '\"stages\"', '\"stagez\"')"), "trial 1: architecture: stagez"),
        ("delete from trial_user_attributes where trial_id = 2 and key = 'network'", "trial 1 has no"),
        ("delete from trial_user_attributes where trial_id = 2 and key = 'result'", "trained for 0 epochs"),
        ("delete from trial_values where trial_id = 2", "trial 1 is complete without an accuracy"),
        ("update trials set state = 'FAIL' where trial_id = 2", "trial 1 failed without a reason"),
        ("update trials set state = 'FINE' where trial_id = 2", "'FINE' is not among"),
        ("update trials set state = 'PRUNED' where trial_id = 2", "trial 1 is PRUNED, as none"),
        ("update trials set state = 'WAITING' where trial_id = 2", "trial 1 is WAITING, as none"),
        ("update trials set number = 2 where trial_id = 2", "trial 2 is there twice"),
        ("update trial_values set value = 5 where trial_id = 2", "trial 1 is complete without an accuracy"),
        (RESULT.format("replace(value_json, '\"val_accuracy\": ', '\"val_accuracy\": 1')"), "without accur"),
        (RESULT.format("json_set(value_json, '$.target', 3)"), "trained for 9 epochs, and to be for 3"),
        (RESULT.format("json_set(value_json, '$.target', 90)"), "for 90 epochs, and the proxy has 9"),
        (RESULT.format("json_set(value_json, '$.full_fidelity', json('false'))"), "complete after 9 of 9"),
        (RESULT.format("json_set(value_json, '$.train_seconds', 'long')"), "train_seconds is no number"),
        (NETWORK.format("json_set(value_json, '$.macs', 5)"), "trial 1: macs is 5, and its architecture's"),
        (NETWORK.format("json_set(value_json, '$.params', 5)"), "trial 1: params is 5, and its arch"),
        (NETWORK.format("json_set(value_json, '$.activations', 5)"), "trial 1: activations is 5, and"),
        (NETWORK.format("json_set(value_json, '$.fingerprint', 'f')"), "fingerprint is not its architecture"),
        (NETWORK.format("json_set(value_json, '$.budget', '9G')"), "trial 1 has the budget '9G', which is"),
        (NETWORK.format("json_set(value_json, '$.role', 'winner')"), "role 'winner' is none of reference"),
        (NETWORK.format("json_set(value_json, '$.role', 'confirmation')"), "role confirmation and is of"),
        (NETWORK.format("json_set(value_json, '$.of', 0)"), "the role candidate and is of 0"),
        (NETWORK.format("json_set(value_json, '$.seed', json('true'))"), "trial 1: seed is True, no whole"),
        (NETWORK.format("json_set(value_json, '$.memo', 7)"), "trial 1: memo is no mapping"),
        (NETWORK.format("json_set(value_json, '$.memo', json('{\"slow\": [[99]]}'))"), "memo of slow"),
        ("update trial_params set param_value = 1 - param_value where trial_id = 2 and param_name = 'norm'",
         "trial 1 has the parameters of another network"),
        ("delete from version_info", "version_info is empty"),
        ("delete from alembic_version", "alembic_version is empty"),
        ("delete from trials where trial_id = 2", "trial 1 is missing"),
        ("delete from study_user_attributes where key = 'asked'", "the study has no asked"),
        (SETTINGS.format("'7'"), "the study: settings is no mapping"),
        (SETTINGS.format("json_remove(value_json, '$.proxy')"), "the study has no setting 'proxy'"),
        (SETTINGS.format("json_set(value_json, '$.proxy.epochs', 'many')"), "proxy: epochs is no whole"),
        (SETTINGS.format("json_set(value_json, '$.budget.metric', 'euros')"), "budget is of 'euros'"),
        (SETTINGS.format("json_set(value_json, '$.budget.high', 21000000)"), "outside of its budget"),
        (STOPPING.format("'[]'"), "the study: stopping is no mapping"),
        (STOPPING.format("'{\"40M\": 5}'"), "the study's stopping: '40M' is no mapping"),
        (STOPPING.format("'{\"40M\": {\"since\": 7}}'"), "stopping of '40M' has no trainings"),
    ],
)  # fmt: skip
def test_a_damaged_row_is_said_and_nothing_is_changed(one, go_on, capsys, statement, words):
    with contextlib.closing(sqlite3.connect(one / "study.db")) as database, database:
        assert database.execute(statement).rowcount == 1
    before = (one / "study.db").read_bytes()
    refused(*go_on(), "study one: study.db is damaged (", words)
    for command in (dashboard, export):
        assert command.main(["./one"]) == 2
        assert "study.db is damaged (" in capsys.readouterr().err
    assert (one / "study.db").read_bytes() == before


def test_trials_are_numbered_without_a_gap():
    check_numbers([])
    check_numbers([2, 0, 1])
    for numbers, words in (
        ([0, 2], "trial 1 is missing"),
        ([1], "0 is missing"),
        ([0, 1, 1], "1 is there twice"),
    ):
        with pytest.raises(DamagedError, match=words):
            check_numbers(numbers)


def test_a_later_format_is_neither_read_nor_resumed(one, go_on):
    with contextlib.closing(sqlite3.connect(one / "study.db")) as database, database:
        database.execute("update study_user_attributes set value_json = '4' where key = 'format'")
    before = (one / "study.db").read_bytes()
    refused(*go_on(), "study.db is of a later version of this program (format 4; this version reads 1 to 3)")
    assert (one / "study.db").read_bytes() == before


def test_a_study_of_the_first_format_is_read_but_not_gone_on_with(workplace, go_on, capsys):
    shutil.copytree(ROOT / "studies/default_tpe", workplace / "one")
    before = (workplace / "one/study.db").read_bytes()
    assert len(results("./one")) == 10
    # its own proxy's data set takes a while
    refused(*go_on(*SIMULATED), "earlier version (format 1)", "start another with --study NAME")
    assert export.main(["./one", "--out", "there"]) == 0 and dashboard.main(["./one", "--out", "r.html"]) == 0
    assert (workplace / "one/study.db").read_bytes() == before
    capsys.readouterr()


# pages that are missing or overwritten


@pytest.mark.parametrize("keep", [0.5, 0.02, 1 - 1e-5])
def test_a_database_that_was_cut_short(one, go_on, keep):
    path = one / "study.db"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    refused(*go_on(), "study.db is damaged (")
    assert path.stat().st_size == int(len(content) * keep)


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), seed=st.none() | st.integers(0, 9))
def test_an_overwritten_page_is_never_taken_for_a_result(studies, tmp_path_factory, place, seed):
    expected = results(studies / "four")
    folder = tmp_path_factory.mktemp("page")
    content = bytearray((studies / "four/study.db").read_bytes())
    page = int(place * len(content) / PAGE) * PAGE
    filler = bytes(PAGE) if seed is None else np.random.default_rng(seed).bytes(PAGE)
    content[page : page + PAGE] = filler
    (folder / "study.db").write_bytes(content)
    with pytest.raises(
        InputError, match=r"study\.db (is damaged|is not an SQLite database|is not a study|holds no study)"
    ):
        assert results(folder) == expected


# killed while it writes

SPILL = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("pragma cache_size = 5")
database.execute("update trial_user_attributes set value_json = '{}'")
database.execute("delete from trial_values")
for i in range(300):
    database.execute("insert into studies (study_name) values (?)", (f"{i}" * 200,))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_transaction_that_a_kill_cut_off_is_rolled_back(one, studies, go_on):
    expected, before = results(one), (one / "study.db").read_bytes()
    killed = subprocess.run([sys.executable, "-c", SPILL, one / "study.db"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (one / "study.db-journal").stat().st_size > 0
    assert (one / "study.db").read_bytes()[: len(before)] != before  # half of it has reached the file
    assert results(one) == expected
    code, _, err = go_on()
    assert code == 0, err
    assert results(one) == results(studies / "eight")


KILLED = """
import os, pathlib, signal
def die(): os.kill(os.getpid(), signal.SIGKILL)
when, rename = "{when}", pathlib.Path.replace
def replace(self, target):
    if self.name != ".study.db.part":
        return rename(self, target)
    if when == "after":
        rename(self, target)
    die()
pathlib.Path.replace = replace
if when == "within":
    import nas.record.database
    class Name(str):
        pass
    nas.record.database.LAST = Name("settings")
    Name.__eq__, Name.__hash__ = (lambda self, other: die() if other == "versions" else False), str.__hash__
"""


@pytest.mark.parametrize("when", ["within", "before", "after"])
def test_killed_while_the_study_was_made(workplace, studies, capsys, when):
    flags = [*SEARCH, "--study", "./one", "--trials", "4"]
    code, _, _ = ended(driver(*flags, before=KILLED.format(when=when)))
    assert code == -signal.SIGKILL
    assert (workplace / "one/study.db").exists() == (when == "after")
    assert (workplace / "one/.study.db.part").exists() == (when != "after")
    if when == "after":  # it is whole
        assert search.main(flags) == 2
        assert "exists; --resume continues it" in capsys.readouterr().err
        flags.append("--resume")
    else:  # there is nothing yet
        assert search.main([*flags, "--resume"]) == 2
    assert search.main(flags) == 0
    assert results("./one") == results(studies / "four")
    assert not list((workplace / "one").glob(".study.db.part*"))


def test_what_killed_drivers_left_is_removed(one, go_on):
    names = (".summary.json.1", ".study.json.1", "checkpoints/.trial-3.ckpt.1")
    left = [one / f"{name}{TEMPORARY}" for name in names]
    left += [one / ".study.db.part", one / ".study.db.part-journal"]
    for path in left:
        path.write_text("half a file")
    kept = one / "checkpoints/notes.txt"
    kept.write_text("not ours")
    assert go_on()[0] == 0
    assert not any(path.exists() for path in left) and kept.exists()


# several drivers


def test_two_drivers_at_the_same_moment(workplace, studies):
    flags = [*SEARCH, "--proxy", "simulated:interacting:0.05", "--study", "./one", "--trials"]
    for more in (["4"], ["8", "--resume"]):
        found = [ended(process) for process in [driver(*flags, *more) for _ in range(2)]]
        codes = sorted(code for code, _, _ in found)
        refusals = [err for code, _, err in found if code == 2]
        assert codes == [0, 2] and refusals[0].count("\n") == 1, found
        assert "another search is writing to it" in refusals[0] or "exists; --resume" in refusals[0]
    assert results("./one") == results(studies / "eight")


def test_a_study_made_meanwhile_is_not_written_over(studies, workplace, monkeypatch):
    kept = Record.read(studies / "four").settings
    taken = SqliteStorage.__init__

    def late(self, folder, *, write):  # another search comes and goes before the lock is taken
        shutil.copytree(studies / "four", folder)
        taken(self, folder, write=write)

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStorage, "__init__", late)
        with pytest.raises(InputError, match="exists; --resume continues it"):
            Record.create(workplace / "one", kept, {})
    assert results("./one") == results(studies / "four")
    Record.resume(workplace / "one", kept).close()  # and the lock was given back


# no space, no permission

LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
"""


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (50_000, "study one: cannot be written (disk I/O error)"),  # the first tables
        (140_000, "study one: cannot be written (disk I/O error)"),  # a trial
        (1_000_000, "one/report.html: cannot be written (File too large)"),
    ],
)
def test_no_more_can_be_written(workplace, studies, capsys, size, words):
    flags = [*SEARCH, "--study", "./one", "--trials", "8"]
    code, _, err = ended(driver(*flags, before=LIMIT.format(size=size)))
    assert code == 2 and words in err and err.count("\n") == 1, err
    assert not list((workplace / "one").glob(".study.db.part*"))
    if size > 100_000:
        kept, expected = results("./one"), results(studies / "eight")
        finished = [r for r in kept if r[3] == "complete"]
        assert finished and finished == expected[: len(finished)]
        flags.append("--resume")
    assert search.main(flags) == 0
    assert results("./one") == results(studies / "eight")
    capsys.readouterr()


def namespace():
    """A command's prefix with which it may mount; None where the system does not let us."""
    wrap = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    mount = [*wrap, "mount", "-t", "tmpfs", "none", "/mnt"]
    with contextlib.suppress(OSError):
        if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
            return wrap
    return None


MOUNTS = pytest.mark.skipif(namespace() is None, reason="mounting is not allowed here")
FULL = """
mkdir disk && mount -t tmpfs -o size=165k none disk || exit 99
"$@" --study disk/one; echo $?
mount -o remount,size=90m none disk
"$@" --study disk/one --resume >/dev/null; echo $?
cp -r disk/one kept
"""


@MOUNTS
def test_a_disk_that_is_full(workplace, studies):
    command = [sys.executable, "-m", "nas.search", *SEARCH, "--trials", "8"]
    code, out, err = ended(started(*namespace(), "sh", "-c", FULL, "sh", *command))
    assert code == 0, err
    assert err in (
        "nas.search: study disk/one: cannot be written (database or disk is full)\n",
        "nas.search: disk/one/summary.json: cannot be written (No space left on device)\n",
        "nas.search: disk/one/checkpoints/trial-0.ckpt: cannot be written (No space left on device)\n",
    )
    assert out.splitlines()[-2:] == ["2", "0"]
    assert results("./kept") == results(studies / "eight")


READ_ONLY = """
mount --bind one one && mount -o remount,ro,bind one || exit 99
exec "$@"
"""


@MOUNTS
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["nas.search", "--study", "./one", "--resume", "--trials", "8"],
         "study one: cannot be written (Read-only file system)"),
        (["nas.search", *SEARCH, "--study", "one/two"],
         "study one/two: cannot be written (Read-only file system)"),
        (["analysis.dashboard", "./one"], "one/report.html: cannot be written (Read-only file system)"),
        (["analysis.dashboard", "./one", "--out", "there.html"], None),
    ],
)  # fmt: skip
def test_a_study_that_may_only_be_read(one, workplace, command, words):
    line = [sys.executable, "-m", *command]
    code, _, err = ended(started(*namespace(), "sh", "-c", READ_ONLY, "sh", *line))
    if words is None:
        assert code == 0 and (workplace / "there.html").is_file()
    else:
        assert code == 2 and words in err and err.count("\n") == 1, err


@pytest.mark.parametrize(
    ("name", "folder"), [("summary.json", True), ("report.html", True), ("checkpoints", False)]
)
def test_something_else_in_a_files_place(one, studies, go_on, name, folder):
    path = one / name
    path.unlink() if path.is_file() else shutil.rmtree(path)
    path.mkdir() if folder else path.write_text("")
    before = results(one)
    code, _, err = go_on()
    assert code == 2 and "one" in err and "cannot be written (" in err and err.count("\n") == 1, err
    assert results(one)[: len(before)] == before
    path.rmdir() if folder else path.unlink()
    assert go_on()[0] == 0
    assert results(one) == results(studies / "eight")


# data


def of_another_version(path):
    path.write_bytes(path.read_bytes().replace(b'"version": 1', b'"version": 0'))


def test_a_damaged_data_cache_is_built_again_and_changes_no_result(run, workplace, caplog):
    run("--trials", 4, "--study", "whole")
    run("--trials", 1, "--study", "parts")
    for trials, damage in enumerate((cut, flip_a_byte, of_another_version), 2):
        (path,) = (workplace / "cache/convnext-nas").glob("digits-*.bin")
        damage(path)
        caplog.clear()
        code, _, err = run("--trials", trials, "--study", "parts", "--resume")
        assert code == 0, err
        assert f"{path.name}" in caplog.text and caplog.text.count("building it again") == 1
    assert results("parts") == results("whole")


def test_a_data_set_that_changed_is_refused(run, workplace):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in ("a", "b"):
            folder = workplace / "images" / split / label
            folder.mkdir(parents=True)
            for i in range(32):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{i}.png")
    tiny = workplace / "tiny.yaml"
    tiny.write_text(tiny.read_text().replace("train_size: 96", "train_size: 64"))
    flags = ["--data", "imagefolder:images", "--study", "one"]
    code, _, err = run("--trials", 1, *flags)
    assert code == 0, err
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(workplace / "images/train/a/0.png")
    refused(*run("--trials", 2, "--resume", *flags), "study runs/one: was started with", "data.fingerprint")


# memory

SPACE = """\
name: wide
base: {stages: [{depth: 1, width: 8}, {depth: 1, width: 16}]}
axes:
  width: {choices: [[8, 16], [8, 24], [8, 32], [1024, 2048]]}
"""


def test_a_training_without_memory_is_a_failed_trial_and_the_search_goes_on(run, workplace):
    (workplace / "wide.yaml").write_text(SPACE)
    limited = """
import resource, nas.run
train = nas.run.train
def with_little(*arguments):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20, resource.RLIM_INFINITY))
    return train(*arguments)
nas.run.train = with_little
"""
    code, _, err = ended(driver(
        "--space", "wide.yaml", "--budget", "0.1M..100G", "--objective", "best", "--proxy", "tiny.yaml",
        "--no-reference", "--trials", 4, "--study", "./one", "--device", "cpu", before=limited,
    ))  # fmt: skip
    assert code == 0, err
    record = Record.read("./one")
    trials = record.trials()
    assert sorted(t.state for t in trials) == ["complete"] * 3 + ["failed"]
    (failed,) = (t for t in trials if t.state == "failed")
    assert failed.params > 5e6 and failed.reason.startswith("out of memory: ")
    assert failed.number < 3  # others came after it
