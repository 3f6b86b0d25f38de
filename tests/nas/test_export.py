"""Exports as a user makes them: one folder a network, checked, with a README of its own."""

import ast
import contextlib
import dataclasses
import errno
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from nas import export, search
from nas.recipe.recipe import read_recipe
from nas.record.record import Record
from nas.record.study import Study, read_study
from nas.targets.exportable import Exportable, by_itself
from nas.targets.folder import check_folder, write
from nas.targets.head import Head, head_of, images_of
from nas.targets.target import Mismatch
from nas.verdict.pick import recommend
from space import describe
from space.architecture import Architecture
from space.errors import InputError
from space.network import build

SEARCH = [
    "--space",
    "micro",
    "--budget",
    "20M..40M",
    "--proxy",
    "simulated:interacting",
    "--sampler",
    "random",
]
SEARCH += ["--trials", "8", "--seed", "1"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "small"
    assert search.main([*SEARCH, "--objective", "best", "--confirm", "3x2", "--study", str(folder)]) == 0
    return folder


@pytest.fixture
def ran(capsys):
    def run(*arguments):
        code = export.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_default_is_one_folder_with_a_readme(study, ran, tmp_path):
    code, out, err = ran(study, "--out", tmp_path / "net")
    assert (code, err) == (0, "")
    files = written(tmp_path / "net")
    assert {"README.md", "architecture.json", "recipe.yaml", "python/model.py"} <= set(files)
    (pick,) = recommend(read_study(str(study))).picks
    best = pick.tried
    kept = json.loads((tmp_path / "net/architecture.json").read_text())
    assert kept["fingerprint"] == best.fingerprint and kept["macs"] == best.macs
    readme = (tmp_path / "net/README.md").read_text()
    for words in (
        best.fingerprint,
        "## Cost",
        "## Evidence",
        "fresh seeds",
        "python -m nas.train recipe.yaml",
        f"trial {best.trial} of small",
        "simulated:interacting",
    ):
        assert words in readme, words  # fmt: skip
    assert "verified with torch" in out
    assert describe.main([str(tmp_path / "net/architecture.json")]) == 0


def test_the_folder_of_a_study_is_the_default(study, ran):
    assert ran(study, "--trial", 3, "--to", "native")[0] == 0
    recipe = yaml.safe_load((study / "export/trial-3/recipe.yaml").read_text())
    trial = Record.read(str(study)).trial(3)
    network, asked = (Architecture.from_dict(v) for v in (recipe["architecture"], trial.architecture))
    assert network.stages == asked.stages and network.norm == asked.norm


def test_several_budgets_are_a_folder_for_each_pick(ran, tmp_path):
    several = [*SEARCH, "--budget", "20M,40M", "--study", str(tmp_path / "several")]
    assert search.main(several) == 0
    assert ran(tmp_path / "several", "--to", "native", "--out", tmp_path / "out")[0] == 0
    picks = {f"trial-{p.tried.trial}" for p in recommend(read_study(str(tmp_path / "several"))).picks}
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == picks and len(picks) == 2


def test_a_front_is_a_folder_for_each_of_its_networks(ran, tmp_path_factory, tmp_path):
    study = tmp_path_factory.mktemp("front") / "small"
    assert search.main([*SEARCH, "--objective", "front", "--confirm", "3x2", "--study", str(study)]) == 0
    assert ran(study, "--front", "--to", "native", "--out", tmp_path)[0] == 0
    costs = {}
    for folder in tmp_path.iterdir():
        kept = json.loads((folder / "architecture.json").read_text())
        assert folder.name == f"trial-{kept['evidence']['trial']}"
        costs[kept["macs"]] = kept
    again = {t.of for t in Record.read(str(study)).trials() if t.is_confirmation}
    assert costs and all(kept["evidence"]["trial"] in again for kept in costs.values())


def test_a_named_network_needs_no_study(ran, tmp_path):
    assert ran("--arch", "convnext_tiny", "--to", "native", "--gpus", 4, "--gpu-memory", "24GB",
               "--out", tmp_path / "t")[0] == 0  # fmt: skip
    recipe = yaml.safe_load((tmp_path / "t/recipe.yaml").read_text())
    assert recipe["devices"] == 4 and recipe["total_batch_size"] == 4096
    assert recipe["architecture"]["drop_path"] == 0.1
    readme = (tmp_path / "t/README.md").read_text()
    assert "4.456 GFLOPs" in readme and "28.59 M parameters" in readme and "## Evidence" not in readme


def test_a_target_that_was_named_refuses_and_nothing_is_written(ran, tmp_path):
    code, out, err = ran("--arch", "resnet50", "--to", "native", "transformers", "--out", tmp_path / "r")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith("nas.export: resnet50: transformers: ") and "nothing was written" in err
    assert not (tmp_path / "r").exists()


def test_weights_are_exported_with_the_network(ran, tmp_path):
    architecture = Architecture.convnext([1, 1, 1, 1], [8, 16, 24, 32])
    (tmp_path / "a.json").write_text(architecture.to_json())
    model = build(architecture, num_classes=7).eval()
    average = {name: value / 2 for name, value in model.state_dict().items()}
    torch.save({"model": model.state_dict(), "model_ema": average}, tmp_path / "w.pth")
    arguments = ("--arch", tmp_path / "a.json", "--to", "python", "--weights", tmp_path / "w.pth")
    code, out, err = ran(*arguments, "--num-classes", 9, "--out", tmp_path / "no")
    assert (code, out) == (2, "") and not (tmp_path / "no").exists()
    assert f"--num-classes: 9; the head of {tmp_path / 'w.pth'} has 7 outputs" in err
    code, out, _ = ran(*arguments, "--out", tmp_path / "yes")
    assert code == 0 and "classes      7, as the head of w.pth has\n" in out
    assert "weights      moving average of the weights, of w.pth\n" in out
    kept = torch.load(tmp_path / "yes/python/weights.pt", weights_only=True)
    assert all(torch.equal(kept[name], value) for name, value in average.items())
    readme = (tmp_path / "yes/README.md").read_text()
    assert "## Weights\n\nmoving average of the weights, of w.pth.\n" in readme
    assert "num_classes: int = 7" in (tmp_path / "yes/python/model.py").read_text()


def test_the_weights_are_those_that_the_checkpoint_says_were_better(ran, tmp_path):
    architecture = Architecture.convnext([1, 1], [8, 16])
    (tmp_path / "a.json").write_text(architecture.to_json())
    own = build(architecture, num_classes=3).state_dict()
    values = {"model": own, "model_ema": {name: value / 2 for name, value in own.items()}, "epoch": 4}
    names = {"classes": ["cat", "dog", "eel"], "best_weights": "model"}
    torch.save(values | names, tmp_path / "w.pt")
    arguments = ("--arch", tmp_path / "a.json", "--to", "native", "timm", "python", "--weights")
    code, out, _ = ran(*arguments, tmp_path / "w.pt", "--resolution", 64, "--out", tmp_path / "out")
    assert code == 0 and "weights, better than their moving average after epoch 4, of w.pt" in out
    kept = torch.load(tmp_path / "out/python/weights.pt", weights_only=True)
    assert all(torch.equal(kept[name], value) for name, value in own.items())
    assert "classes      3, named in w.pt\n" in out
    assert yaml.safe_load((tmp_path / "out/recipe.yaml").read_text())["data"]["classes"] == [
        "cat", "dog", "eel"
    ]  # fmt: skip
    assert yaml.safe_load((tmp_path / "out/timm/timm.yaml").read_text())["class_map"] == "classes.txt"
    for target in ("timm", "python"):
        assert (tmp_path / "out" / target / "classes.txt").read_text() == "cat\ndog\neel\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--to", "tf"), "--to: 'tf' is no target; there are native, "),
        (("--trial", "99"), "there is no trial 99; its trials are 0 to "),
        (("--trial", "1", "--front"), "--front: exports every network"),
        (("--arch", "convnext_tiny"), "--arch: names the network by itself"),
        (("--gpu-memory", "lots"), "--gpu-memory 'lots': write it like 40GB"),
        (("--gpu-memory", "1MB"), "not even one image fits, which needs"),
        (("--gpu-price", "-1"), "--gpu-price: -1 is no price"),
        (("--gpu-price", "nan"), "--gpu-price: nan is no price"),
        (("--gpu-price", "1e300"), "--gpu-price: 1e+300 is no price"),
        (("--gpus", "1000000000"), "gpus 1000000000: a total batch of 4096 does not split over them; 4096"),
        (("--gpu-memory", "1e400GB"), "--gpu-memory '1e400GB': write it like 40GB"),
        (("--classes", "nowhere.txt"), "--classes nowhere.txt: cannot be read (No such file"),
        (("--gpus", "7"), "gpus 7: a total batch of 4096 does not split"),
        (("--variant", "imagenet-2k"), "variant 'imagenet-2k': must be one of"),
        (("--resolution", "4"), "resolution 4"),
        (("--weights", "nowhere.pt"), "No such file or directory"),
    ],
)
def test_a_mistake_is_one_line(study, ran, tmp_path, arguments, words):
    code, out, err = ran(study, *arguments, "--out", tmp_path / "net")
    assert code == 2 and words in err and err.count("\n") == 1 and out == ""
    assert not (tmp_path / "net").exists()


