"""Forms of a training: what is on the device, what waits for it, what is captured; the curve is the same."""

import dataclasses
import re
import types
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from nas.data import load, transfer
from nas.data.augment.batch import _statistics
from nas.data.batches import Cached, Resident
from nas.proxy.proxy import load_proxy
from nas.proxy.trainer import ProxyTraining
from nas.training import form as forms
from nas.training import graphs, state
from nas.training.form import FORMS, Form, fits, form_on
from nas.training.run import Run
from nas.training.state import start
from space.architecture import Architecture

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TINY = Architecture.convnext([1, 1], [8, 16], drop_path=0.2)
PROXY = load_proxy("smoke").changed(train_size=64, val_size=32, epochs=1, warmup_epochs=0.5, crop_padding=2)


@pytest.fixture(scope="module")
def data():
    return load("digits", 32, 64, 32)


def curve(data, **fields):
    training = ProxyTraining(TINY, PROXY, data, 0, "cpu", Form(**fields))
    point = training.epoch()
    return point.train_loss, point.val_loss, point.val_accuracy


def test_every_form_gives_the_same_curve(data):
    plain = curve(data)
    assert curve(data, read_every=7, deterministic=True, resident=1.0, graphs=True) == plain
    assert curve(data, compile={"backend": "eager"}) == pytest.approx(plain)


def test_the_ninth_network_is_compiled_like_the_first(data):
    compiled = []
    form = Form(compile={"backend": lambda module, _: compiled.append(1) or module.forward})
    for width in range(1, 11):
        network = Architecture.convnext([1], [8 * width])
        ProxyTraining(network, PROXY, data, 0, "cpu", form).epoch()
        assert len(compiled) == width


def test_a_resident_data_set_gives_the_same_batches(data):
    there, here = Resident(data, CPU), Cached(data)
    wanted = [torch.tensor([5, 1, 1]), torch.tensor([0])]
    for name in ("training", "validation"):
        arguments = (0, wanted) if name == "training" else (wanted,)
        both = zip(getattr(there, name)(*arguments), getattr(here, name)(*arguments), strict=True)
        for (images, labels), (own_images, own_labels) in both:
            assert torch.equal(images, own_images) and torch.equal(labels, own_labels)
    assert list(there.validation([])) == []


def test_a_data_set_is_kept_on_a_gpu_that_it_fits(data, monkeypatch):
    held = data.train.images.nbytes + data.val.images.nbytes
    card = types.SimpleNamespace(total_memory=50 * held)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    assert fits(data, CUDA) and not fits(data, CUDA, Form()) and not fits(data, CPU, Form(resident=1.0))
    card.total_memory -= 50
    assert not fits(data, CUDA)
    assert form_on(CUDA) is FORMS["cuda"] and form_on(CPU) is FORMS["cpu"]
    assert forms.PER_CARD > 0


def test_a_capture_leaves_no_trace(data, monkeypatch):
    network = dataclasses.replace(TINY, norm="batch")
    recipe = PROXY.recipe(network, data.num_classes, len(data.train))
    run = Run(recipe, Cached(data), 0, CPU, "fp32")
    kept = start(run).network
    before = {name: value.clone() for name, value in kept.state_dict().items()}
    randomness = torch.get_rng_state()
    seen = []

    def capture(module, arguments):  # as torch does it: passes of the module, in training
        seen.append((arguments[0].shape, torch.is_autocast_cache_enabled()))
        assert module.training
        module(*arguments)

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture)
    graphs.capture(kept.eval(), recipe, CPU, "fp32")
    assert seen == [((32, 3, 32, 32), False)]
    assert torch.equal(torch.get_rng_state(), randomness)
    assert all(torch.equal(value, before[name]) for name, value in kept.state_dict().items())


@pytest.mark.parametrize(("compiled", "accumulation", "captured"), [(None, 1, 1), (None, 2, 0), ({}, 1, 0)])
def test_only_passes_that_are_a_whole_step_are_captured(data, monkeypatch, compiled, accumulation, captured):
    calls = []
    monkeypatch.setattr(state, "capture", lambda *_: calls.append(1))
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    recipe = PROXY.recipe(TINY, data.num_classes, len(data.train))
    recipe = recipe.changed(batch_size=recipe.batch_size // accumulation, accumulation=accumulation)
    run = Run(recipe, Cached(data), 0, torch.device("cuda"), "fp32", form=Form(compiled, graphs=True))
    state._forward(run, torch.nn.Identity())
    assert len(calls) == captured


def test_what_a_step_is_given_waits_for_no_device(monkeypatch):
    monkeypatch.setattr(transfer, "pinned", lambda values: values)
    values = Mock(device=CPU)
    transfer.moved(values, CUDA)
    values.to.assert_called_once_with(CUDA, non_blocking=True)
    values.to.reset_mock()
    assert transfer.moved(values, CPU) is values and not values.to.called
    for path in (Path(transfer.__file__).parent / "augment").glob("*.py"):
        assert not re.search(r"\.to\((\w+\.)?device\)", path.read_text()), path
    assert _statistics(CPU) is _statistics(CPU)
