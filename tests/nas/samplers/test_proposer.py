"""Proposals: in the band, never seen before, from results of one fidelity, the same when told the same."""

import itertools
import json
import math
import warnings
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.proxy.simulated import LAWS, SimulatedTrainer
from nas.samplers.encoding import Encoder
from nas.samplers.evolution import crowding, evolve, front_ranks
from nas.samplers.feasible import Feasible
from nas.samplers.history import History
from nas.samplers.limits import Limits
from nas.samplers.proposer import SAMPLERS, Proposer, code_of, distributions, params_of
from nas.samplers.strata import STRATA, Strata
from nas.samplers.surrogate import Known, Model, standardised
from nas.samplers.trials import Trials
from space.band import BandSampler
from space.budget import Budget, parse_budget
from space.cost import cost, cost_columns
from space.errors import InputError
from space.families import named
from space.space_file import load_space
from space.swin import named_swin
from tests.nas.proxy.in_band import traits_of_codes

# Optuna's GP takes seconds for a proposal where several cores are busy: few trials, a small space
QUICK = tuple(sampler for sampler in SAMPLERS if sampler != "gp")


@cache
def band_of(space="convnext", budget="4.5GFLOPs"):
    return BandSampler(load_space(space), parse_budget(budget))


def likes_wide_kernels(network):
    return float(sum(stage.kernel_size for stage in network.stages)) + 10 * (network.norm == "rms")


@dataclass
class Study:
    """A proposer and all it was told, by trial."""

    proposer: Proposer
    memos: dict = field(default_factory=dict)
    networks: list = field(default_factory=list)
    accuracies: dict = field(default_factory=dict)
    failed: set = field(default_factory=set)

    @classmethod
    def of(cls, band, sampler="tpe", seed=0, startup=4, **options):
        return cls(Proposer(band, sampler, seed, startup, **options))

    def start(self):
        """The next trial, begun; its number."""
        number = len(self.networks)
        proposal = self.proposer.next(number)
        assert proposal.params == params_of(
            self.proposer._space, self.proposer._space.locate(proposal.architecture)
        )
        self.networks.append(proposal.architecture)
        self.memos[number] = json.loads(json.dumps(proposal.memo))
        self.proposer.started(number, proposal.architecture, self.memos[number])
        return number

    def report(self, number, *accuracies):
        self.accuracies[number] = accuracies
        self.proposer.reported(number, accuracies)

    def fail(self, number):
        self.failed.add(number)
        self.proposer.failed(number)

    def run(self, trials, value=likes_wide_kernels):
        for _ in range(trials):
            number = self.start()
            self.report(number, value(self.networks[number]))
        return self

    def replay(self, proposer):
        """The same study, told to a new proposer in the order of the trials."""
        for number, network in enumerate(self.networks):
            proposer.started(number, network, self.memos[number])
            if number in self.accuracies:
                proposer.reported(number, self.accuracies[number])
            if number in self.failed:
                proposer.failed(number)
        return Study(proposer, dict(self.memos), list(self.networks), dict(self.accuracies), set(self.failed))


@pytest.mark.parametrize("space", ["convnext", "roadmap", "micro"])
def test_parameters_and_codes_are_the_same_thing(space):
    space = load_space(space)
    known = distributions(space)
    for code in space.sample_codes(100, np.random.default_rng(0)):
        params = params_of(space, code)
        assert (code_of(space, params) == code).all()
        for name, value in params.items():
            assert known[name]._contains(known[name].to_internal_repr(value))


@pytest.mark.parametrize("front", [False, True])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_proposal_is_in_the_band_and_new_and_made_in_silence(sampler, front, capfd):
    band = band_of()
    if front or sampler == "gp":
        band = band_of("micro", "10M..60M")
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trials = 5 if sampler == "gp" else 12
            networks = Study.of(band, sampler, front=front).run(trials).networks
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(level)
    assert capfd.readouterr() == ("", "")
    assert len({network.fingerprint for network in networks}) == trials
    for network in networks:
        assert band.budget.allows(cost(network).macs) and network in band.space


@cache
def costs_of(space):
    space = load_space(space)
    return cost_columns(space.columns(space.sample_codes(2000, np.random.default_rng(1))))


