"""A search from Python, and a study that is there: `nas.search` and `nas.open`."""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.api.data_set import NAME
from nas.api.data_set import offered as data_offered
from nas.api.results import Results
from space.errors import InputError, first_line, quoted, word
from space.paths import at_home

if TYPE_CHECKING:
    from rich.console import Console

    from nas.record.record import Record
    from nas.record.trial import Trial

__all__ = ["Results", "open_study", "search"]

COSTS = ("budget", "max_params", "max_activations", "max_latency", "time_limit")
Setting = Any  # of the command's flags, as text or as the number that the text stands for


def search(
    budget: str | float | None = None,
    *,
    data: Any = None,
    objective: Callable[..., Any] | str | None = None,
    callbacks: Sequence[Callable[[Trial], object]] = (),
    study_file: str | Path | None = None,
    quiet: bool = False,
    **settings: Setting,
) -> Results:
    """Search for the best network of a budget, as `python -m nas.search` does, with the same record on disk.

    `settings` are the command's flags with `_` for `-`: `trials=20`, `proxy="gpu"`, `study="small"`,
    `resume=True`, `set={"proxy.mixup": 0.8}`; `quiet` prints nothing.

    `data` is what `--data` takes, or a data set of your own: a sequence of (image, label) as torchvision's
    without transforms, one of Hugging Face's, a pair (train, val) of either, or what `nas.data.from_dataset`
    gives. The search reads it at the proxy's pixels, and goes on with its study where it is given again.

    `objective` is `best` or `front`, as the flag, or a function of yours that judges a network in place of
    the proxy: `objective(network, budget)` or, where it can tell seeds apart, `objective(network, budget,
    seed)` -> a number from 0 to 1, larger is better, of a `space.architecture.Architecture` and a
    `space.budget.Budget`; what it raises makes a failed trial. The study is known by the function's name and
    is gone on with under that name alone.

    `callbacks` are called with every `nas.record.trial.Trial` that is over or pauses; what they raise ends
    the search, which can be resumed.

    Raises `InputError` for what the command would refuse, `KeyboardInterrupt` after Ctrl-C; the record is
    whole all the same.
    """
    from nas.plan.settings import read_settings
    from nas.run import run

    given = _as_flags({"budget": budget, **settings})
    if callable(callbacks) or not all(map(callable, callbacks)):
        raise InputError(f"nas.search: callbacks {quoted(callbacks)}: give a list of functions of a trial")
    if callable(objective) and settings.get("proxy") is not None:
        raise InputError("nas.search: an objective takes the place of the proxy; leave one of them out")
    finish = _Finish()
    with _read_from(data) as spec, _judged_by(objective) as chosen:
        given["data"] = spec
        if spec == NAME and settings.get("engine") == "ray":
            raise InputError(
                "data: Ray's workers see no data set of Python; give it as a folder or a CSV file"
            )
        if callable(objective) and settings.get("engine") == "ray":
            _check_sendable(objective)
        read = read_settings(
            given | chosen, None if study_file is None else Path(at_home(os.fspath(study_file)))
        )
        code = run(read, _console(quiet), finish, callbacks)
    assert finish.folder is not None  # `run` has come to its end
    if code == 130:
        raise KeyboardInterrupt(f"study {finish.folder}: resume=True goes on with it")
    return open_study(finish.folder)


def open_study(study: str | os.PathLike[str]) -> Results:
    """The study of a name under runs/, or of a folder, whoever made it. Raises `InputError`."""
    from nas.record.study import read_study

    return Results(read_study(_text(study)))


def _as_flags(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Settings as the command line has them. Raises `InputError` for a name that is none."""
    from nas.plan.settings import PROXY_FLAGS, Settings

    known = [*Settings.model_fields, *PROXY_FLAGS]
    for name in settings:
        if name not in known:
            raise InputError(f"nas.search: there is no setting {word(name)}; there are {', '.join(known)}")
    flags = {name: _text(value) if name not in COSTS else _cost(value) for name, value in settings.items()}
    if isinstance(flags.get("set"), Mapping):
        flags["set"] = [f"{key}={_yaml(key, value)}" for key, value in flags["set"].items()]
    return flags


class _Finish:
    """The end of a search: its page is written; what it found is the caller's to show."""

    folder: Path | None = None

    def __call__(self, record: Record, console: Console, *, interrupted: bool) -> bool:
        """Whether there is anything to recommend."""
        from nas.record.study import study_of

        del console, interrupted
        self.folder = record.folder
        found = Results(study_of(record))
        found.page()
        return found.pick is not None


def _text(value: Setting) -> Setting:
    """A setting as the command line has it: paths and costs are texts there."""
    if isinstance(value, os.PathLike):
        place = os.fsdecode(value)
        return place if os.sep in place else os.path.join(os.curdir, place)  # noqa: PTH118  Path drops the dot
    broken = isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral)
    return repr(float(value)) if broken else value  # NumPy's own says its type


def _cost(value: Setting) -> Setting:
    """A cost or a time that was given as a number, as the text that stands for it."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return str(int(value)) if whole else _text(value)


def _yaml(key: Any, value: Any) -> str:
    """A value of `set` as the command line has it. Raises `InputError`."""
    try:
        return json.dumps(value, default=lambda number: number.item())  # NumPy's and torch's numbers
    except (AttributeError, TypeError, ValueError, RuntimeError):
        raise InputError(f"set: {word(key)} is {quoted(value)}, no plain value") from None


@contextmanager
def _read_from(data: Any) -> Iterator[str | None]:
    """The data set as `--data` has it."""
    if data is None or isinstance(data, str | os.PathLike):
        yield _text(data)
        return
    with data_offered(data) as name:
        yield name


@contextmanager
def _judged_by(objective: Callable[..., Any] | str | None) -> Iterator[dict[str, Setting]]:
    """The settings that an objective stands for."""
    if not callable(objective):
        yield {"objective": objective}
        return
    from nas.proxy.objective import offered

    with offered(objective) as name:
        yield {"proxy": name}


def _check_sendable(objective: Callable[..., Any]) -> None:
    """Raises `InputError` where Ray's workers cannot be given the function."""
    try:
        from ray import cloudpickle
    except ImportError:  # the engine says so
        return
    try:
        cloudpickle.dumps(objective)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise InputError(
            f"objective: cannot be sent to Ray's workers ({first_line(error)}); let it make what it uses, or "
            "leave out engine"
        ) from None


def _console(quiet: bool) -> Console:
    """Plain lines in a notebook, whose widgets rich would ask for; on a terminal as the command."""
    from rich.console import Console

    return Console(highlight=False, quiet=quiet, force_jupyter=False)
