"""Everything a search is told, in one typed value: from flags, from a study file, or both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from nas.recipe.assignments import assignments, nested
from nas.recipe.mistakes import FLAGS, flag, validated
from nas.recipe.sizes import bytes_of
from nas.samplers.registry import DEFAULT, SAMPLERS
from space.errors import InputError, quoted
from space.paths import at_home
from space.reading import parse_yaml, read_text

# fields of the proxy with a flag of their own; a study file has them beside `set`, too
PROXY_FLAGS = ("num_classes", "resolution", "epochs", "train_size", "batch_size", "lr")
PROXY = "proxy."  # what keys of `set` start with
RAY_ONLY = ("workers", "cpus_per_trial", "gpus_per_trial", "gpu_memory", "ray_address")
# no text of a setting is longer; paths may be
MOST_TEXT = 4096
Text = Annotated[str, Field(max_length=MOST_TEXT)]
MOST_SECONDS = 10 * 365 * 86400.0
CONFIRM = re.compile(r"(\d{1,3})x(\d{1,3})")
NUMBER = r"(\d+(?:\.\d+)?)"
# a number without a unit stands alone: 1h30 is as much half an hour as half a minute
DURATION = re.compile(f"(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s)?|{NUMBER}")


class RunSettings(BaseModel):
    """How networks are trained, where, and where that is kept: of a search or of a measurement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    proxy: Text | dict[str, Any] = "auto"
    data: Text | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    study: Text | None = None
    resume: Literal["auto"] | bool = False
    engine: Literal["local", "ray"] = "local"
    workers: int | None = Field(default=None, ge=1, le=100_000)
    cpus_per_trial: float | None = Field(default=None, ge=1e-4, le=100_000, allow_inf_nan=False)
    gpus_per_trial: float | None = Field(default=None, ge=0, le=100_000, allow_inf_nan=False)
    gpu_memory: Text | None = None
    ray_address: Text | None = None
    storage: Text | None = None
    device: Text = "auto"
    threads: int | None = Field(default=None, ge=1, le=4096)
    set: dict[Text, Any] = Field(default_factory=dict)
    # flags that were given now: not what stands in a file, or in the study that is gone on with
    _named: frozenset[str] = PrivateAttr(default=frozenset())

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_named(cls, value: Any) -> Any:
        """No path, name or address holds a NUL, and no system call takes one."""
        if isinstance(value, str) and "\0" in value:
            raise ValueError("holds a NUL character")
        return at_home(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _engine_fits(self) -> Self:
        for name in RAY_ONLY:
            if self.engine == "local" and getattr(self, name) is not None:
                raise ValueError(
                    f"{flag(name)} needs --engine ray; the local engine trains one network at a time"
                )
        if self.engine == "ray" and self.threads is not None:
            raise ValueError("--threads is for --engine local; with ray it is --cpus-per-trial")
        return self

    @property
    def proxy_fields(self) -> dict[str, Any]:
        """The fields of the proxy that were set, by name. Raises `InputError` for one there is not."""
        if not self.set:
            return {}
        from nas.proxy.proxy import Proxy

        return nested(self.set, Proxy, "docs/proxies.md", PROXY)

    def refuse_named(self, names: Iterable[str], why: str) -> None:
        """Raises `InputError` where one of these flags was given, which would have no effect."""
        for name in names:
            if name in self._named:
                raise InputError(f"{flag(name)}: {why}")

    def asked(self) -> dict[str, Any]:
        """The settings in the user's own words, for `--resume`."""
        values = self.model_dump(mode="json") | {"resume": self.resume is True}
        return {name: value for name, value in values.items() if name != "set" or value}

    @property
    def gpu_bytes(self) -> int | None:
        """The memory of a GPU in bytes; None where it was not told. Raises `InputError`."""
        return None if self.gpu_memory is None else bytes_of(self.gpu_memory, "gpu-memory")


class Settings(RunSettings):
    """One search. A study file holds the same keys; `space` and `proxy` may be written out in it."""

    budget: str = Field(min_length=1, max_length=MOST_TEXT)
    band: tuple[float, float] = (0.95, 1.0)
    space: Text | dict[str, Any] = "convnext"
    trials: int | None = Field(default=None, ge=1, le=1_000_000)
    time_limit: Text | None = None
    sampler: str = DEFAULT
    objective: Literal["auto", "best", "front"] = "auto"
    max_params: Text | None = None
    max_activations: Text | None = None
    max_latency: Text | None = None
    scheduler: Literal["none", "auto", "asha", "halving", "hyperband"] | None = None
    eta: int = Field(default=3, ge=2, le=1000)
    min_epochs: int | None = Field(default=None, ge=1, le=1_000_000)
    confirm: Text | None = None
    reference: Text | None = None

    @field_validator("band", mode="before")
    @classmethod
    def _read_band(cls, value: Any) -> Any:
        """A text as it is written; a study file may have a list of two."""
        if not isinstance(value, str):
            return value
        if value.count(":") != 1:
            raise ValueError(f"{quoted(value)}: write it like 0.95:1, two shares of the budget")
        return value.split(":")

    @field_validator("sampler", mode="before")
    @classmethod
    def _is_a_sampler(cls, value: Any) -> Any:
        if value not in list(SAMPLERS):
            *names, last = map(repr, SAMPLERS)
            # as pydantic says it of a Literal, which cannot be made of a list that may grow
            raise PydanticCustomError("literal_error", f"Input should be {', '.join(names)} or {last}")
        return value

    @field_validator("reference", mode="before")
    @classmethod
    def _read_reference(cls, value: Any) -> Any:
        """`true` and `false` in a study file: the default ones, and none."""
        if isinstance(value, bool):
            return None if value else "none"
        return value

    @property
    def references(self) -> tuple[str, ...] | None:
        """The families to compare with; None where that was not said."""
        if self.reference is None:
            return None
        names = [name.strip().lower() for name in self.reference.split(",")]
        return () if names == ["none"] else tuple(dict.fromkeys(names))

    @property
    def confirmations(self) -> tuple[int, int]:
        """How many of the best are trained again, and with how many fresh seeds each. Raises `InputError`."""
        if self.confirm is None:
            return 0, 0
        match = CONFIRM.fullmatch(self.confirm.strip())
        if match is None or (int(match[1]) > 0) != (int(match[2]) > 0):
            raise InputError(
                f"confirm {quoted(self.confirm)}: write it like 3x3, networks times seeds, or 0x0"
            )
        return int(match[1]), int(match[2])

    @property
    def time_limit_seconds(self) -> float | None:
        """The time limit in seconds; None is none. Raises `InputError`."""
        return None if self.time_limit is None else parse_duration(self.time_limit)


class MeasureSettings(RunSettings):
    """Named networks, each trained with several seeds."""

    networks: tuple[Text, ...] = Field(min_length=1, max_length=10_000)
    seeds: int = Field(default=3, ge=1, le=1000)


def read_measure_settings(flags: Mapping[str, Any]) -> MeasureSettings:
    """The flags, over the study's own settings where it is resumed. Raises `InputError` in one line."""
    from nas.plan.named import WHICH, with_studies

    given = _given(flags)
    values = _over(_resumed(given, {}, measured=True), given)
    if "networks" not in values:
        raise InputError(WHICH)
    settings = validated(MeasureSettings, values, FLAGS, flags=given)
    if "networks" in given:  # no study is read before every flag is right
        settings = validated(MeasureSettings, with_studies(values), FLAGS, flags=given)
    settings._named = _names(flags)
    _check(settings)
    return settings


def read_settings(flags: Mapping[str, Any], study_file: Path | None) -> Settings:
    """The study file's values under the flags that were given. Raises `InputError` in one line."""
    values: dict[str, Any] = {}
    where = FLAGS
    if study_file is not None:
        where = f"study file {study_file}"
        values = _folded(read_study_file(study_file))
    given = _given(flags)
    values = _over(_resumed(given, values, measured=False), given)
    if "budget" not in values:
        raise InputError("--budget is missing: a cost such as 4.5GFLOPs, 600MFLOPs or 30Mparams")
    settings = validated(Settings, values, where, flags=given)
    settings._named = _names(flags)
    settings.time_limit_seconds, settings.confirmations  # noqa: B018  refuse bad ones now
    _check(settings)
    return settings


def _names(values: Mapping[str, Any]) -> frozenset[str]:
    """The keys that have a value."""
    return frozenset(name for name, value in values.items() if value is not None)


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given. Raises `InputError` for a `--set` that cannot be read."""
    given = {name: value for name, value in flags.items() if value is not None}
    texts = given.get("set")
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        given["set"] = assignments(texts)  # a program may give a mapping
    return _folded(given)


def _folded(values: Mapping[str, Any]) -> dict[str, Any]:
    """`epochs: 5` as what it is short for, `set: {proxy.epochs: 5}`."""
    short = {PROXY + name: values[name] for name in PROXY_FLAGS if values.get(name) is not None}
    folded = {name: value for name, value in values.items() if name not in PROXY_FLAGS}
    return _over({"set": short}, folded) if short else folded


def _over(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`values` under what was given; of fields that are set, each by itself."""
    both = {**values, **given}
    parts = [each["set"] for each in (values, given) if "set" in each]
    if len(parts) == 2 and all(isinstance(part, Mapping) for part in parts):
        both["set"] = {**parts[0], **parts[1]}
    return both


def _check(settings: RunSettings) -> None:
    """Refuse what the fields alone do not show, before anything takes time."""
    settings.gpu_bytes, settings.proxy_fields  # noqa: B018  refuse bad ones now
    if settings.engine == "ray":
        from nas.engines.ray.cluster import check_address
        from nas.engines.ray.resources import check_shares

        check_shares(settings.cpus_per_trial, settings.gpus_per_trial or 0.0, settings.workers)
        if settings.ray_address is not None:
            check_address(settings.ray_address)


def _resumed(given: Mapping[str, Any], values: dict[str, Any], *, measured: bool) -> dict[str, Any]:
    """What a study that is gone on with was started with, under `values`. Raises `InputError`."""
    if not (given.get("resume") and given.get("study")):
        return values
    from nas.record.folder import is_study, study_folder

    if given["resume"] == "auto" and not is_study(study_folder(given["study"])):
        return values
    from nas.record.record import Record

    record = Record.read(given["study"], given.get("storage"))
    asked = record.asked
    if ("networks" in asked) != measured:
        command = "nas.search" if measured else "nas.measure"
        raise InputError(
            f"study {given['study']}: was made by {command}; python -m {command} goes on with it"
        )
    record.refuse_earlier()
    for name in ("seed", "sampler"):
        # the plan is compared with all that binds a study; two numbers need not wait for the data set
        if name in given and given[name] != asked.get(name, given[name]):
            was, now = quoted(asked[name]), quoted(given[name])
            raise InputError(f"study {record.folder}: was started with {name} {was}, not {now}")
    values = _over(asked, values)
    if given.get("engine", values.get("engine")) != values.get("engine"):
        # where a study is trained does not bind it: what was said of the other engine is void
        values = {name: value for name, value in values.items() if name not in (*RAY_ONLY, "threads")}
    return values


def read_study_file(path: Path) -> Mapping[str, Any]:
    """The mapping of a study file. Raises `InputError`."""
    where = f"study file {path}"
    values = parse_yaml(read_text(path, where), where)
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: must be a mapping of keys to values")
    return values


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10m`, `1h30m`."""
    match = DURATION.fullmatch(text.strip()) if len(text) <= 100 else None
    if match is None or not any(match.groups()):
        raise InputError(f"time limit {quoted(text)}: write it like 90s, 10m or 1h30m")
    hours, minutes, seconds, alone = (float(group or 0) for group in match.groups())
    total = hours * 3600 + minutes * 60 + seconds + alone
    if total <= 0:
        raise InputError(f"time limit {quoted(text)}: must be more than nothing")
    if total > MOST_SECONDS:
        raise InputError(f"time limit {quoted(text)}: is more than ten years")
    return total