@st.composite
def constrained(draw):
    """A band between two costs that networks have, and limits that leave a part of it."""
    space = draw(st.sampled_from(["micro", "micro", "roadmap", "roadmap", "convnext"]))
    metric = draw(st.sampled_from(["macs", "params", "activations"]))
    some = costs_of(space)
    ends = sorted(np.quantile(getattr(some, metric), sorted(draw(st.tuples(shares, shares)))).astype(int))
    budget = Budget("drawn", metric, int(ends[0]), int(ends[1] * 1.2))
    inside = (getattr(some, metric) >= budget.low) & (getattr(some, metric) <= budget.high)
    most = {
        name: int(np.quantile(getattr(some, name)[inside], draw(st.floats(0.3, 1))))
        for name in draw(st.sets(st.sampled_from(["params", "activations"])))
    }
    return BandSampler(load_space(space), budget), Limits(most.get("params"), most.get("activations"))


shares = st.floats(0, 0.99)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(constrained(), st.sampled_from(QUICK), st.booleans(), st.integers(0, 2**31))
def test_whatever_the_budget_and_limits_they_are_kept(constraint, sampler, front, seed):
    band, limits = constraint
    try:
        study = Study.of(band, sampler, seed, startup=2, front=front, limits=limits)
    except InputError:  # no network meets both limits together
        assert len(limits.closed_form) == 2
        return
    for _ in range(7):
        if study.proposer.next(len(study.networks)) is None:
            break
        study.run(1)
    assert len({network.fingerprint for network in study.networks}) == len(study.networks)
    for network in study.networks:
        assert network in band.space
        assert band.budget.allows(getattr(cost(network), band.budget.metric))
        assert limits.allow(cost(network))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("front", [False, True])
def test_the_same_seed_proposes_the_same_networks_also_after_a_restart(sampler, front):
    band, options = band_of("micro", "10M..60M"), {"front": front}
    trials, stop = (6, 5) if sampler == "gp" else (10, 7)
    whole = Study.of(band, sampler, **options).run(trials)
    known = Study.of(band, sampler, **options).run(stop)
    again = known.replay(Proposer(band, sampler, 0, 4, **options)).run(trials - stop)
    assert again.networks == whole.networks and again.memos == whole.memos
    other = Study.of(band, sampler, seed=1, **options).run(3)
    assert other.networks != whole.networks[:3]


def promoted_best(study, law, steps):
    """One worker, levels of 1, 3 and 9 epochs: each second step goes on with the best that waits."""
    trainer = SimulatedTrainer(LAWS[law])
    for step in range(steps):
        waiting = {
            n: a
            for n, a in study.accuracies.items()
            if len(a) < 9 and n not in study.failed and not math.isnan(a[-1])
        }
        if step % 2 and waiting:
            number = max(waiting, key=lambda n: (len(waiting[n]), waiting[n][-1]))
            epochs = 3 * len(waiting[number])
        else:
            number, epochs = study.start(), 1
        if step % 11 == 7:
            study.fail(number)
        else:
            study.report(number, *trainer.curve(study.networks[number], 0)[:epochs].tolist())


@pytest.mark.parametrize("sampler", QUICK)
def test_results_that_come_late_are_the_same_to_a_restarted_search(sampler):
    options = {"epochs": 9, "levels": (1, 3, 9)}
    whole = Study.of(band_of(), sampler, **options)
    promoted_best(whole, "interacting", 30)
    for stop in (13, 22):
        known = Study.of(band_of(), sampler, **options)
        promoted_best(known, "interacting", stop)
        again = known.replay(Proposer(band_of(), sampler, 0, 4, **options))
        number = len(again.networks)
        assert again.proposer.next(number) == known.proposer.next(number)
        assert again.proposer.next(number).architecture == whole.networks[number]


@pytest.mark.parametrize("sampler", QUICK)
def test_a_proposal_that_is_not_begun_is_made_again_and_another_number_has_another(sampler):
    study = Study.of(band_of(), sampler).run(5)
    first = study.proposer.next(5)
    assert study.proposer.next(5) == first
    assert any(study.proposer.next(number) != first for number in range(6, 9))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_band_is_proposed_to_its_last_network_and_then_ends(sampler):
    band = band_of("micro", "20M..20.05M" if sampler == "gp" else "20M..20.5M")
    assert 3 <= band.count <= 60
    study = Study.of(band, sampler).run(band.count)
    assert all(band.budget.allows(cost(network).macs) for network in study.networks)
    assert len({network.fingerprint for network in study.networks}) == band.count
    assert study.proposer.next(band.count) is None