def test_no_network_is_asked_for(ran):
    code, _, err = ran()
    assert code == 2 and "which network? Give a study, or --arch" in err


def test_what_lies_there_is_never_lost(study, ran, tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    assert "holds other things than an export" in ran(study, "--trial", 2, "--out", folder)[2]
    assert written(folder) == ["thesis.tex"]
    own = tmp_path / "own"
    assert ran(study, "--trial", 2, "--to", "native", "--out", own)[0] == 0
    (own / "log.csv").write_text("a training")
    assert ran(study, "--trial", 2, "--to", "native", "--gpus", 4, "--out", own)[0] == 0
    assert (own / "log.csv").read_text() == "a training"
    assert yaml.safe_load((own / "recipe.yaml").read_text())["devices"] == 4
    before = {name: (own / name).read_bytes() for name in written(own)}
    assert "holds another network" in ran(study, "--trial", 3, "--to", "native", "--out", own)[2]
    assert {name: (own / name).read_bytes() for name in written(own)} == before


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Mismatch("model.py: logits differ by 1"), "model.py: logits differ by 1; please report it"),
        (RuntimeError("no kernel\nmore"), "failed (RuntimeError: no kernel); please report it"),
        (SystemExit(3), "failed (SystemExit: 3); please report it"),
    ],
)
def test_a_target_that_fails_costs_itself_alone(study, ran, tmp_path, monkeypatch, error, words):
    from nas.targets import python

    def fails(chosen):
        raise error

    monkeypatch.setattr(python, "export", fails)
    code, out, err = ran(study, "--to", "native", "python", "--out", tmp_path / "net")
    assert code == 1 and err == f"nas.export: python: {words}\n"
    assert f"  python       not written: {words}\n" in out and "  native       verified with torch" in out
    assert written(tmp_path / "net") == ["README.md", "architecture.json", "recipe.yaml"]
    code, _, err = ran(study, "--to", "python", "--out", tmp_path / "none")
    assert code == 1 and err.endswith("; nothing was written\n") and not (tmp_path / "none").exists()


