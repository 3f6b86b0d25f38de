"""A proxy that trains in a fraction of a second, and a search over small networks under it."""

import uuid

import pytest
import sqlalchemy

from nas import search
from tests.nas import postgres

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


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a real PostgreSQL server, for this test process."""
    if postgres.programs() is None:
        pytest.fail("needs PostgreSQL: apt-get install postgresql")
    with postgres.server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server):
    """The URL of an empty database."""
    name = f"study_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(
        postgres_server.replace("://", "+psycopg://") + "/postgres", isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"create database {name}"))
    engine.dispose()
    return f"{postgres_server}/{name}"