def test_a_front_is_proposed_to_its_last_network_and_then_ends():
    band = band_of("micro", "20M..20.6M")
    study = Study.of(band, "evolution", front=True).run(band.count)
    assert len({network.fingerprint for network in study.networks}) == band.count
    assert study.proposer.next(band.count) is None


def test_a_reference_in_the_space_is_never_proposed_again_and_one_outside_does_no_harm():
    band = band_of("micro", "20M..20.5M")
    network = band.sample(1)[0]
    study = Study.of(band, "random")
    study.proposer.started(100, network)
    outside = {101: named("resnet50"), 102: named_swin("swin_tiny")}
    for number, other in outside.items():
        study.proposer.started(number, other)
    for number in (100, *outside):
        study.proposer.reported(number, [0.5])
    study.proposer.failed(102)
    study.run(band.count - 1)
    assert network not in study.networks and study.proposer.next(band.count) is None


def test_an_unknown_sampler_is_refused():
    with pytest.raises(InputError, match="'cmaes' is none of random, tpe, gp, nsga2, evolution, surrogate"):
        Proposer(band_of(), "cmaes", 0, 5)


# one fidelity


@pytest.mark.parametrize("sampler", [s for s in QUICK if s != "random"])
def test_values_of_fewer_epochs_are_not_looked_at(sampler):
    """Early accuracies that say the opposite, and networks stopped with enormous ones, change nothing."""

    def told(early, stopped):
        study = Study.of(band_of(), sampler, startup=3, epochs=3, levels=(1, 3))
        for _ in range(8):
            number = study.start()
            value = likes_wide_kernels(study.networks[number])
            # in the beginning there is nothing but the first level to learn from
            if number < 3:
                study.report(number, value, value, value)
            elif number % 2:
                study.report(number, stopped)
            else:
                study.report(number, early(value), early(value), value)
        return study.networks

    honest = told(lambda value: value, 0.0)
    assert told(lambda value: -value, 1e9) == honest
    assert told(lambda value: 0.0, -1e9) == honest


@pytest.mark.parametrize("sampler", [s for s in QUICK if s != "random"])
def test_the_first_level_is_learnt_from_until_enough_reach_the_next(sampler):
    def told(sign, reach):
        study = Study.of(band_of(), sampler, startup=4, epochs=3, levels=(1, 3))
        for number in range(6):
            study.start()
            value = likes_wide_kernels(study.networks[number]) * sign
            study.report(number, *([value] if number >= reach else [value, 0.0, 0.0]))
        return study.networks

    assert told(1, 3) != told(-1, 3)
    assert told(1, 6)[:5] == told(-1, 6)[:5]  # four that are alike at the second level


def test_a_sampler_is_not_fooled_by_networks_that_learn_fast():
    """Large kernels are far ahead after one epoch and behind at the end: most are never trained so far."""
    scores = {}
    for levels in ((1,), (1, 9)):
        found = []
        for seed in range(2):
            study = Study.of(band_of(), "evolution", seed, startup=5, epochs=9, levels=levels)
            for _ in range(45):
                number = study.start()
                kernels = sum(stage.kernel_size for stage in study.networks[number].stages)
                whole = number % 3 == 0
                study.report(number, kernels, *([0.0] * 7 + [-kernels] if whole else []))
            found += [sum(s.kernel_size for s in network.stages) for network in study.networks[30:]]
        scores[levels] = np.mean(found)
    assert scores[1, 9] < 24 and scores[(1,)] > 32  # of 12 to 44


