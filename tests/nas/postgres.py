"""A PostgreSQL server of the tests' own, on a free port of this machine."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path


def programs():
    """The folder of initdb and postgres, or None."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((place for place in reversed(places) if (place / "initdb").exists()), None)


@contextlib.contextmanager
def server():
    """The URL of a running server, without a database; it is gone afterwards."""
    # the server refuses to run as root
    account = "postgres" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        data = Path(folder) / "data"
        data.mkdir()
        if account:
            person = pwd.getpwnam(account)
            for path in (Path(folder), data):
                os.chown(path, person.pw_uid, person.pw_gid)
        as_account = {"user": account, "cwd": folder} if account else {"cwd": folder}
        tools = programs()
        subprocess.run(
            [tools / "initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True, capture_output=True, **as_account,
        )  # fmt: skip
        control = [tools / "pg_ctl", "-D", data, "-w"]
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
        subprocess.run(
            [*control, "-o", options, "-l", Path(folder) / "log", "start"],
            check=True, capture_output=True, **as_account,
        )  # fmt: skip
        try:
            yield f"postgresql://tester@127.0.0.1:{port}"
        finally:
            subprocess.run(
                [*control, "-m", "immediate", "stop"], check=True, capture_output=True, **as_account
            )
