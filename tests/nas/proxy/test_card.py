"""A proxy's card: packaged for every preset, told of studies under the very same proxy and data."""

from pathlib import Path

import pytest

from nas import export
from nas.plan.judge import proxy_facts
from nas.proxy import card
from nas.proxy.card import NEVER, Measured, Tau, card_line, conditions, load_card, values_of
from nas.proxy.proxy import PRESETS, load_proxy
from nas.record.study import read_study
from nas.verdict.pick import recommend
from tests.nas.conftest import run, workplace  # noqa: F401 - fixtures

SEEN = {"name": "photos", "num_classes": 10, "train_size": 30_000, "val_size": 2_000, "lr": 6e-3}
ON_IMAGENET = "asks which network is best on ImageNet, by short trainings on other images; "
ON_THESE = "asks which network is best for these images, by short trainings on them; "
LINE = (
    "order under this proxy agrees with ImageNet's at tau +0.38 (90% +0.03 to +0.67), measured on the roadmap"
)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_card(preset):
    card = load_card(preset)
    assert (card.measured is not None) == (preset in ("cpu", "photos"))


@pytest.mark.parametrize("study", ["roadmap", "default", "sweep"])
def test_recorded_studies_are_told_what_their_order_is_worth(study):
    found = recommend(read_study(Path(__file__).parents[3] / "studies" / study))
    assert found.card.startswith(ON_IMAGENET + LINE)
    assert found.card.endswith("within steps 1 to 12 and steps 13 to 16 no agreement can be told")


def test_the_cpu_preset_as_it_is_has_the_card(tmp_path):
    proxy = load_proxy("cpu")
    pixels = proxy.load_data(tmp_path)
    now = proxy_facts("cpu", proxy, pixels)
    own = {"fingerprint": pixels.fingerprint}
    assert card_line(now, own).startswith(ON_IMAGENET + LINE)
    assert card_line({**now, "name": "mine", "device": "cuda"}, own).startswith(ON_IMAGENET + LINE)
    # another value or other images are another order
    assert card_line(proxy_facts("cpu", proxy.changed(width_share=0.5), pixels), own) == ON_IMAGENET + NEVER
    assert card_line(now, {"fingerprint": "other"}).endswith("; on these images it was not measured")
    assert conditions(now, own) != conditions(now, {})


def test_what_was_measured_over_other_networks_is_told():
    line = load_card("photos").measured.line
    assert (
        "; over the roadmap's steps from ResNet-200 to ConvNeXt-B it is the reverse: tau -0.31 (90% " in line
    )


def test_on_other_images_the_card_is_of_those_it_was_measured_on(monkeypatch):
    measured = Measured(
        conditions="x", values=values_of(SEEN), images="30,000 images of cifar10", against="ImageNet",
        over="the roadmap", study="s", networks=16, seeds=2, tau=Tau(value=0.6, low=0.4, high=0.8),
    )  # fmt: skip
    monkeypatch.setattr(card, "load_card", lambda _: card.Card(measured=measured))
    line = card_line({**SEEN, "num_classes": 3, "train_size": 600, "data": "photos"}, {"fingerprint": "own"})
    assert line == (
        f"{ON_THESE}order under this proxy agrees with ImageNet's at tau +0.60 (90% +0.40 to +0.80), "
        "measured on the roadmap, 30,000 images of cifar10; on these images it was not measured"
    )
    assert card_line({**SEEN, "lr": 1e-3, "data": "csv:a.csv"}, {}) == ON_THESE + NEVER


def test_the_photos_preset_is_the_proxy_that_was_measured():
    recorded = read_study(Path(__file__).parents[3] / "studies/order/photos").mapping["proxy"]
    facts = load_proxy("photos").to_dict() | {"num_classes": 3, "train_size": 600, "val_size": 200}
    assert values_of(facts) == values_of(recorded) == load_card("photos").measured.values


def test_a_part_of_imagenet_asks_for_imagenet():
    asked = card_line({"name": "imagenet-subset", "data": "imagefolder:imagenet"}, {})
    assert asked.startswith("asks which network is best on ImageNet, by short trainings on a part of it; ")


def test_a_simulated_study_has_no_card():
    assert card_line({"name": "simulated:rugged"}, {}) is None


def test_an_order_that_agrees_within_its_groups_says_no_more():
    good = Tau(value=0.7, low=0.5, high=0.9)
    measured = Measured(
        conditions="x", against="ImageNet", over="the roadmap", study="s", networks=16, seeds=3, tau=good,
        within={"steps 1 to 12": good},
    )  # fmt: skip
    assert measured.line == (
        "order under this proxy agrees with ImageNet's at tau +0.70 (90% +0.50 to +0.90), measured on the "
        "roadmap"
    )


def test_an_order_that_may_be_chance_is_not_called_agreement():
    measured = Measured(
        conditions="x", against="ImageNet", over="the roadmap", study="s", networks=16, seeds=1,
        tau=Tau(value=0.2, low=-0.1, high=0.5),
    )  # fmt: skip
    assert measured.line == (
        "whether order under this proxy agrees with ImageNet's cannot be told: tau +0.20 (90% -0.10 to "
        "+0.50), measured on the roadmap"
    )


def test_a_search_says_it_before_it_starts_and_at_its_end(run):  # noqa: F811
    code, out, err = run("--trials", 1, "--sampler", "random", "--threads", 1)
    assert code == 0 and (out + err).count(NEVER) == 2
    code, out, err = run("--trials", 1, "--proxy", "simulated:rugged", "--study", "other")
    assert code == 0 and "order under this proxy" not in out + err


def test_an_export_says_it_in_its_readme(tmp_path, capsys):
    study = Path(__file__).parents[3] / "studies/default"
    assert export.main([str(study), "--to", "native", "--out", str(tmp_path / "net")]) == 0
    assert LINE in " ".join((tmp_path / "net/README.md").read_text(encoding="utf-8").split())
    assert capsys.readouterr().err == ""