def test_the_level_follows_from_the_trials_and_a_failure_takes_one_back():
    trials = Trials((1, 3), startup=2)
    for number in range(3):
        trials.start(number, (number,), 1, 0, {})
    assert trials.level is None
    trials.report(0, [0.1])
    trials.report(1, [0.2])
    assert trials.level == 1 and [o.accuracy for o in trials.latest(5)] == [0.1, 0.2]
    trials.report(0, [0.1, 0.5, 0.6])
    trials.report(2, [0.3, 0.5, 0.7])
    assert trials.level == 3 and [o.number for o in trials.latest(5)] == [0, 2]
    trials.fail(2)
    assert trials.level == 1
    assert [(o.number, o.failed) for o in trials.latest(5)] == [(0, False), (1, False), (2, True)]
    trials.report(1, [0.2, math.nan])
    assert trials.level is None


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_samplers_see_does_not_depend_on_the_order_of_results(data):
    trials = data.draw(st.integers(1, 12))
    curves = {
        n: data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan]), max_size=3)) for n in range(trials)
    }
    fails = data.draw(st.sets(st.integers(0, trials - 1)))
    seen = []
    for events in (
        [(n, "all") for n in range(trials)],
        data.draw(st.permutations([(n, k) for n in range(trials) for k in (1, 2, "all")])),
    ):
        view = Trials((1, 2, 3), startup=3)
        for n in range(trials):
            view.start(n, (n,), 1, n % 2, {})
        done = dict.fromkeys(range(trials), 0)
        for n, epochs in events:
            end = len(curves[n]) if epochs == "all" else min(epochs, len(curves[n]))
            done[n] = max(done[n], end)
            if done[n]:
                view.report(n, curves[n][: done[n]])
            if epochs == "all" and n in fails:
                view.fail(n)
        seen.append(repr((view.level, view.latest(4), view.chosen(2, 3), view.pending())))
    assert seen[0] == seen[1]


def test_samplers_see_a_bounded_number_of_results_the_best_among_them():
    trials = Trials((1,), startup=1)
    for number in range(2000):
        trials.start(number, (number,), 1, number % 4, {})
        trials.report(number, [(number * 7919) % 2000 / 2000])
    chosen = trials.chosen(40, 60)
    assert len(chosen) <= 100 and {o.number for o in chosen} >= set(range(1940, 2000))
    best = sorted(range(2000), key=lambda n: -((n * 7919) % 2000))
    assert {o.number for o in chosen} >= set(best[:4])
    assert [o.number for o in chosen] == sorted(o.number for o in chosen)


# a range, searched for its front


def test_the_strata_are_the_whole_range_and_are_visited_evenly():
    band = band_of(budget="1GFLOPs..9GFLOPs")
    strata = Strata(band, STRATA, set(), Limits(), seed=3)
    budgets = [part.band.budget for part in strata.parts]
    assert (budgets[0].low, budgets[-1].high) == (band.budget.low, band.budget.high)
    assert all(one.high + 1 == two.low for one, two in itertools.pairwise(budgets))
    assert sum(part.band.count for part in strata.parts) == band.count
    assert all(strata.of(b.low) == strata.of(b.high) == i for i, b in enumerate(budgets))
    for first in range(0, 40, STRATA):
        turns = [strata.order(n)[0] for n in range(first, first + STRATA)]
        assert sorted(turns) == list(range(STRATA))
    assert all(sorted(strata.order(n)) == list(range(STRATA)) for n in range(9))


@pytest.mark.parametrize("sampler", QUICK)
def test_a_front_is_sought_over_the_whole_range(sampler):
    band = band_of(budget="1GFLOPs..9GFLOPs")
    trainer = SimulatedTrainer(LAWS["separable"])
    study = Study.of(band, sampler, startup=8, front=True)
    study.run(28, lambda network: float(trainer.curve(network, 0)[-1]))
    gflops = np.array([cost(network).macs / 1e9 for network in study.networks])
    # a uniform draw costs less than 3 GFLOPs one time in five
    thirds = np.digitize(gflops[8:], [1, 9 ** (1 / 3), 9 ** (2 / 3), 9])
    assert np.bincount(thirds, minlength=4)[1:4].min() >= 3


@pytest.mark.parametrize(("sampler", "trials"), [("nsga2", 40), ("evolution", 60), ("surrogate", 24)])
def test_a_front_that_is_sought_is_better_than_a_random_one(sampler, trials):
    band, law = band_of(budget="1GFLOPs..9GFLOPs"), LAWS["separable"]
    trainer = SimulatedTrainer(law)
    found = {}
    for name in ("random", sampler):
        better = []
        for seed in range(1 if sampler == "surrogate" else 2):
            study = Study.of(band, name, seed, startup=8, front=True)
            study.run(trials, lambda network: float(trainer.curve(network, 0)[-1]))
            better += [law.of(network) for network in study.networks[trials // 2 :]]
        found[name] = np.mean(better)
    assert found[sampler] > found["random"] + 0.025, found


def test_ranks_and_crowding_are_those_of_the_paper():
    accuracy = np.array([0.5, 0.6, 0.7, 0.6, 0.5, 0.8])
    price = np.array([1.0, 2.0, 3.0, 2.5, 2.0, 9.0])
    rank = front_ranks(accuracy, price)
    assert rank.tolist() == [0, 0, 0, 1, 1, 0]
    alone = crowding(accuracy, price, rank)
    assert alone[0] == alone[5] == np.inf
    assert alone[1] == pytest.approx(0.2 / 0.3 + 2 / 8) and alone[2] == pytest.approx(0.2 / 0.3 + 7 / 8)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), min_size=1, max_size=12))
