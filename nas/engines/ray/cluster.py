"""A Ray of our own or one that is joined: started, reached, and left in order."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nas
from space.errors import InputError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

from nas.engines.ray.resources import Node

REACH_SECONDS = 5.0  # for a first word of what should be a cluster
# the client's connection preface and empty settings; the server's first frame is its settings, of type 4
# (RFC 9113, section 3.4): Ray speaks gRPC, which is HTTP/2
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
OBJECT_STORE = 100 * 2**20  # bytes; results travel without it, the trainer does not
# what Tune would do beside running trials, switched off; the record keeps a search, not Tune
TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where verbose is 0
    # Tune's handler would wait for the epochs under way; ours raises KeyboardInterrupt
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # relative paths of a data set hold in the workers, too
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


MISSING = "engine ray: needs ray; pip install 'convnext-nas[ray]'"


def check_usable(address: str | None) -> None:
    """Raises `InputError` for what can be known of Ray without starting one."""
    if find_spec("ray") is None:
        raise InputError(MISSING)
    if address is not None:
        check_reachable(address)


def check_address(address: str) -> tuple[str, int] | None:
    """Host and port of a cluster, None for `auto`. Raises `InputError`."""
    if address == "auto":
        return None
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise InputError(
            f"engine ray: the address of a Ray cluster is HOST:PORT or auto, not {quoted(address)}"
        )
    return host.strip("[]"), int(port)


def check_reachable(address: str) -> None:
    """Raises `InputError` where no server of Ray's kind answers: Ray itself tries without end."""
    place = check_address(address)
    if place is None:
        return
    try:
        with socket.create_connection(place, timeout=REACH_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            connection.sendall(HTTP2_HELLO)
            answer = connection.recv(4)
    except (OSError, OverflowError, UnicodeError) as error:  # a host that is no name
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"engine ray: no Ray cluster at {address}: {reason}") from None
    if answer[3:4] != b"\4":
        raise InputError(f"engine ray: no Ray cluster at {address}: what listens there is something else")


def alive_nodes() -> list[dict[str, Any]]:
    """The cluster's nodes, as Ray describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def cluster_nodes() -> list[Node]:
    """What every node of the cluster has."""
    return [Node(n["Resources"].get("CPU", 0.0), n["Resources"].get("GPU", 0.0)) for n in alive_nodes()]


def session_folder() -> Path | None:
    """A folder for a local Ray's sockets and logs; None, Ray's default, where its path would be too long."""
    if len(tempfile.gettempdir()) > 30:  # a socket's path has 107 bytes, of which Ray takes some 70
        return None
    return Path(tempfile.mkdtemp(prefix="ray-"))


@contextmanager
def importable_workers() -> Iterator[None]:
    """Workers of a local Ray find this package where it is not installed, too."""
    root, before = str(Path(nas.__file__).parents[1]), os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = root if before is None else os.pathsep.join((before, root))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@contextmanager
def reachable(*, from_outside: bool) -> Iterator[None]:
    """A Ray that starts meanwhile listens on 127.0.0.1 alone unless it is to be reached `from_outside`.

    On Linux it would listen on all interfaces, and whoever reaches it runs code as this user. This is Ray's
    own switch, read when it is imported (services.py of Ray 2.60); an address of 127.0.0.1 it replaces.
    """
    from ray._private import ray_constants

    variable, before = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    given = os.environ.get(variable)
    if not from_outside:
        os.environ[variable] = "0"  # for the processes that it starts
        ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        os.environ.pop(variable, None)
        if given is not None:
            os.environ[variable] = given


@contextmanager
def own_handlers() -> Iterator[None]:
    """Ray and Tune set handlers of signals; those that were there are put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def tune_settings() -> Iterator[None]:
    """Tune's settings while it runs."""
    before = {name: os.environ.get(name) for name in TUNE_ENVIRONMENT}
    os.environ.update(TUNE_ENVIRONMENT)
    loggers = [logging.getLogger("ray.tune"), logging.getLogger("ray.train")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with own_handlers():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
