"""What is read of a table: its networks, costs and accuracies, and every mistake in one line."""

import csv
import json
import lzma

import numpy as np
import pytest

from nas.engines.job import Job
from nas.samplers.feasible import Feasible
from nas.samplers.proposer import SAMPLERS, Proposer
from nas.table.space import TableBand
from nas.table.table import read_table
from nas.table.trainer import TableTrainer
from nas.training.result import TrialFailed
from space.budget import Budget, parse_budget
from space.errors import InputError
from space.families import named
from space.networks import brief, cost_of, recorded_from
from space.tabled import Tabled
from tests.nas.table.conftest import DECLARED, rows, truth


def finished(trainer, network, seed):
    training = trainer.start(Job(0, network, seed, trainer.epochs))
    while len(training.curve) < trainer.epochs:
        training.epoch()
    return training.result()


def test_a_table_is_its_networks_with_their_costs_and_accuracies(table):
    found = read_table(table)
    assert (found.space.size, found.seeds, found.epochs) == (72, 2, 3)
    assert [v.name for v in found.space.variables] == ["depth", "kernel.1", "kernel.2", "norm"]
    assert [v.ordered for v in found.space.variables] == [True, True, True, False]
    trainer = TableTrainer(found)
    for network, row in zip(found.space.build_all(found.space.codes), rows(), strict=True):
        first, second = map(int, row["kernels"].split("-"))
        assert cost_of(network).macs == round(row["mmacs"] * 1e6)
        assert cost_of(network).params == row["params"]
        result = finished(trainer, network, 1)
        assert result.accuracy == pytest.approx(truth(row["depth"], first, second, row["norm"]) / 100 + 0.001)
        assert result.epochs == 3
        assert finished(trainer, network, 3) == pytest.approx(result) or result.seed == 1
        assert recorded_from(json.loads(json.dumps(network.to_dict()))) == network
    assert brief(found.space.network(0)) == "depth 1 kernel 3-3 norm batch"
    assert "72 networks of 4 axes, 2 seeds, 3 epochs, by a test" in found.read


def test_what_a_stranger_s_table_says_is_shown_in_one_printable_line(table):
    table.write_text(table.read_text().replace("source: a test", 'source: "\\e[31m\\nby x"'))
    assert "3 epochs, by \\x1b[31m by x" in read_table(table).read
    assert brief(Tabled({"op": "\x1b[2J\nx", "size": 3})) == "op \\x1b[2J x size 3"


def test_a_seed_is_one_of_the_accuracies_there_are(table):
    found = read_table(table)
    network = found.space.network(5)
    by_seed = [finished(TableTrainer(found), network, seed).accuracy for seed in range(4)]
    assert by_seed[:2] == by_seed[2:]
    assert by_seed[0] != by_seed[1]


def test_keys_become_a_column_and_characters_axes(macro):
    found = read_table(macro)
    assert (found.space.size, found.seeds, found.epochs) == (27, 3, 1)
    assert not any(v.ordered for v in found.space.variables)
    assert finished(TableTrainer(found), found.space.network(26), 2).accuracy == pytest.approx(0.82)


def test_json_rows_give_the_same_table_as_csv(table, tmp_path):
    first = read_table(table)
    with (tmp_path / "trained.csv").open() as file:
        values = list(csv.DictReader(file))
    with lzma.open(tmp_path / "trained.json.xz", "wt") as file:
        json.dump(values, file)
    table.write_text(DECLARED.replace("trained.csv", "trained.json.xz"))
    assert read_table(table).fingerprint == first.fingerprint


def test_a_network_that_lacks_a_seed_fails_with_it_and_one_without_any_is_left_out(table, tmp_path):
    lines = (tmp_path / "trained.csv").read_text().splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:-3], "", "", ""])  # no second seed
    lines[2] = ",".join([*lines[2].split(",")[:-6], *[""] * 6])
    (tmp_path / "trained.csv").write_text("\n".join(lines) + "\n")
    found = read_table(table)
    assert found.space.size == 71
    assert "1 row without an accuracy left out" in found.read
    assert finished(TableTrainer(found), found.space.network(0), 0).epochs == 3
    with pytest.raises(TrialFailed, match="with its seed 2"):
        TableTrainer(found).start(Job(0, found.space.network(0), 1, 3))