def test_each_target_is_said_as_it_is_checked(study, tmp_path, monkeypatch):
    from nas.targets import native, python

    said = []
    monkeypatch.setattr("builtins.print", lambda *text, **_: said.append(" ".join(map(str, text))))
    before = {}
    for module in (native, python):
        own = module.export

        def watched(chosen, own=own, name=module.NAME):
            before[name] = list(said)
            return own(chosen)

        monkeypatch.setattr(module, "export", watched)
    assert export.main([str(study), "--to", "native", "python", "--out", str(tmp_path / "net")]) == 0
    assert before["native"] and str(tmp_path / "net") in before["native"][0]
    assert any(line.startswith("  native ") for line in before["python"])
    assert said[-1] == f"  {tmp_path / 'net' / 'README.md'}"


# -- the folder


def leftovers(folder):
    return [name for name in written(folder) if ".convnext-nas-part" in name]


KILLED = """
import os, signal, sys
from pathlib import Path
from nas.targets.folder import write
at, files = int(sys.argv[1]), {f"{a}/{b}.txt": b"x" for a in ("native", "python") for b in "ab"}
calls = 0
def counted(real):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return call
for name in ("open", "fsync", "mkdir", "replace", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
write(Path(sys.argv[2]), {"architecture.json": sys.argv[3], **files, "README.md": "done"})
"""