def test_a_rank_says_how_many_fronts_lie_before_a_network(points):
    accuracy, price = np.array(points).T
    rank = front_ranks(accuracy, price)
    for i in range(len(points)):
        better = (accuracy >= accuracy[i]) & (price <= price[i])
        better &= (accuracy > accuracy[i]) | (price < price[i])
        assert rank[i] == rank[better].max(initial=-1) + 1


# several at once


@pytest.mark.parametrize("front", [False, True])
@pytest.mark.parametrize("sampler", QUICK)
def test_networks_that_run_at_once_differ(sampler, front):
    band = band_of("roadmap", "1GFLOPs..9GFLOPs") if front else band_of()
    study = Study.of(band, sampler, front=front, parallel=True).run(6)
    running = [study.start() for _ in range(6)]
    assert len({network.fingerprint for network in study.networks}) == 12
    again = study.replay(Proposer(band, sampler, 0, 4, front=front, parallel=True))
    assert again.proposer.next(12) == study.proposer.next(12)
    for number in reversed(running):
        study.report(number, likes_wide_kernels(study.networks[number]))
    assert study.run(2).networks[-1] not in study.networks[:-1]


def test_gp_knows_what_runs():
    study = Study.of(band_of("micro", "10M..60M"), "gp", parallel=True).run(4)
    for _ in range(3):
        study.start()
    assert len({network.fingerprint for network in study.networks}) == 7


def test_the_surrogate_expects_little_where_a_network_is_in_training():
    band = band_of()
    codes = band.sample_codes(12, np.random.default_rng(0))
    accuracy = np.array([likes_wide_kernels(band.space.build(code)) for code in codes])
    history = History(codes, accuracy, np.full(12, band.budget.high))
    pool = band.sample_codes(200, np.random.default_rng(1))
    encoder = Encoder(band.space)
    before = Model(Known(history, codes[:0]), pool, encoder).improvement(pool)
    chosen = int(np.argmax(before))
    after = Model(Known(history, pool[chosen][None]), pool, encoder).improvement(pool)
    assert after[chosen] < 0.6 * before[chosen]
    assert (after <= before + 1e-9).all()  # what is believed makes nothing look better


def test_the_surrogate_tells_good_networks_apart_beside_bad_ones():
    good = np.linspace(0.90, 0.93, 8)
    alone, beside = standardised(good), standardised(np.concatenate([good, [0.1, 0.3, 0.5]]))
    assert np.ptp(beside[:8]) > 0.5 * np.ptp(alone)  # by their standard deviation it would be a thirtieth
    assert beside[8:] == pytest.approx(beside.min())
    assert np.isfinite(standardised(np.full(5, 0.5))).all()


def test_the_surrogate_finds_out_that_more_parameters_are_better():
    """In a space of many axes, of which none alone says much."""
    band = band_of()
    codes = band.sample_codes(10, np.random.default_rng(0))
    params = np.log(band.space.costs(codes).params)
    history = History(codes, 0.5 + 0.1 * (params - params.mean()), np.full(10, band.budget.high))
    pool = band.sample_codes(300, np.random.default_rng(1))
    improvement = Model(Known(history, codes[:0]), pool, Encoder(band.space)).improvement(pool)
    wanted = band.space.costs(pool).params
    assert wanted[np.argmax(improvement)] > np.quantile(wanted, 0.95)


# failures


@pytest.mark.parametrize("sampler", QUICK)
def test_failed_trainings_do_not_stop_a_search(sampler):
    study = Study.of(band_of(budget="1GFLOPs"), sampler, startup=2)
    for i in range(20):
        number = study.start()
        if i in {0, 1, 5} or i >= 12:  # and at last, nothing else
            study.fail(number)
        elif i == 6:
            study.report(number, math.nan)
        else:
            study.report(number, i / 10)
    assert len({network.fingerprint for network in study.networks}) == 20
    assert study.replay(Proposer(band_of(budget="1GFLOPs"), sampler, 0, 2)).proposer.next(
        20
    ) == study.proposer.next(20)


