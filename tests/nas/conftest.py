"""A proxy that trains in a fraction of a second, and a search over small networks under it."""

import pytest

from nas import search

TINY_PROXY = """\
data: digits
resolution: 32
train_size: 96
val_size: 64
epochs: 2
batch_size: 32
lr: 4.0e-3
warmup_epochs: 0.5
layer_scale: 1.0
stochastic_depth: 0.0
"""


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty current folder with `tiny.yaml`, and a data cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "tiny.yaml").write_text(TINY_PROXY)
    return tmp_path


@pytest.fixture
def run(workplace, capsys):
    """Runs a search over the micro space in the workplace; returns exit code, output, errors."""

    def run_search(*flags, reference=False):
        flags = ["--space", "micro", "--proxy", "tiny.yaml", *flags]
        if not reference:
            flags.append("--no-reference")
        if "--resume" not in flags and "--budget" not in flags:
            flags += ["--budget", "20M..40M"]
        code = search.main([str(flag) for flag in flags])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_search
