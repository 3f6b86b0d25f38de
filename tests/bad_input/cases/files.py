"""Text files: YAML and JSON that is none, and every key of every kind of file with values it cannot have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bad_input.case import Case, Make
from tests.bad_input.cases.flags import MEASURE, SEARCH
from tests.bad_input.stock import PROXY, RECIPE
from tests.bad_input.wrong import (
    ABOVE_0_TO_1,
    CHOICE,
    COUNT,
    DEEP,
    ESCAPE,
    HUGE,
    LINES,
    LIST,
    LONG,
    MAPPING,
    NAN,
    NONNEGATIVE,
    PAIR,
    POSITIVE,
    SHARE,
    SWITCH,
    WHOLE,
    Place,
    changed,
    document,
    dropped,
    link,
    odd_texts,
    shown,
    stocked,
)  # fmt: skip

CACHE = {"../cache": stocked("cache")}


@dataclass(frozen=True)
class Slot:
    """Where a command reads a file: `argv` has FILE in its place."""

    command: str
    aim: str
    argv: Sequence[str]
    suffix: str
    files: Mapping[str, str | bytes | Make] = field(default_factory=dict)


@dataclass(frozen=True)
class Noun:
    """A kind of file: a valid one, keys with values they cannot have, keys that it needs, mappings in it."""

    name: str
    slots: Sequence[Slot]  # odd texts go through all of them, keys through the first
    valid: Mapping[str, Any]
    wrong: Mapping[Place, Sequence[Any]]
    needed: Sequence[Place] = ()
    mappings: Sequence[Place] = ((),)


def _search(flag: str) -> Slot:
    return Slot("nas.search", flag, (*SEARCH, flag, "FILE"), ".yaml", CACHE)


STUDY_FILE = Noun(
    "study file",
    [Slot("nas.search", "--study-file", ("--study-file", "FILE"), ".yaml", CACHE)],
    {
        "budget": "20M..40M", "space": "micro", "proxy": "simulated:separable", "trials": 2,
            "sampler": "random",
        "reference": "none",
    },
    {
        ("budget",): (None, "", [], {}, True, [1], "x", NAN, HUGE, "a\x00b", LINES),
        ("band",): PAIR,
        ("space",): (None, 5, True, [], {}, "x", "", {"axes": {}}, LONG, "a\x00b", DEEP, HUGE),
        ("proxy",): (None, 5, True, [], "x", "", {"nope": 1}, LONG, "a\x00b", HUGE),
        ("data",): (5, [], {}, True, HUGE),
        ("trials",): COUNT,
        ("time_limit",): (5.5, [], {}, True, "x", "", "-5m", NAN, HUGE, "a\x00b"),
        ("sampler",): CHOICE,
        ("seed",): (*WHOLE, 2**31),
        ("objective",): CHOICE,
        ("max_params",): ([], {}, True, "x", "", "0", "-1", NAN, HUGE, "a\x00b"),
        ("max_activations",): ([], {}, True, "x", "", "0", "-1", NAN, HUGE, "a\x00b"),
        ("max_latency",): ([], {}, True, "x", "", "0ms", "-1ms", "5", NAN, HUGE),
        ("scheduler",): tuple(value for value in CHOICE if value is not None),  # None: the default
        ("eta",): (*COUNT, 1),
        ("min_epochs",): COUNT,
        ("confirm",): ([], {}, True, "x", "", "3", "0x3", NAN, HUGE),
        ("reference",): ([], {}, 5, "x", "", NAN, HUGE, "a\x00b"),
        ("engine",): CHOICE,
        ("workers",): (2, *COUNT),
        ("cpus_per_trial",): (1, *POSITIVE),
        ("gpus_per_trial",): (1, *NONNEGATIVE),
        ("gpu_memory",): ("40GB", [], {}, 5, "x", ""),
        ("ray_address",): ("x", [], {}, 5),
        ("study",): ([], {}, 5, True, "a b", "", LONG, ESCAPE, "a/\x00b", HUGE),
        ("resume",): ("x", 5, [], {}, NAN, True, HUGE),
        ("storage",): ("x", [], {}, 5, True, "mysql://u:SECRET@h/d", "sqlite:///x.db", "a\x00b"),
        ("device",): ([], {}, 5, True, None),
        ("threads",): COUNT,
    },
    needed=[("budget",)],
)  # fmt: skip

AXES = {
    "depth": {"integers": [1, 3], "per_stage": True},
    "base_width": {"log_integers": [8, 32], "count": 3, "multiple_of": 4},
    "kernel_size": {"choices": [3, 5, 7], "per_stage": ["a", "a"]},
    "ratio": {"choices": ["1:1", "1:3"]},
    "block": {"choices": {"v1": {"grn": False}, "v2": {"grn": True, "layer_scale": None}}},
}
SPACE = Noun(
    "space",
    [
        _search("--space"),
        Slot("analysis.scale", "--space", ("sweep", "--to", "48M", "--space", "FILE"), ".yaml",
             {"runs/sweep": stocked("sweep")}),
    ],
    {
        "name": "own", "about": "x", "base": {"stages": [{"depth": 1, "width": 8}, {"depth": 1,
            "width": 16}]},
        "axes": {name: AXES[name] for name in ("depth", "base_width", "kernel_size", "block")},
        "derive": {"width": {"base": "base_width", "growth": 2, "multiple_of": 4}},
    },
    {
        ("base",): (5, True, [], "x", "", {}, {"stages": []}, {"stages": "x"}, NAN, LONG, "a\x00b", DEEP,
            HUGE),
        ("axes",): (*MAPPING, {}, None),
        ("axes", "depth"): (*MAPPING, {}, None, {"nope": 1}, {"choices": [1], "integers": [1, 2]}),
        ("axes", "depth", "integers"): (*PAIR, [3, 1], [0, 2], [1, 10**9], [1, 10**30], [True, 2], [-5,
            2], None),
        ("axes", "depth", "per_stage"): ("x", 5, [], ["a"], ["a", "b", "c"], {}, "a\x00b"),
        ("axes", "depth", "step"): COUNT,
        ("axes", "base_width", "log_integers"): (*PAIR, [0, 5], [-1, 5], [32, 8], [1, 10**30], None),
        ("axes", "base_width", "count"): (*COUNT, 10**9, None, True),
        ("axes", "base_width", "multiple_of"): (*COUNT, 10**30, True),
        ("axes", "kernel_size", "choices"): (
            "x", 5, {}, [], [None], [[]], ["x"], [{}], [0], [-1], [2.5], [NAN], [10**9], [3, 3], [True],
                {"a": 5},
            {"a": {}}, {"a": {"nope": 1}}, DEEP, HUGE, [HUGE], ["a\x00b"], [LONG],
        ),
        ("axes", "kernel_size", "per_stage"): ([None], "x", ["a", "b", "c"], 5, {}),
        ("axes", "block", "choices"): ({"v1": 5}, {"v1": {}}, {"v1": {"nope": 1}}, {"v1": {"grn": 5}}, {},
            [], 5),
        ("axes", "nope"): ({"choices": [1, 2]},),
        ("axes", "layer_scale"): ({"choices": ["x"]}, {"choices": [-1]}, {"choices": [NAN]},
            {"choices": [True]}),
        ("axes", "norm"): ({"choices": ["x"]}, {"choices": [5]}, {"choices": [None]},
            {"choices": ["layer", "layer"]}),
        ("axes", "downsampling"): ({"choices": ["x"]}, {"choices": [True]}),
        ("axes", "drop_path"): ({"choices": [2]}, {"choices": [-1]}, {"choices": [NAN]}),
        ("axes", "expansion"): ({"choices": [0]}, {"choices": [-1]}, {"choices": [NAN]}, {"choices": ["x"]}),
        ("axes", "stem.patch_size"): ({"choices": [0]}, {"choices": ["x"]}, {"choices": [1000]}),
        ("derive",): (*MAPPING[:-1], HUGE),
        ("derive", "width"): (*MAPPING, {}, None, {"nope": 1}, {"base": "x"}, {"ratio": "x", "base": "y"},
            {"lookup": []},
                              {"lookup": "nope", "values": {}}),
        ("derive", "width", "base"): (5, True, [], {}, None, "nope", "", "a\x00b"),
        ("derive", "width", "growth"): (0, -1, NAN, [], [1], [1, 2, 3], ["x", "y"], "nope", {}, None,
            10**30, HUGE),
        ("derive", "width", "multiple_of"): COUNT,
        ("derive", "nope"): ({"base": "base_width"},),
        ("derive", "depth"): ({"base": "base_width"}, {"ratio": "kernel_size"}, {"ratio": "block",
            "times": "kernel_size"}),
    },
    needed=[("axes",), ("axes", "base_width", "count"), ("derive", "width", "base")],
    mappings=[(), ("axes", "depth"), ("axes", "base_width"), ("base",), ("derive", "width")],
)  # fmt: skip

PROXY_FILE = Noun(
    "proxy",
    [
        Slot("nas.measure", "--proxy", ("tiny.json", "--seeds", "1", "--proxy", "FILE"), ".yaml",
             {"tiny.json": stocked("tiny.json"), **CACHE}),
        Slot("nas.search", "--proxy", (*SEARCH, "--proxy", "FILE"), ".yaml", CACHE),
    ],
    PROXY,
    {
        ("data",): (5, True, None, [], {}, "", "x", "digits:x", "imagefolder", "imagefolder:nope", LONG,
            "a\x00b", HUGE),
        ("num_classes",): (*COUNT, 1, 11),
        ("resolution",): (*COUNT, 1, 10**9),
        ("train_size",): COUNT,
        ("val_size",): COUNT,
        ("data_seed",): WHOLE,
        ("epochs",): COUNT,
        ("batch_size",): COUNT,
        ("lr",): POSITIVE,
        ("min_lr",): NONNEGATIVE,
        ("warmup_epochs",): (*NONNEGATIVE, 5),
        ("weight_decay",): NONNEGATIVE,
        ("betas",): (*PAIR, [1, 1], [2, 0.5], [-1, 0.5]),
        ("clip_norm",): POSITIVE,
        ("label_smoothing",): (*SHARE, 1),
        ("mixup",): NONNEGATIVE,
        ("cutmix",): NONNEGATIVE,
        ("mixup_prob",): SHARE,
        ("flip",): SWITCH,
        ("crop_padding",): WHOLE,
        ("stochastic_depth",): (*SHARE, 1),
        ("layer_scale",): (*POSITIVE, None),
        ("head_init_scale",): POSITIVE,
        ("precision",): CHOICE,
        ("device",): (5, True, None, [], {}, "x", "cuda:99", "a\x00b", HUGE),
    },
)  # fmt: skip

_COLUMN = (
    5,
    True,
    None,
    [],
    {},
    "",
    "nope",
    NAN,
    HUGE,
    LONG,
    "a\x00b",
    {"column": "nope"},
    {"nope": "depth"},
)
TABLE_FILE = Noun(
    "table",
    [
        Slot("nas.search", "--proxy", ("--budget", "100", "--trials", "2", "--proxy", "table:FILE"), ".yaml",
             {"t.csv": "depth,code,macs,acc\n1,ab,99,0.5\n2,ab,100,0.6\n3,ba,98,0.4\n"}),
    ],
    {"table": "t.csv", "axes": {"depth": "depth", "layer": {"column": "code", "characters": True}},
        "costs": {"macs": "macs"}, "accuracies": "acc", "percent": False},
    {
        ("table",): (5, True, None, [], {}, "", "nope.csv", "t", ".", LONG, HUGE, "a\x00b", "/dev/zero"),
        ("name",): (True, [], {}, "", "two\nlines", LONG),
        ("key",): (5, True, [], {}, ""),
        ("axes",): (*MAPPING, {}, None, ["nope"], ["depth", "depth"], [5]),
        ("axes", "depth"): (*_COLUMN, {"column": "code"}),
        ("axes", "layer"): (*_COLUMN, {"column": "code", "characters": True, "split": "-"},
            {"column": "code", "split": ""}),
        ("costs",): (*MAPPING, {}, None, {"nope": "macs"}, {"params": "macs"}),
        ("costs", "macs"): (*(value for value in _COLUMN if value is not None), "code",
            {"column": "macs", "times": 0}, {"column": "macs", "times": NAN},
            {"column": "macs", "times": 1e-9}),
        ("accuracies",): (5, True, None, [], {}, "", "nope", "macs", "code", [[]], ["acc", "nope"],
            [["acc"], []]),
        ("percent",): SWITCH,
    },
    needed=[("table",), ("axes",), ("costs",), ("accuracies",)],
    mappings=[(), ("costs",), ("axes", "layer")],
)  # fmt: skip

STAGE = {
    "depth": 1, "width": 16, "kernel_size": 7, "expansion": 4, "style": "inverted", "conv": "depthwise",
    "group_width": None, "spatial": "first", "norm_after": [1], "act_after": [2], "grn": False,
}  # fmt: skip
NETWORK = {
    "stages": [STAGE, {**STAGE, "width": 32}],
    "stem": {"type": "patchify", "patch_size": 4, "width": None, "norm": True, "activation": False},
    "downsampling": "separate", "norm": "layer", "activation": "gelu", "layer_scale": 1e-6, "drop_path": 0.0,
    "head_norm": True,
}  # fmt: skip
_ORDER = (0, 4, -1, "x", [4], [1, 1], [0], ["x"], [None], 5, {}, [NAN], HUGE, True)
ARCHITECTURE = Noun(
    "architecture",
    [
        Slot("space.describe", "network", ("FILE",), ".json"),
        Slot("space.describe", "network", ("FILE",), ".yaml"),
        Slot("nas.measure", "networks", (*MEASURE[1:], "FILE"), ".json"),
        Slot("nas.export", "--arch", ("--arch", "FILE", "--to", "native", "--out", "exported"), ".json"),
        Slot("nas.evaluate", "--network", ("bare.pt", "--data", "imagefolder:images", "--workers", "0",
            "--network", "FILE"),
             ".json", {"bare.pt": stocked("weights/bare.pt"), "images": stocked("images")}),
    ],
    NETWORK,
    {
        ("stages",): (*LIST, None, [], [{}], [{"depth": 1}], [{"depth": 1, "width": 8}] * 50, DEEP),
        ("stages", 0): (*MAPPING, {}, None),
        ("stages", 0, "depth"): (*COUNT, 10**9, True, None),
        ("stages", 0, "width"): (*COUNT, 10**9, True, None),
        ("stages", 0, "kernel_size"): (*COUNT, 2, 4, 101, True, None),
        ("stages", 0, "expansion"): (*POSITIVE, 1e30, 1e-30, True, None),
        ("stages", 0, "style"): CHOICE,
        ("stages", 0, "conv"): CHOICE,
        ("stages", 0, "group_width"): ("x", "", -1, 0, 1.5, NAN, [], {}, HUGE, True),
        ("stages", 0, "spatial"): CHOICE,
        ("stages", 0, "norm_after"): _ORDER,
        ("stages", 0, "act_after"): _ORDER,
        ("stages", 0, "grn"): SWITCH,
        ("stem",): (*MAPPING, None),
        ("stem", "type"): CHOICE,
        ("stem", "patch_size"): (*COUNT, 1000, True, None),
        ("stem", "width"): ("x", "", -1, 0, 1.5, NAN, [], {}, HUGE, True, 10**9),
        ("stem", "norm"): SWITCH,
        ("stem", "activation"): SWITCH,
        ("downsampling",): CHOICE,
        ("norm",): CHOICE,
        ("activation",): CHOICE,
        ("layer_scale",): (*(value for value in POSITIVE if value != ""), True),
        ("drop_path",): (*SHARE, 1, True, None),
        ("head_norm",): SWITCH,
    },
    needed=[("stages",)],
    mappings=[(), ("stem",), ("stages", 0)],
)  # fmt: skip

SWIN = Noun(
    "Swin architecture",
    [Slot("space.describe", "network", ("FILE",), ".json")],
    {"family": "swin", "width": 32, "depths": [1, 1], "heads": [1, 2], "window": 7, "patch_size": 4,
        "mlp_ratio": 4,
     "qkv_bias": True, "drop_path": 0.0},
    {
        ("family",): ("x", "", 5, None, [], {}, "Swin", True),
        ("width",): (*COUNT, 10**9, True, None),
        ("depths",): (*LIST, [], [0], [-1], [1.5], [NAN], [1] * 50, [10**9], None),
        ("heads",): ("x", 5, {"a": 1}, [5], [0, 2], [-1, 2], ["x", 2], [1, 2, 3], None, HUGE),
        ("window",): (*COUNT, 10**9, True, None),
        ("patch_size",): (*COUNT, 10**9, True, None),
        ("mlp_ratio",): (*POSITIVE, 1e30, True, None),
        ("qkv_bias",): SWITCH,
        ("drop_path",): (*SHARE, 1, True, None),
    },
    needed=[("width",), ("depths",)],
)  # fmt: skip

PARTS = ("optimizer", "schedule", "augmentation")
RECIPE_FILE = Noun(
    "recipe",
    [
        Slot("nas.train", "recipe", ("FILE", "--data", "imagefolder:images", "--out", "out", "--workers",
            "0"), ".yaml",
             {"images": stocked("images")}),
        Slot("space.describe", "network", ("FILE",), ".yaml"),
    ],
    RECIPE,
    {
        ("architecture",): (*MAPPING, {}, None, {"stages": []}, DEEP),
        ("data",): (*MAPPING, None),
        ("data", "name"): (5, True, None, [], {}, NAN),
        ("data", "num_classes"): (*COUNT, 1),
        ("data", "resolution"): (*COUNT, 1, 31),
        ("data", "interpolation"): CHOICE,
        ("data", "eval_crop"): ABOVE_0_TO_1,
        ("epochs",): COUNT,
        ("total_batch_size",): (*COUNT, 10**9),
        ("batch_size",): COUNT,
        ("accumulation",): COUNT,
        ("devices",): COUNT,
        **{(part,): (*MAPPING, None) for part in PARTS},
        ("optimizer", "name"): CHOICE,
        ("optimizer", "lr"): POSITIVE,
        ("optimizer", "betas"): (*PAIR, [1, 0.5], [-1, 0.5]),
        ("optimizer", "eps"): POSITIVE,
        ("optimizer", "weight_decay"): NONNEGATIVE,
        ("optimizer", "layer_decay"): ABOVE_0_TO_1,
        ("schedule", "name"): CHOICE,
        ("schedule", "warmup_epochs"): NONNEGATIVE,
        ("schedule", "warmup_from"): NONNEGATIVE,
        ("schedule", "min_lr"): NONNEGATIVE,
        ("augmentation", "random_resized_crop"): (*PAIR, [1, 0.5], [0, 1], [0.5, 2]),
        ("augmentation", "crop_padding"): WHOLE,
        ("augmentation", "flip"): SWITCH,
        ("augmentation", "rand_augment"): ("x", "", 5, [], {}, True, "rand-m9-x1", LONG,
            "a\x00b"),
        ("augmentation", "color_jitter"): NONNEGATIVE,
        ("augmentation", "random_erasing"): SHARE,
        ("augmentation", "mixup"): NONNEGATIVE,
        ("augmentation", "cutmix"): NONNEGATIVE,
        ("augmentation", "mixup_prob"): SHARE,
        ("augmentation", "switch_prob"): SHARE,
        ("augmentation", "label_smoothing"): (*SHARE, 1),
        ("ema_decay",): (*SHARE, 1),
        ("clip_norm",): POSITIVE,
        ("head_init_scale",): POSITIVE,
        ("layer_scale",): (*POSITIVE, None),
        ("precision",): CHOICE,
        ("channels_last",): SWITCH,
        ("compile",): SWITCH,
        ("seed",): (*WHOLE, 2**31),
    },
    needed=[("architecture",), ("batch_size",), ("accumulation",), ("devices",), ("architecture", "stages")],
    mappings=[(), ("data",), ("architecture",), *((part,) for part in ("schedule", "augmentation"))],
)  # fmt: skip

NOUNS = (STUDY_FILE, SPACE, PROXY_FILE, TABLE_FILE, ARCHITECTURE, SWIN, RECIPE_FILE)


def cases() -> Iterator[Case]:
    """All of them."""
    for noun in NOUNS:
        for slot in noun.slots:
            yield from _texts(noun, slot)
        yield from _keys(noun, noun.slots[0])


def _case(noun: Noun, slot: Slot, kind: str, name: str, content: str | bytes | Make) -> Case:
    file = f"bad{slot.suffix}"
    argv = tuple(word.replace("FILE", file) for word in slot.argv)
    if name == "a link to itself":
        content = link(file)
    files = {**slot.files, file: content}
    secret = "SECRET" if isinstance(content, str) and "SECRET" in content else ""
    return Case(slot.command, kind, f"{noun.name} ({slot.aim})", name, argv, files, secret=secret)


def _texts(noun: Noun, slot: Slot) -> Iterator[Case]:
    for name, content in odd_texts(slot.suffix):
        yield _case(noun, slot, "odd files", f"{slot.suffix} file: {name}", content)


def _keys(noun: Noun, slot: Slot) -> Iterator[Case]:
    valid = dict(noun.valid)
    for path, values in noun.wrong.items():
        where = ".".join(map(str, path))
        for value in values:
            text = document(changed(valid, path, value), slot.suffix)
            yield _case(noun, slot, "keys of files", f"{where}: {shown(value)}", text)
    for path in noun.needed:
        yield _case(
            noun,
            slot,
            "keys of files",
            f"no {'.'.join(map(str, path))}",
            document(dropped(valid, path), slot.suffix),
        )
    for path in noun.mappings:
        for key in ("nope", "", ESCAPE, "k" * 2000):
            text = document(changed(valid, (*path, key), 1), slot.suffix)
            yield _case(
                noun, slot, "keys of files", f"{'.'.join(map(str, path))}: unknown key {shown(key)}", text
            )
