"""The browser that the tests of the pages share, and the database of studies that are not files."""

import pytest

from tests.analysis.chromium import chromium
from tests.nas.conftest import postgres_server, postgres_url  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running