def test_a_kill_at_any_moment_leaves_a_folder_that_the_same_command_completes(tmp_path):
    pick = by_itself("convnext_tiny")
    kept = export.architecture_json(pick, None)
    states = set()
    for at in range(1, 100):
        folder = tmp_path / str(at)
        command = [sys.executable, "-c", KILLED, str(at), folder, kept]
        finished = subprocess.run(command, check=False).returncode == 0
        if folder.exists():
            states.add(tuple(name for name in written(folder) if name not in leftovers(folder)))
        check_folder(folder, pick)
        write(folder, {"architecture.json": kept, "python/model.py": "x", "README.md": "done"})
        assert not [name for name in leftovers(folder) if not name.startswith("native/")]
        if finished:
            break
    assert finished and len(states) > 5 and () in states


def test_what_a_killed_export_left_is_removed_and_what_is_being_written_is_not(ran, tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / ".architecture.json.0123.convnext-nas-part").write_text("{")
    (folder / ".recipe.yaml.4567.convnext-nas-part").write_text("cut")
    assert ran("--arch", "convnext_tiny", "--to", "native", "--out", folder)[0] == 0
    assert written(folder) == ["README.md", "architecture.json", "recipe.yaml"]


def test_no_room_for_all_files_is_room_for_none(tmp_path, monkeypatch):
    import os

    own, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        own(handle)

    files = {
        "architecture.json": "{}",
        "recipe.yaml": "new",
        "python/model.py": "new",
        "README.md": "new",
    }
    old = tmp_path / "old"
    write(old, dict.fromkeys(files, "old"))
    monkeypatch.setattr(os, "fsync", full)
    for folder in (old, tmp_path / "deep" / "new"):
        calls.clear()
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)$"):
            write(folder, files)
    assert {name: (old / name).read_text() for name in written(old)} == dict.fromkeys(files, "old")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file", "is a file; name another folder with --out"),
        ("file/net", "file is a file; name another folder with --out"),
        ("dangling", "is a link to what is not there; name another folder with --out"),
        ("x" * 300, "File name too long"),
    ],
)
def test_an_odd_place_is_one_line_before_anything_is_checked(ran, tmp_path, place, words):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    code, out, err = ran("--arch", "convnext_tiny", "--to", "native", "--out", tmp_path / place)
    assert (code, out) == (2, "") and words in err and err.count("\n") == 1
    assert written(tmp_path) == ["file"]


# -- names


