"""Latency: measured on the device, remembered in a file that may be damaged or shared."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from nas.training import latency
from nas.training.latency import LatencyCache, measure
from nas.training.result import TrialFailed
from space.errors import InputError
from space.families import named
from space.space_file import load_space

SMALL, OTHER = load_space("micro").sample(2, seed=0)


@pytest.fixture
def passes(monkeypatch):
    """Measurements, made up: 1 ms, 2 ms, ... as they come."""
    calls = []

    def made_up(architecture, device, threads=None):
        calls.append((architecture.fingerprint, device, threads))
        return 1e-3 * len(calls)

    monkeypatch.setattr(latency, "measure", made_up)
    return calls


def test_a_large_network_takes_longer_than_a_small_one():
    small = measure(SMALL, "cpu", 1)
    assert 0 < 5 * small < measure(named("convnext_tiny"), "cpu", 1)


def test_a_measurement_leaves_threads_and_randomness_as_they_were():
    before = torch.get_num_threads()
    measure(SMALL, "cpu", before + 1)
    assert torch.get_num_threads() == before
    with pytest.raises(InputError, match="threads: 0"):
        measure(SMALL, "cpu", 0)


def test_the_passes_are_repeated_and_the_median_is_taken(monkeypatch):
    times = iter([9.0] * latency.LEAST_WARM + [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 50.0, 60.0, 70.0])
    seen = []

    def timer(network, image):
        assert not network.training and torch.is_inference_mode_enabled()
        assert image.shape == (1, 3, 224, 224)
        assert image.is_contiguous(memory_format=torch.channels_last)
        assert next(network.parameters()).is_contiguous(memory_format=torch.channels_last)
        seen.append(network)
        return lambda: next(times)

    monkeypatch.setattr(latency, "_timer", timer)
    monkeypatch.setattr(latency, "WARM_SECONDS", 0)
    monkeypatch.setattr(latency, "SECONDS", 0)
    assert measure(SMALL, "cpu") == 2.5
    assert len(seen) == 1 and next(times, None) is None


def test_a_device_that_is_not_there_is_a_failure():
    with pytest.raises(TrialFailed, match="cannot be used"):
        measure(SMALL, "cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_is_waited_for():
    small, large = measure(SMALL, "cuda"), measure(named("convnext_xlarge"), "cuda")
    assert 0 < small < large


def test_a_network_is_measured_once_for_a_device_and_threads(tmp_path, passes):
    cache = LatencyCache(tmp_path)
    assert cache.seconds(SMALL, "cpu", 1) == 1e-3
    assert cache.seconds(SMALL, "cpu", 1) == 1e-3
    assert cache.seconds(OTHER, "cpu", 1) == 2e-3
    assert cache.seconds(SMALL, "cpu", 2) == 3e-3
    assert LatencyCache(tmp_path).seconds(SMALL, "cpu", 1) == 1e-3
    assert len(passes) == 3
    keys = list(json.loads(cache.path.read_text())["seconds"])
    assert SMALL.fingerprint in keys[0] and torch.__version__ in keys[0] and "1 threads" in keys[0]
    assert latency.device_name("cpu") in keys[0]


def test_another_torch_measures_again(tmp_path, passes, monkeypatch):
    LatencyCache(tmp_path).seconds(SMALL, "cpu", 1)
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert LatencyCache(tmp_path).seconds(SMALL, "cpu", 1) == 2e-3


def test_the_default_is_the_cache_folder(tmp_path, passes, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert latency.latency(SMALL, "cpu") == latency.latency(SMALL, "cpu") == 1e-3
    assert (tmp_path / "convnext-nas" / "latency.json").is_file()


DAMAGED = [
    b"",
    b"{",
    b"[1, 2]",
    b"null",
    b"\xff\xfe\x00",
    b'{"version": 1}',
    b'{"version": 1, "seconds": [3]}',
    b'{"version": 99, "seconds": {"a": 1.0}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_written_anew(tmp_path, passes, text):
    (tmp_path / latency.FILE).write_bytes(text)
    assert LatencyCache(tmp_path).seconds(SMALL, "cpu", 1) == 1e-3
    assert LatencyCache(tmp_path).seconds(SMALL, "cpu", 1) == 1e-3
    assert list(tmp_path.iterdir()) == [tmp_path / latency.FILE]  # and nothing half-written stays


def test_only_times_are_believed(tmp_path, passes):
    cache = LatencyCache(tmp_path)
    cache.seconds(SMALL, "cpu", 1)
    held = json.loads(cache.path.read_text())
    key = next(iter(held["seconds"]))
    for value in ("fast", None, True, -1.0, 0, float("nan"), float("inf"), [1e-3]):
        cache.path.write_text(json.dumps(held | {"seconds": {key: value, "other": 1.0}}))
        assert LatencyCache(tmp_path).seconds(SMALL, "cpu", 1) == 1e-3 * len(passes)
    assert len(passes) == 9


def test_two_writers_keep_each_others_measurements(tmp_path, passes):
    one, two = LatencyCache(tmp_path), LatencyCache(tmp_path)
    first = one.seconds(SMALL, "cpu", 1)
    assert two.seconds(OTHER, "cpu", 1) == 2e-3 and two.seconds(SMALL, "cpu", 1) == first
    assert one.seconds(OTHER, "cpu", 1) == 2e-3
    assert len(passes) == 2


def test_a_file_is_whole_at_every_moment(tmp_path, passes):
    networks = load_space("micro").sample(30, seed=1)
    cache = LatencyCache(tmp_path)
    cache.seconds(networks[0], "cpu", 1)

    def reading(_):
        return [json.loads(cache.path.read_text())["version"] for _ in range(100)]

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(reading, None)
        for network in networks:
            cache.seconds(network, "cpu", 1)
        assert set(reader.result()) == {latency.VERSION}


def test_a_folder_that_becomes_unwritable_costs_no_measurement(tmp_path, passes, caplog):
    folder = tmp_path / "cache"
    cache = LatencyCache(folder)
    folder.rmdir()
    assert cache.seconds(SMALL, "cpu", 1) == cache.seconds(SMALL, "cpu", 1) == 1e-3
    assert "cannot be written" in caplog.text