def test_what_fails_is_avoided():
    study = Study.of(band_of(), "surrogate", startup=6)
    for _ in range(24):
        number = study.start()
        network = study.networks[number]
        if network.norm == "batch":
            study.fail(number)
        else:
            study.report(number, 0.5 + 0.01 * network.stages[0].kernel_size)
    late = [network.norm == "batch" for network in study.networks[12:]]
    assert np.mean(late) < 0.15  # of a quarter of all networks


# what is found


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_wishes_are_learnt_inside_the_band(sampler):
    late = {}
    for name in ("random", sampler):
        scores = []
        for seed in range(2):
            networks = Study.of(band_of(), name, seed, startup=10).run(45).networks
            scores += [likes_wide_kernels(network) for network in networks[30:]]
        late[name] = np.mean(scores)
    assert late[sampler] > late["random"] + 4


def test_nsga2_counts_its_generations():
    study = Study.of(band_of(), "nsga2", startup=4).run(13)
    assert [study.memos[n].get("generation") for n in range(13)] == [None] * 4 + [1] * 4 + [2] * 4 + [3]


def late_accuracies(band, sampler, law, seed, trials):
    """True accuracies of the later half of a search's proposals."""
    trainer = SimulatedTrainer(law)
    study = Study.of(band, sampler, seed, startup=8)
    study.run(trials, lambda network: float(trainer.curve(network, seed)[-1]))
    return [law.of(network) for network in study.networks[trials // 2 :]]


# the incumbent of a single search is too much a matter of luck to tell samplers apart in seconds
@pytest.mark.parametrize("law", ["separable", "interacting"])
@pytest.mark.parametrize(("sampler", "trials"), [("evolution", 40), ("surrogate", 24)])
def test_samplers_propose_better_networks_than_random_draws(sampler, trials, law):
    band, law, seeds = band_of(), LAWS[law], range(1 if sampler == "surrogate" else 2)
    drawn = law.accuracy(traits_of_codes(band.space, band.sample_codes(5000, np.random.default_rng(0))))
    proposed = np.concatenate([late_accuracies(band, sampler, law, seed, trials) for seed in seeds])
    assert proposed.mean() > drawn.mean() + 0.5 * drawn.std()


@pytest.mark.parametrize("sampler", QUICK)
def test_equal_results_leave_no_preference_but_a_proposal(sampler):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Study.of(band_of(), sampler, startup=2).run(6, lambda network: 0.5)


@pytest.mark.parametrize("space", ["convnext", "roadmap", "micro"])
def test_many_codes_are_encoded_as_one_is(space):
    space = load_space(space)
    codes = space.sample_codes(40, np.random.default_rng(0))
    encoder = Encoder(space)
    assert (encoder.encode(codes) == [space.encode(space.build(code)) for code in codes]).all()
    assert encoder.closed_form(codes).shape == (40, 3 + 2 * len(space.base.stages))


def test_a_wish_in_the_band_is_granted_and_one_outside_loses_as_little_as_it_must():
    band = band_of()
    rng = np.random.default_rng(0)
    feasible = Feasible(band, set())
    for code in band.sample_codes(10, rng):
        assert (feasible.towards(code, rng) == code).all()
    for wish in band.space.sample_codes(10, rng):
        granted = feasible.towards(wish, rng)
        assert len(feasible.only(granted[None])) == 1
        # norm and activation cost nothing, so nothing stands in their way
        assert (granted[-2:] == wish[-2:]).all()


def test_a_child_is_a_step_from_a_parent_that_is_alive():
    band = band_of()
    rng = np.random.default_rng(0)
    codes = band.sample_codes(30, rng)
    best_is_dead = np.array([1.0] + [0.0] * 28 + [0.5])
    history = History(codes, best_is_dead, np.full(30, band.budget.high))
    steps = {tuple(step) for step in band.space.neighbour_codes(codes[-1])}
    inside = 0
    for _ in range(40):
        child = evolve(history, Feasible(band, set()), rng)
        assert (child != codes[0]).sum() > 1
        inside += tuple(child) in steps
    assert inside > 8