def test_what_the_table_does_not_have_is_not_located_and_not_trained(table):
    found = read_table(table)
    assert found.space.locate(named("convnext_tiny")) is None
    with pytest.raises(TrialFailed, match="no such network"):
        TableTrainer(found).start(Job(0, named("convnext_tiny"), 0, 3))
    with pytest.raises(TrialFailed, match="latenc"):
        TableTrainer(found).latency(named("convnext_tiny"))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_tries_the_whole_band_and_nothing_else(table, sampler):
    space = read_table(table).space
    band = TableBand(space, Budget("x", "macs", 0, 12_000_000))
    proposer = Proposer(band, sampler, 0, 5)
    tried = []
    while (proposal := proposer.next(len(tried))) is not None:
        proposer.started(len(tried), proposal.architecture, proposal.memo)
        proposer.reported(len(tried), [proposal.architecture.choices["kernel.1"] / 10])
        tried.append(proposal.architecture.fingerprint)
    assert band.count == 18
    assert sorted(tried) == sorted(n.fingerprint for n in space.build_all(band.all_codes()))


def test_a_band_draws_uniformly_and_under_restrictions(table):
    space = read_table(table).space
    band = TableBand(space, parse_budget("10M..40M"))
    codes = band.sample_codes(2000, np.random.default_rng(0), {3: [1]})
    assert set(codes[:, 3]) == {1}
    assert len(np.unique(codes, axis=0)) == band.count_allowed({3: [1]}) == band.count / 2
    assert (space.costs(codes).macs <= 40e6).all()
    absent = space.codes[:1].copy()
    absent[0, 0] = 99
    assert space.costs(absent).macs[0] < 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trained.csv", "nope.csv", "cannot be read"),
        ("trained.csv", "small.yaml", "is no .csv"),
        ("depth: depth", "depth: deep", "no column 'deep'"),
        ("depth: depth", "{}", "not YAML"),
        ("macs: {column: mmacs", "macs: {columm: mmacs", "costs.macs: columm: unknown key"),
        ("macs: {column: mmacs", "macs: {column: norm", "is no cost"),
        ("  norm: norm\n", "", "the same on every axis"),
        ("kernel: {column: kernels, split: \"-\"}", "kernel: {column: kernels, split: 3}", "axes"),
        ("percent: true", "percent: false", "percent: true"),
        ("[a1, a2, a3]", "[a1, a2, norm]", "is no accuracy"),
        ("name: small", "nmae: small", "nmae: unknown key"),
        ("costs: {macs: {column: mmacs, times: 1.0e+6}, params: params}", "costs: {}", "a budget is a cost"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_where(table, old, new, said):
    assert old in DECLARED
    table.write_text(DECLARED.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_table(table)
    assert said in str(caught.value)
    assert "small.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_or_grows_without_end_is_refused(macro, tmp_path, monkeypatch):
    packed = tmp_path / "macro.json.xz"
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut off"):
        read_table(macro)
    monkeypatch.setattr("nas.table.rows.MOST_BYTES", 1 << 20)
    packed.write_bytes(lzma.compress(b" " * (1 << 22)))
    with pytest.raises(InputError, match="larger than 1 MiB unpacked"):
        read_table(macro)


def test_a_small_band_is_looked_through_whole(table):
    band = TableBand(read_table(table).space, parse_budget("60M", (0.1, 1)))
    every = list(map(tuple, band.all_codes().tolist()))
    pool = Feasible(band, set(every[:3])).pool(len(every), np.random.default_rng(0))
    assert sorted(map(tuple, pool.tolist())) == sorted(every[3:])
