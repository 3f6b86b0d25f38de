"""The named networks against what was published of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from space.architecture import Architecture
from space.cost import cost
from space.describe import is_file, read_network
from space.errors import InputError
from space.families import NAMES, named
from space.networks import cost_of, named_network

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "analysis" / "data"
GOLDEN_NAMES = {
    "ConvNeXt-T": "convnext_tiny",
    "ConvNeXt-S": "convnext_small",
    "ConvNeXt-B": "convnext_base",
    "ResNet-50": "resnet50",
}
PUBLISHED_NAMES = GOLDEN_NAMES | {
    "ConvNeXt-L": "convnext_large",
    "ConvNeXt-XL": "convnext_xlarge",
    "ConvNeXt-S (iso.)": "convnext_isotropic_small",
    "ConvNeXt-B (iso.)": "convnext_isotropic_base",
    "ConvNeXt-L (iso.)": "convnext_isotropic_large",
}
# Table 10 prints 4.46 and 4.49 here; the structures it describes count to these
COUNTED_OTHERWISE = {"roadmap_t_15": 4.146, "roadmap_t_16": 4.456}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def steps() -> list[tuple[str, float]]:
    regimes = {"resnet50-to-convnext-t": "t", "resnet200-to-convnext-b": "b"}
    return [
        (f"roadmap_{regimes[row['regime']]}_{row['order']}", float(row["gflops"]))
        for row in rows(DATA / "roadmap.csv")
        if row["step"] != "swin reference"
    ]


@pytest.mark.parametrize("row", rows(HERE / "golden_costs.csv"), ids=lambda row: row["name"])
def test_golden_costs_to_the_unit(row: dict[str, str]):
    counted = cost(named(GOLDEN_NAMES[row["name"]]), int(row["resolution"]))
    assert (counted.params, counted.macs) == (int(row["params"]), int(row["macs"]))


@pytest.mark.parametrize(("name", "printed"), steps(), ids=[name for name, _ in steps()])
def test_roadmap_costs(name: str, printed: float):
    counted = cost(named(name)).macs / 1e9
    if name in COUNTED_OTHERWISE:
        assert counted == pytest.approx(COUNTED_OTHERWISE[name], abs=0.001)
    else:
        assert counted == pytest.approx(printed, abs=0.01)


def test_every_step_of_the_roadmap_is_there():
    assert len(steps()) == 34
    assert {name for name, _ in steps()} == {name for name in NAMES if name.startswith("roadmap")}


def test_published_sizes_to_the_printed_digits():
    published = [row for row in rows(DATA / "published_points.csv") if row["name"] in PUBLISHED_NAMES]
    assert {row["name"] for row in published} >= set(PUBLISHED_NAMES) - {"ResNet-50"}
    for row in published:
        if row["name"] in PUBLISHED_NAMES and row["gflops"] and row["params_m"]:
            counted = cost(named(PUBLISHED_NAMES[row["name"]]), int(row["resolution"]))
            # ConvNeXt-B at 384 is printed as 45.0 and counts to 45.12, 2.94 times its 15.35 at 224
            assert counted.macs / 1e9 == pytest.approx(float(row["gflops"]), abs=0.06, rel=0.003), row
            assert counted.params / 1e6 == pytest.approx(float(row["params_m"]), abs=1.0), row


def test_roadmap_starts_at_resnet_and_ends_at_convnext():
    assert named("roadmap_t_0") == named("roadmap_t_1") == named("resnet50")
    assert named("roadmap_b_0") == named("roadmap_b_1") == named("resnet200")
    assert named("roadmap_t_16") == named("convnext_tiny")
    assert named("roadmap_b_16") == named("convnext_base")


@pytest.mark.parametrize("regime", ["t", "b"])
def test_steps_1_to_16_are_different_networks(regime: str):
    assert len({named(f"roadmap_{regime}_{step}").fingerprint for step in range(1, 17)}) == 16


def changed(before: str, after: str) -> set[str]:
    """Names of the fields that differ between two networks."""

    def flat(architecture: Architecture) -> dict[str, object]:
        values = architecture.to_dict()
        block, stem = values.pop("block"), values.pop("stem")
        stages = values.pop("stages")
        stem_fields = {f"stem.{name}": value for name, value in stem.items()}
        return values | block | stem_fields | {name: [s[name] for s in stages] for name in stages[0]}

    one, other = flat(named(before)), flat(named(after))
    return {name for name in one | other if one.get(name) != other.get(name)}


@pytest.mark.parametrize(
    ("step", "from_step", "fields"),
    [
        (2, 1, {"depth"}),
        (3, 2, {"stem.type"}),
        (4, 3, {"conv"}),
        (5, 4, {"width"}),
        (6, 5, {"style"}),
        (7, 6, {"spatial"}),
        (8, 7, {"kernel_size"}),
        (9, 7, {"kernel_size"}),
        (10, 7, {"kernel_size"}),
        (11, 7, {"kernel_size"}),
        (12, 9, {"activation"}),
        (13, 12, {"act_after", "stem.activation"}),
        (14, 13, {"norm_after", "stem.norm"}),
        (15, 14, {"norm"}),
        (16, 15, {"downsampling", "stem.norm", "head_norm", "layer_scale", "drop_path"}),
    ],
)
def test_each_step_changes_what_the_paper_says(step: int, from_step: int, fields: set[str]):
    assert changed(f"roadmap_t_{from_step}", f"roadmap_t_{step}") == fields


def test_stochastic_depth_and_layer_scale_are_the_published_ones():
    sizes = ("tiny", "small", "base", "large", "xlarge")
    assert [named(f"convnext_{size}").drop_path for size in sizes] == [0.1, 0.4, 0.5, 0.5, 0.2]
    assert {named(f"convnext_{size}").layer_scale for size in sizes} == {1e-6}
    iso = [named(f"convnext_isotropic_{size}") for size in ("small", "base", "large")]
    assert [a.layer_scale for a in iso] == [None, None, 1e-6]
    assert [a.drop_path for a in iso] == [0.1, 0.2, 0.5]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_survives_json(name: str):
    architecture = named(name)
    assert Architecture.from_json(architecture.to_json()) == architecture


def test_unknown_name_offers_the_close_ones_in_one_line():
    with pytest.raises(InputError, match="convnext_tiny") as caught:
        named("convnext_tinny")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="zzz: no network of this name"):
        named("zzz")


# timm 1.0.32's models of these names: parameters counted, multiply-accumulates by torch's flop counter
OF_TIMM = {
    "convnext_atto": (224, 3695520, 547332480),
    "convnext_femto": (224, 5217784, 779629824),
    "convnext_pico": (224, 9045672, 1367055360),
    "convnext_nano": (224, 15593560, 2445528320),
    "convnext_tiny": (224, 28589128, 4455531264),
    "convnext_small": (224, 50223688, 8683712256),
    "convnext_base": (224, 88591464, 15354729472),
    "convnext_large": (224, 197767336, 34361433600),
    "convnext_xlarge": (224, 350196968, 60921030656),
    "convnextv2_atto": (224, 3708400, 547332480),
    "convnextv2_femto": (224, 5233240, 779629824),
    "convnextv2_pico": (224, 9066280, 1367055360),
    "convnextv2_nano": (224, 15623800, 2445528320),
    "convnextv2_tiny": (224, 28635496, 4455531264),
    "convnextv2_small": (224, 50318440, 8683712256),
    "convnextv2_base": (224, 88717800, 15354729472),
    "convnextv2_large": (224, 197956840, 34361433600),
    "convnextv2_huge": (224, 660289640, 114922100480),
    "swin_tiny_patch4_window7_224": (224, 28288354, 4490566656),
    "swin_small_patch4_window7_224": (224, 49606258, 8740875264),
    "swin_base_patch4_window7_224": (224, 87768224, 15430946816),
    "swin_large_patch4_window7_224": (224, 196532476, 34475759616),
    "swin_base_patch4_window12_384": (384, 87903584, 47083134976),
    "swin_large_patch4_window12_384": (384, 196735516, 103919087616),
    "resnet50": (224, 25557032, 4089184256),
    "resnet101": (224, 44549160, 7801405440),
    "resnet152": (224, 60192808, 11513626624),
}


@pytest.mark.parametrize("name", OF_TIMM)
def test_a_name_of_timm_is_its_network_to_the_unit(name: str):
    resolution, params, macs = OF_TIMM[name]
    counted = cost_of(named_network(name), resolution)
    assert (counted.params, counted.macs) == (params, macs)


@pytest.mark.parametrize(
    ("written", "own"),
    [
        ("ConvNeXt-T", "convnext_tiny"),
        ("convnext-tiny", "convnext_tiny"),
        ("convnext_tiny.fb_in1k", "convnext_tiny"),
        ("timm/convnext_nano.r384_in12k_ft_in1k", "convnext_nano"),
        ("hf_hub:timm/convnext_small.fb_in22k_ft_in1k_384", "convnext_small"),
        ("facebook/convnext-tiny-224", "convnext_tiny"),
        ("facebook/convnext-xlarge-384-22k-1k", "convnext_xlarge"),
        ("convnext_base_384_in22ft1k", "convnext_base"),
        ("convnext_tiny_1k_224_ema", "convnext_tiny"),
        ("ConvNeXt V2-A", "convnextv2_atto"),
        ("facebook/convnextv2-tiny-22k-384", "convnextv2_tiny"),
        ("convnextv2_huge.fcmae_ft_in22k_in1k_512", "convnextv2_huge"),
        ("ConvNeXt-S (iso.)", "convnext_isotropic_small"),
        ("ResNet-50", "resnet50"),
        ("microsoft/resnet-50", "resnet50"),
        ("Swin-T", "swin_tiny"),
        ("swin_t", "swin_tiny"),
        ("microsoft/swin-tiny-patch4-window7-224", "swin_tiny"),
        ("swin_base_patch4_window12_384.ms_in22k_ft_in1k", "swin_base_window12"),
        ("microsoft/swin-large-patch4-window12-384-in22k", "swin_large_window12"),
    ],
)
def test_a_network_goes_by_the_names_that_others_give_it(written: str, own: str):
    assert not is_file(written)
    name, network = read_network(written)
    assert name == own and network == named_network(own)


@pytest.mark.parametrize(
    "name",
    [
        "convnext_tiny_hnf",
        "convnext_atto_ols",
        "convnext_large_mlp",
        "swinv2_tiny",
        "swin_s3_tiny_224",
        "x" * 9999,
    ],
)
def test_a_network_of_another_structure_is_not_taken_for_a_near_one(name: str):
    with pytest.raises(
        InputError, match=r"no (network|Swin) of this name; (did you mean|there are)"
    ) as caught:
        named_network(name)
    assert len(str(caught.value)) < 250


def test_a_file_is_not_taken_for_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_file("convnext_tiny.pth") and is_file("a/convnext_tiny") and is_file("facebook/nothing")
    Path("convnext_tiny").write_text("{}")
    assert is_file("convnext_tiny") and not is_file("convnext_tiny\0") and not is_file("n" * 5000)