HOSTILE = (  # a name of the network's own is one printable line
    'x # <script>alert(1)</script> | `rm -rf $HOME` "\'; *a* [b](c) \\N{x} """ end'
)
NAMES = ["tench", "it's", 'a "b" $c', "\u7db2 \u7d61", "null"]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Every target of a network of an odd name with classes of odd names, and what was printed."""
    folder = tmp_path_factory.mktemp("everything")
    values = {"name": HOSTILE, "architecture": Architecture.convnext([1, 1], [8, 16]).to_dict()}
    (folder / "a.json").write_text(json.dumps(values))
    text = "\ufeff" + "\r\n".join(NAMES) + "\r\n\r\n"
    (folder / "names.txt").write_text(text, encoding="utf-8", newline="")
    given = {"--arch": "a.json", "--classes": "names.txt", "--out": "o"}
    arguments = [str(word) for flag, name in given.items() for word in (flag, folder / name)]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert export.main([*arguments, "--to", "all", "--resolution", "64"]) == 0
    return folder / "o", printed.getvalue()


def test_a_name_is_text_in_every_file(everything):
    folder, out = everything
    assert "\x1b" not in out and out.splitlines()[0].startswith("x # <script>")
    readme = (folder / "README.md").read_text()
    assert readme.startswith(r"# x \# \<script>alert(1)\</script> \| \`rm -rf \$HOME\`")
    assert readme.splitlines()[1] == ""
    for file in folder.rglob("*.py"):
        ast.parse(file.read_text())
    assert "alert(1)" in ast.get_docstring(ast.parse((folder / "python/model.py").read_text()))
    for file in folder.rglob("*.yaml"):
        text = file.read_text()
        assert isinstance(yaml.safe_load(text), dict) and "\x1b" not in text
        assert [line for line in text.splitlines() if "script" in line] == [text.splitlines()[0]]


def test_class_names_reach_every_export(everything):
    import onnx

    folder, out = everything
    assert "  classes      5, named in names.txt\n" in out
    for target in ("convnext", "timm", "torch", "python"):
        assert (folder / target / "classes.txt").read_text(encoding="utf-8").splitlines() == NAMES
    config = json.loads((folder / "transformers/config.json").read_text())
    assert config["id2label"] == {str(i): name for i, name in enumerate(NAMES)}
    assert config["label2id"] == {name: i for i, name in enumerate(NAMES)}
    assert list(read_recipe(folder / "recipe.yaml").data.classes) == NAMES
    facts = {entry.key: entry.value for entry in onnx.load(folder / "onnx/nas_a.onnx").metadata_props}
    assert json.loads(facts["classes"]) == NAMES
    assert json.loads((folder / "architecture.json").read_text())["classes"] == NAMES
    assert "class_map" not in yaml.safe_load((folder / "timm/timm.yaml").read_text())  # folders may differ
    assert '5, by label: tench, it\'s, a "b" \\$c' in (folder / "README.md").read_text()


@pytest.mark.parametrize("label", ["x" * 200, "\u7db2", "Trial 7", "a-b c"])
def test_a_label_makes_an_identifier_that_is_not_too_long(label):
    from nas.targets.source.module import camel_case, module_source

    network = Architecture.convnext([1, 1], [8, 16])
    name = Exportable(network, label, "a network").name
    assert name.isidentifier() and name.startswith("nas_") and len(name) <= 64
    module_source(network, camel_case(name), title="a network", register_as=name)


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("a\nb\na\n", (), "classes 0 and 2 are both 'a'; their names must differ"),
        ("a\n\nb\n", (), "class 1 is ''; a class's name is one line of text"),
        ("a\nb\x1b[0m\n", (), r"class 1 is 'b\x1b[0m'; a class's name is one line of text"),
        ("a\n", (), "1 names; a classifier has two classes or more"),
        ("a\nb\n", ("--num-classes", 3), "--num-classes: 3; --classes {} has 2 names"),
    ],
)
def test_class_names_that_cannot_be_are_one_line(ran, tmp_path, text, more, words):
    path = tmp_path / "names.txt"
    path.write_text(text)
    code, out, err = ran("--arch", "convnext_tiny", "--classes", path, *more, "--out", tmp_path / "o")
    assert (code, out) == (2, "") and words.format(path) in err and err.count("\n") == 1
    assert not (tmp_path / "o").exists()


def of_images(name="smoke", count=3, classes=("cat", "dog", "eel"), spec="imagefolder:/data/my photos"):
    """A pick of a study of these images, as the record has it."""
    mapping = {
        "name": "s", "trials": [], "data": {"spec": spec, "fingerprint": "f", "classes": classes},
        "proxy": {"name": name, "num_classes": count},
    }  # fmt: skip
    pick = by_itself("convnext_tiny")
    return dataclasses.replace(pick, study=Study.from_dict(mapping, Path("runs/s")), trial=0)


def asked_head(pick, *arguments):
    return head_of(pick, export.parser().parse_args(list(map(str, arguments))), None)


def test_a_study_of_the_user_s_own_images_has_their_classes():
    head = asked_head(of_images())
    assert (head.count, head.names, head.folders) == (3, ("cat", "dog", "eel"), True)
    assert head.said == "3, those of the study's data (my photos); --num-classes N for another head"
    args = export.parser().parse_args([])
    data = export.recipe_of(of_images(), args, head).data
    assert (data.name, data.num_classes, data.classes) == ("my photos", 3, ("cat", "dog", "eel"))
    older = asked_head(of_images(classes=None))
    assert (older.count, older.names) == (3, None)
    assert asked_head(of_images(), "--num-classes", 1000) == Head(1000)
    assert asked_head(of_images(spec="fractal", classes=None)) == Head()
    capped = asked_head(of_images("imagenet-subset", 100, None))
    assert capped.count is None and "the proxy took 100; --num-classes N says" in capped.said
    with pytest.raises(InputError, match=r"--classes FILE names them\): class 1 is "):
        asked_head(of_images(classes=["a", "b\nc", "d"]))


def with_images(there=None, **more):
    pick = of_images(**more)
    pick.study.mapping["data"]["there"] = there or {"classes": 3, "train": 600, "val": 200, "pixels": 64}
    return pick


def test_a_study_of_the_user_s_own_images_has_a_recipe_for_them():
    args = export.parser().parse_args(["--gpus", "2"])
    pick = with_images()
    images = images_of(pick, args)
    assert (images.name, images.train, images.classes) == ("my photos", 600, ("cat", "dog", "eel"))
    recipe = export.recipe_of(pick, args, head_of(pick, args, None, images), images)
    assert (recipe.total_batch_size, recipe.devices, recipe.data.resolution) == (32, 2, 64)
    assert recipe.data.classes == ("cat", "dog", "eel")
    assert "600 images at 64 pixels: 300 epochs of 18 steps of 32" in export.recipe_said(recipe, images)
    here = export.recipe_of(pick, export.parser().parse_args([]), Head(7), images)
    assert here.devices >= 1 and here.data.num_classes == 7 and here.data.classes is None
    # where the images lie no more, all has been written by now
    gone = export.next_of(with_images(spec="imagefolder:nowhere"), args, Path("out"))
    assert "--data imagefolder:nowhere" in gone


def test_a_study_of_some_classes_has_a_recipe_for_all_of_them():
    there = {"classes": 1000, "train": 1_281_167, "val": 50_000, "pixels": 375}
    args = export.parser().parse_args(["--gpus", "8"])
    pick = with_images(there, name="imagenet-subset", count=100, classes=None)
    images = images_of(pick, args)
    recipe = export.recipe_of(pick, args, head_of(pick, args, None, images), images)
    published = export.recipe_of(by_itself("convnext_tiny"), args, Head())
    assert recipe.changed(data={"name": "imagenet-1k"}) == published


def test_images_that_are_nobody_s_have_the_published_recipe():
    args = export.parser().parse_args([])
    for pick in (by_itself("convnext_tiny"), of_images(spec="fractal", classes=None), of_images()):
        assert images_of(pick, args) is None  # the last lies nowhere, and no count was kept
    assert export.recipe_of(by_itself("convnext_tiny"), args, Head()).devices == 8


def test_a_control_is_exported_for_the_same_images(ran, tmp_path):
    out = ran("--arch", "convnext_tiny", "--data", "digits", "--to", "native", "--out", tmp_path / "c")[1]
    recipe = read_recipe(tmp_path / "c/recipe.yaml")
    assert (recipe.data.name, recipe.data.num_classes, recipe.data.resolution) == ("digits", 10, 64)
    assert recipe.total_batch_size == 32 and "recipe       for 1," in out
    assert "No estimate" not in (tmp_path / "c/README.md").read_text()
    code, _, err = ran("--arch", "convnext_tiny", "--data", "nothing", "--out", tmp_path / "d")
    assert code == 2 and err.startswith("nas.export: data: 'nothing' is no data set")


def test_a_data_set_s_name_is_one_word_of_a_command():
    from nas.targets import convnext, native

    recipe = export.recipe_of(of_images(), export.parser().parse_args([]), asked_head(of_images()))
    for name in ("my photos", "it's", "$HOME `x`", "a;b"):
        changed = recipe.changed(data={"name": name})
        words = shlex.split(native.commands(changed)[0])
        assert words[5] == f"imagefolder:/path/to/{name}"
        assert f"/path/to/{name}/train" in shlex.split(convnext.data_flags(changed))
    with pytest.raises(InputError, match="has line breaks or control characters"):
        native.commands(recipe.changed(data={"name": "a\nb"}))
