"""One thread a test process: the networks here are too small to share, and `python -m tests` runs several.

SQLite does not wait for the disk: that guards against a power cut, which no test makes, not against kill -9.
"""

import os
import sqlite3

import hypothesis
import sqlalchemy

# how long an example takes is the machine's business
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def without_syncs(connection, _):
    if isinstance(connection, sqlite3.Connection):
        connection.execute("pragma synchronous = off")
