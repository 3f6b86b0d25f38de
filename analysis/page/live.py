"""The dashboard from a server that follows running studies: `python -m analysis.dashboard STUDY... --serve`.

One thread reads the records while browsers ask what is new, every second: when they have changed, and for a
small share of the time. Dash carries it; the page and its script are the same as in the file.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from analysis.page.markup import PLOTLY, THEME_BUTTON, asset, script
from analysis.page.page import PANEL, SCRIPTS, STYLES, Page, payload, suited, view_of
from analysis.page.view import View
from nas.record.study import Study, read_study
from space.errors import InputError, reason

if TYPE_CHECKING:
    from dash import Dash
    from flask import Response

NO_DASH = "--serve needs dash: pip install 'convnext-nas[dashboard]'"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLL = 1.0  # seconds between two looks at a study's files
POSTGRES_POLL = 5.0  # a database elsewhere has no file to look at
# of the time, at most, that reading the records, and each of the views, may take
SHARE = 0.2
MOST_BODY = 16 << 10  # bytes of a request; the page's own have 300
UPDATE = "/_dash-update-component"
SUITES = "/_dash-component-suites/"
ROUTES = ("/", "/plotly.js", "/dashboard.js", "/dashboard.css", "/_dash-layout", "/_dash-dependencies")
PUBLISH = 2.0  # seconds until what is ready is shown while slower views are still computed
COMPUTING = "Being computed."
IDLE = 90.0  # seconds without a browser until nothing is read; a tab behind others asks once a minute


@dataclass
class Section:
    """A view of the page: made again when the studies have changed, but only for a share of the time."""

    module: str
    view: View
    due: float = 0.0
    outdated: bool = True
    seconds: float = 0.0

    def make(self, studies: Sequence[Study]) -> None:
        """The view of the studies as they are now."""
        began = time.monotonic()
        self.view = view_of(self.module, studies)
        self.seconds = time.monotonic() - began
        self.due = time.monotonic() + self.seconds / SHARE
        self.outdated = False


@dataclass
class Followed:
    """A study: what it held when its files last changed."""

    name: str
    study: Study
    mark: object
    due: float = 0.0
    running: bool = False


@dataclass
class Follower:
    """The page of some studies, kept up to date by `follow`; `text` is its payload, `version` counts them.

    Raises `InputError` where a study cannot be read at first.
    """

    names: Sequence[str]
    modules: Sequence[str] | None = None  # those that suit the studies
    version: int = 0
    text: str = ""
    read: datetime = field(default_factory=datetime.now)
    problem: str = ""
    asked: float = field(default_factory=time.monotonic)  # when a browser last did

    def __post_init__(self) -> None:
        self.studies = [_followed(name) for name in self.names]
        modules = suited([one.study for one in self.studies]) if self.modules is None else self.modules
        self.sections = [
            Section(name, View(name, name.capitalize(), "", empty=COMPUTING)) for name in modules
        ]
        self._published = 0.0

    @property
    def running(self) -> bool:
        """Whether a search is writing to one of the studies."""
        return any(followed.running for followed in self.studies)

    @property
    def status(self) -> str:
        """When the studies were read, and whether there is more to come; or why they cannot be read."""
        if self.problem:
            return self.problem
        searching = "a search is running" if self.running else "no search is running"
        return f"Read at {self.read:%H:%M:%S}; {searching}."

    def follow(self, stop: threading.Event) -> None:
        """Look again and again while a browser asks, until `stop` is set."""
        while not stop.is_set():
            if not self.version or time.monotonic() - self.asked < IDLE:
                self.look()
            stop.wait(POLL)

    def look(self) -> None:
        """Read what has changed, and make the views that are due; the quick ones first."""
        changed = [followed for followed in self.studies if self._read(followed)]
        if changed:
            self.read = datetime.now()
            for section in self.sections:
                section.outdated = True
        now = time.monotonic()
        due = [section for section in self.sections if section.outdated and section.due <= now]
        for section in sorted(due, key=lambda section: section.seconds):
            section.make([followed.study for followed in self.studies])
            if time.monotonic() - self._published > PUBLISH:
                self.publish()
        if changed or due:
            self.publish()

    def publish(self) -> None:
        """Show what there is."""
        views = [section.view for section in self.sections if section.view.empty != COMPUTING]
        page = Page([followed.study for followed in self.studies], views, live=True)
        self.text = payload(page)
        self.version += 1
        self._published = time.monotonic()

    def _read(self, followed: Followed) -> bool:
        """Whether the study was read again, and another one was found: its files change without it, too."""
        mark = _mark(followed.study)
        changed = mark != followed.mark and time.monotonic() >= followed.due
        began, known = time.monotonic(), followed.study
        try:
            if changed:
                followed.study = read_study(followed.name)
            if changed or followed.running:
                followed.running = _is_running(followed.study)
        except (InputError, OSError) as error:  # a database that is locked just now: shown, and tried again
            self.problem = f"Cannot be read: {InputError(str(error))}"
            return False
        finally:
            if changed:
                followed.due = time.monotonic() + (time.monotonic() - began) / SHARE
        if not changed:
            return False
        self.problem = ""
        followed.mark = mark  # of before the reading: what was written meanwhile is read the next time
        return followed.study != known


def _followed(name: str) -> Followed:
    study = read_study(name)
    return Followed(name, study, mark=None, running=_is_running(study))


def _mark(study: Study) -> object:
    """Something that changes when the record does."""
    folder = study.folder or Path()
    if (folder / "study.json").exists():
        return time.monotonic() // POSTGRES_POLL
    marks = []
    for name in ("study.db", "study.db-journal", "study.db-wal"):
        with contextlib.suppress(OSError):  # journals come and go
            stat = (folder / name).stat()
            marks.append((name, stat.st_mtime_ns, stat.st_size))
    return marks


def _is_running(study: Study) -> bool:
    """Whether a driver has the study: of SQLite by its lock, which is held between trainings, too."""
    from nas.record.sqlite import SqliteStorage

    folder = study.folder or Path()
    if not (folder / "study.json").exists():
        return SqliteStorage(folder, write=False).alive(0)
    return any(trial.state == "running" for trial in study.trials)


# ---- the server -----------------------------------------------------------------------------------------


def serve(names: Sequence[str], host: str, port: int) -> None:
    """Serve the page until Ctrl-C. Raises `InputError`."""
    try:
        import dash  # noqa: F401 - before the studies are read
        from werkzeug.serving import WSGIRequestHandler, make_server
    except ModuleNotFoundError:
        raise InputError(NO_DASH) from None

    class Quiet(WSGIRequestHandler):
        """A line a request and second, or one a stranger's bytes, would bury everything else."""

        def log(self, *_: Any) -> None:
            pass

    follower = Follower(names)
    application = app(follower, host)
    listening = _listening(host, port)
    port = listening.getsockname()[1]
    server = make_server(host, port, application.server, threaded=True, request_handler=Quiet,
                         fd=listening.fileno())  # fmt: skip
    stop = threading.Event()
    failures: list[BaseException] = []

    def follow() -> None:
        try:
            follower.follow(stop)
        except BaseException as error:  # raised again below: a page that stands still would be taken for news
            failures.append(error)
            server.shutdown()

    threading.Thread(target=follow, daemon=True).start()
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C ends it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    stop.set()
    server.server_close()
    if failures:
        raise failures[0]


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not host:
        raise InputError("--host '': names no address; 0.0.0.0 is all of this machine's")
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, ValueError) as error:  # a name that no host can have is a ValueError
        raise InputError(f"--host {host} --port {port}: cannot be listened on ({reason(error)})") from None


