"""What the tests of proxies train on."""

import pytest

from nas.data import load


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load("digits", 16, 128, 64, cache_dir=tmp_path_factory.mktemp("cache"))
