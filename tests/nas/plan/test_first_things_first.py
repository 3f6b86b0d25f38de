"""A mistake in a flag is found before anything that takes time: counting a band, reading a data set."""

import subprocess
import sys

import pytest

from nas import measure, search
from nas.data import dataset
from nas.plan import plan
from nas.proxy.proxy import Proxy

WRONG = {
    "--budget": ["4.5Gbananas", "0G", "1G,1Gparams", ""],
    "--band": ["1", "2:1", "a:b"],
    "--space": ["none.yaml", ""],
    "--objective": ["both"],
    "--max-params": ["1x", "4G..5G"],
    "--max-activations": ["x"],
    "--max-latency": ["5", "0ms"],
    "--proxy": ["none.yaml", "simulated:nothing"],
    "--data": ["mnist", "imagefolder:nowhere"],
    "--num-classes": ["1"],
    "--resolution": ["0"],
    "--train-size": ["0"],
    "--epochs": ["0"],
    "--batch-size": ["0"],
    "--lr": ["fast", "0"],
    "--set": ["proxy.epochs", "proxy.epoch=1", "proxy.epochs=0"],
    "--device": ["cuda:77", "toaster"],
    "--threads": ["0"],
    "--scheduler": ["median"],
    "--eta": ["1"],
    "--min-epochs": ["0", "99 --scheduler asha"],
    "--confirm": ["3", "0x2"],
    "--trials": ["0", "1 --budget 20M,40M", "2 --scheduler asha --min-epochs 1 --eta 9"],
    "--time-limit": ["soon", "0s"],
    "--sampler": ["nope"],
    "--seed": ["-1"],
    "--reference": ["vit"],
    "--engine": ["spark"],
    "--ray-address": ["here", "127.0.0.1:1 --engine ray", "nowhere --engine ray"],
    "--workers": ["0", "2"],
    "--cpus-per-trial": ["0 --engine ray", "1"],
    "--gpus-per-trial": ["1.5 --engine ray", "1"],
    "--gpu-memory": ["lots --engine ray", "40GB"],
    "--study": ["a b", ""],
    "--storage": ["mysql://here/there"],
    "--study-file": ["none.yaml"],
}  # fmt: skip
NEVER_WRONG = {"--help", "--resume", "--continue", "--no-reference"}
SEEDS = {"--seeds": ["0"]}


def flags_of(parser):
    return {option for action in parser._actions for option in action.option_strings if option[:2] == "--"}


def cases(parser, wrong):
    return [(name, value) for name in sorted(flags_of(parser) - NEVER_WRONG) for value in wrong[name]]


@pytest.fixture
def nothing_heavy(workplace, monkeypatch):
    def never(*_, **__):
        raise AssertionError("this takes time")

    monkeypatch.setattr(plan, "BandSampler", never)
    monkeypatch.setattr(Proxy, "load_data", never)
    monkeypatch.setattr(dataset, "load", never)


def refused(main, argv, capsys):
    assert main(argv) == 2, argv
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and said.out == "", said.err


@pytest.mark.usefixtures("nothing_heavy")
@pytest.mark.parametrize(("name", "value"), cases(search.parser(), WRONG))
def test_a_search_counts_and_reads_nothing_before_all_its_flags_are_right(name, value, capsys):
    first, *more = value.split(" ") if "--" in value else [value]
    given = {"--space": "micro", "--budget": "20M..40M", "--proxy": "tiny.yaml"}
    given = {flag: text for flag, text in given.items() if flag not in (name, *more)}
    argv = [word for pair in given.items() for word in pair]
    refused(search.main, [*argv, f"{name}={first}", *more], capsys)


@pytest.mark.usefixtures("nothing_heavy")
@pytest.mark.parametrize(("name", "value"), cases(measure.parser(), WRONG | SEEDS))
def test_a_measurement_reads_nothing_before_all_its_flags_are_right(name, value, capsys):
    first, *more = value.split(" ") if "--" in value else [value]
    proxy = [] if name == "--proxy" else ["--proxy", "tiny.yaml"]
    refused(measure.main, ["convnext_tiny", *proxy, f"{name}={first}", *more], capsys)


def test_a_study_started_with_another_seed_or_sampler_is_refused_at_once(workplace, monkeypatch, capsys):
    given = ["--space", "micro", "--budget", "20M..40M", "--proxy", "simulated:rugged", "--study", "s"]
    assert search.main([*given, "--trials", "2"]) == 0
    monkeypatch.setattr(plan, "BandSampler", None)
    for name, value, words in (("--seed", "1", "seed 0, not 1"), ("--sampler", "tpe", "not 'tpe'")):
        capsys.readouterr()
        assert search.main(["--study", "s", "--resume", name, value]) == 2
        assert words in capsys.readouterr().err


def test_a_flag_that_is_wrong_by_itself_waits_for_no_library():
    heavy = ("torch", "scipy", "rich", "sqlalchemy")
    code = "import sys; from nas.search import main; code = main(['--budget', '1G', '--sampler', 'nope']); "
    code += f"sys.exit(code if not {set(heavy)} & set(sys.modules) else 'heavy')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
