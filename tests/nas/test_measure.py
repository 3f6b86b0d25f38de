"""Named networks trained with several seeds; trainings are real."""

import json

import pytest

from analysis import agreement, compare
from nas import measure
from nas.plan.named import read_networks
from nas.record.record import Record
from nas.record.study import read_study
from nas.training.optimiser import parameter_groups
from space.families import named
from space.networks import build_network, cost_of, named_network, network_from

SMALL = {"family": "swin", "width": 16, "depths": [1, 1], "window": 4}
NET = {"stages": [{"depth": 1, "width": 8}, {"depth": 1, "width": 16}]}


@pytest.fixture
def run(workplace, capsys):
    """Runs a measurement in the workplace; returns exit code, output, errors."""
    for name, values in (("swin.json", SMALL), ("net.json", NET)):
        (workplace / name).write_text(
            json.dumps({"name": name.removesuffix(".json"), "architecture": values})
        )

    def run_measure(*flags):
        code = measure.main([str(flag) for flag in flags])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_measure


def trained(folder):
    return [(t.name, t.seed, t.accuracy) for t in Record.read(folder).trials()]


def test_every_network_is_trained_with_every_seed_and_more_seeds_may_follow(run):
    code, out, _ = run("swin.json", "net.json", "--proxy", "tiny.yaml", "--seeds", 2, "--seed", 5)
    assert code == 0 and "sd of seeds" in out and "python -m analysis.dashboard runs/measured" in out
    first = trained("measured")
    assert [(name, seed) for name, seed, _ in first] == [("swin", 5), ("net", 5), ("swin", 6), ("net", 6)]
    assert len({accuracy for _, _, accuracy in first}) > 1
    code, _, _ = run("--study", "measured", "--resume", "--seeds", 3)
    again = trained("measured")
    assert code == 0 and again[:4] == first and [seed for _, seed, _ in again[4:]] == [7, 7]
    swin, net = read_study("measured").networks
    assert set(swin.accuracies) == set(net.accuracies) == {5, 6, 7}
    assert (
        network_from(swin.architecture) == network_from(SMALL)
        and swin.macs == cost_of(network_from(SMALL)).macs
    )
    assert swin.fresh == swin.accuracies  # nothing was chosen by any of them


def test_one_command_starts_a_measurement_and_goes_on_with_it(run):
    command = ("net.json", "--proxy", "simulated:rugged", "--continue", "--study", "again", "--seeds")
    assert run(*command, 1)[0] == 0 and run(*command, 2)[0] == 0
    assert [seed for _, seed, _ in trained("again")] == [0, 1]
    code, _, err = run("convnext_tiny", *command[1:], 1)
    assert code == 2 and "was started with" in err
    assert run("net.json", "--proxy", "simulated:rugged", "--study", "again", "--seeds", 1)[0] == 2


def test_one_seed_gives_one_accuracy_whatever_else_is_measured(run):
    run("swin.json", "net.json", "--proxy", "tiny.yaml", "--seeds", 1, "--study", "both")
    run("net.json", "--proxy", "tiny.yaml", "--seeds", 1, "--study", "one")
    assert trained("both")[1] == trained("one")[0]


def test_the_networks_of_a_study_are_trained_longer_on_its_data_and_the_two_orders_compared(run, capsys):
    tiny = ("--proxy", "tiny.yaml", "--data", "digits", "--set", "proxy.lr=0.002")
    run("swin.json", "net.json", "resnet50", *tiny, "--seeds", 1)
    code, _, _ = run("measured", "--epochs", 3, "--seeds", 1, "--study", "longer")
    assert code == 0
    asked, proxy = Record.read("longer").asked, Record.read("longer").settings["proxy"]
    assert asked["networks"] == ["runs/measured:0,1,2"]  # more trials of it change nothing
    assert (
        asked["data"] == "digits"
        and proxy["name"] == "tiny"
        and proxy["epochs"] == 3
        and proxy["lr"] == 0.002
    )
    short, longer = read_study("measured"), read_study("longer")
    assert [t.fingerprint for t in longer.networks] == [t.fingerprint for t in short.networks]
    assert agreement.main(["measured", "longer"]) == 0 and "Kendall tau" in capsys.readouterr().out
    code, _, _ = run("measured:1", "convnext_atto", "--proxy", "simulated:rugged", "--study", "one")
    assert code == 0 and [one.name for one in read_study("one").networks] == ["net", "convnext_atto"]
    assert compare.main(["one"]) == 0 and "net less convnext_atto" in capsys.readouterr().out
    code, _, err = run("measured:7", "--study", "two")
    assert code == 2 and "measured:7: trial 7 is no network that was trained in full" in err


def test_the_roadmap_is_all_its_steps_once():
    networks = read_networks(["roadmap_t", "swin_tiny"])
    assert [r.name for r in networks] == [f"roadmap_t_{i}" for i in range(1, 17)] + ["swin_tiny"]
    assert networks[0].network == named("resnet50") and networks[15].network == named("convnext_tiny")


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ([], "which networks? Give names"),
        (["swin_tny"], "swin_tny: no Swin of this name; did you mean swin_tiny?"),
        (["convnext_tiny", "roadmap_t"], "roadmap_t: roadmap_t_16 is the same network as convnext_tiny"),
        (["resnet50", "resnet50"], "resnet50: a network called resnet50 stands twice"),
        (["nowhere.json"], "nowhere.json: cannot be read"),
        (["nowhere:3"], "nowhere: no such study"),
        (["net.json", "--seeds", 0], "--seeds: input should be greater than or equal to 1, not 0"),
        (["swin.json", "--proxy", "simulated:separable"], "swin: a Swin Transformer"),
        (["resnet50", "--workers", 2], "workers needs --engine ray"),
        (["net.json", "--study", "gone", "--resume"], "no such study"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(run, workplace, flags, line):
    code, _, err = run(*([] if "--proxy" in flags else ["--proxy", "tiny.yaml"]), *flags)
    assert code == 2 and err.startswith("nas.measure: ") and line in err and err.count("\n") == 1
    assert not (workplace / "runs").exists()


def test_a_study_is_not_gone_on_with_under_other_networks_or_by_another_command(run, workplace):
    from nas import search

    run("net.json", "--proxy", "simulated:separable", "--seeds", 1, "--study", "one")
    before = (workplace / "runs/one/study.db").read_bytes()
    code, _, err = run("resnet50", "--study", "one", "--resume")
    assert code == 2 and "was started with budget.low" in err
    assert search.main(["--study", "one", "--resume"]) == 2
    assert (workplace / "runs/one/study.db").read_bytes() == before


def test_swins_position_biases_are_not_decayed():
    network = build_network(named_network("swin_tiny"), 10)
    decayed, spared = (group["params"] for group in parameter_groups(network, 0.05))
    tables = [p for name, p in network.named_parameters() if name.endswith("relative_position_bias_table")]
    assert len(tables) == 12 and all(any(p is one for one in spared) for p in tables)
    assert all(p.ndim > 1 for p in decayed) and len(decayed) + len(spared) == len(list(network.parameters()))