def _is_local(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def app(follower: Follower, host: str = LOOPBACK[0]) -> Dash:
    """The Dash application: browsers poll it, and the page's script shows what is newer.

    Where it serves this machine only, requests under another name are refused: a web page elsewhere could
    make its own name stand for this machine.
    """
    from dash import Dash, Input, Output, State, dcc, no_update
    from dash import html as tags

    it = Dash(__name__, include_assets_files=False, assets_folder="none", title="Dashboard", update_title="")
    it.index_string = _INDEX.replace("{THEME}", THEME_BUTTON).replace("{PANEL}", PANEL)
    it.layout = tags.Div([
        dcc.Interval(id="tick", interval=int(1000 * POLL)),
        dcc.Store(id="page"), dcc.Store(id="version"), dcc.Store(id="state"), dcc.Store(id="shown"),
    ])  # fmt: skip

    @it.callback(
        Output("page", "data"), Output("version", "data"), Output("state", "data"),
        Input("tick", "n_intervals"), State("version", "data"),
    )  # fmt: skip
    def newer(_: int | None, seen: int | None) -> tuple[Any, int, list[Any]]:
        follower.asked = time.monotonic()
        version, text = follower.version, follower.text
        return (
            (text if version and version != seen else no_update),
            version,
            [follower.status, follower.running],
        )

    it.clientside_callback(  # type: ignore[no-untyped-call]
        "function (text, state) { Dashboard.live(text, state); return null; }",
        Output("shown", "data"), Input("page", "data"), Input("state", "data"),
    )  # fmt: skip
    _files(it, {*LOOPBACK, host.lower()} if _is_local(host) else set())
    return it


def _files(it: Dash, hosts: Collection[str]) -> None:
    """The page's own files, and the policy of all answers; `hosts` are admitted, or all where it is empty."""
    from flask import Response, request
    from werkzeug.exceptions import Forbidden, HTTPException

    files: dict[str, tuple[Callable[[], str], str]] = {
        "plotly.js": (lambda: asset(PLOTLY), "text/javascript"),
        "dashboard.js": (lambda: script(SCRIPTS), "text/javascript"),
        "dashboard.css": (lambda: "".join(map(asset, STYLES)), "text/css"),
    }
    for name, (read, kind) in files.items():
        it.server.add_url_rule(
            f"/{name}",
            name,
            lambda read=read, kind=kind: Response(read(), content_type=f"{kind}; charset=utf-8"),
        )
    policy = (
        f"default-src 'self'; script-src 'self' {' '.join(it.csp_hashes())}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )

    def refuse_others() -> None:
        if hosts and _name_of(request.headers.get("Host", "")) not in hosts:
            raise Forbidden("This page is served to its own machine, under that machine's own names.")
        _refuse(request.path, request.method, request.content_length, "Transfer-Encoding" in request.headers)

    def answered(error: Exception) -> Response:
        """One line for what a request has wrong."""
        if isinstance(error, HTTPException):
            code, line = error.code or 500, f"{error.code} {error.name}: {error.description}"
        elif request.path == UPDATE:  # Dash looks at what it is sent only as it uses it
            code, line = 400, "400 Bad Request: not what this page asks for."
        elif request.path.startswith(SUITES):
            code, line = 404, "404 Not Found: no file of this page."
        else:
            raise error
        return Response(f"{line}\n", code, content_type="text/plain; charset=utf-8")

    def guarded(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    it.server.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    it.server.register_error_handler(Exception, answered)
    it.server.before_request(refuse_others)
    it.server.after_request(guarded)


def _name_of(host: str) -> str | None:
    """The name in a Host header, without the port; None where it is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _refuse(path: str, method: str, length: int | None, chunked: bool) -> None:
    """Raises what a request is answered with that is none of the page's."""
    from werkzeug.exceptions import LengthRequired, MethodNotAllowed, NotFound, RequestEntityTooLarge

    part = path.startswith(SUITES) and "/" in path[len(SUITES) :]
    if path not in (*ROUTES, UPDATE) and not part:  # Dash gives the page for any path
        raise NotFound("No file of this page.")
    methods = ["POST"] if path == UPDATE else ["GET", "HEAD"]
    if method not in methods:
        raise MethodNotAllowed(methods, "Not a request of this page.")
    if chunked:
        raise LengthRequired("A body says how long it is.")
    if length is not None and length > MOST_BODY:
        raise RequestEntityTooLarge(f"No request of this page has more than {MOST_BODY} bytes.")


_INDEX = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{%title%}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<link rel="stylesheet" href="dashboard.css">{%css%}</head>
<body>{THEME}<div id="app"><main><p>Reading the studies …</p></main></div>{PANEL}
<div hidden>{%app_entry%}</div>
<script src="plotly.js"></script><script src="dashboard.js"></script>
{%config%}{%scripts%}{%renderer%}
</body>
</html>
"""
