"""The study of a plan: its folder, and its record, new or gone on with."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nas.data.layout import refuse_inside
from nas.data.sources.registry import parsed
from nas.plan.plan import Plan, space_name
from nas.plan.settings import MeasureSettings, RunSettings, Settings
from nas.proxy import is_simulated
from nas.record.folder import is_study, study_folder
from nas.record.record import Record
from nas.record.storage import check_url, without_password
from space.errors import MOST_NAME

if TYPE_CHECKING:
    from nas.plan.measurement import Measurement


def choose_folder(settings: Settings | MeasureSettings) -> Path:
    """The study's folder: as named, else by what is searched, numbered where that is taken.

    Raises `InputError` where there is a study and none was expected, or the other way round.
    """
    if settings.study is not None:
        folder = study_folder(settings.study)
    elif isinstance(settings, MeasureSettings):
        folder = study_folder("measured")
    else:
        folder = _numbered(settings)
    if settings.data is not None:
        refuse_inside(folder, settings.data, "--study")
    if settings.storage is None:
        Record.check_free(folder, resume=_goes_on(settings, folder))
    else:
        check_url(settings.storage)
    return folder


def open_record(plan: Plan | Measurement, folder: Path) -> Record:
    """The study, new or gone on with. Raises `InputError`."""
    settings, binding, asked = plan.settings, plan.binding(), plan.asked()
    if settings.storage is not None:
        asked["storage"] = without_password(settings.storage)
        return Record.join(folder, settings.storage, binding, asked)
    if not _goes_on(settings, folder):
        return Record.create(folder, binding, asked)
    record = Record.resume(folder, binding)
    record.ask(**_moved(settings))
    record.moved_to(binding["data"]["spec"])
    return record


def _goes_on(settings: RunSettings, folder: Path) -> bool:
    """Whether a study is to be gone on with, and not started."""
    return is_study(folder) if settings.resume == "auto" else settings.resume


def _moved(settings: RunSettings) -> dict[str, object]:
    """What may be said anew of a study: where its data and its proxy's file lie."""
    places = {"data": settings.data, "proxy": settings.proxy}
    # only what was said now: the rest stays as it was asked for before
    return {name: place for name, place in places.items() if place is not None}


def own_place(settings: RunSettings) -> str:
    """The name of the place of the user's own images; "" where there are none."""
    if settings.data is None or is_simulated(settings.proxy):
        return ""
    return Path(parsed(settings.data)[1]).name.removesuffix(".csv")


def _numbered(settings: Settings) -> Path:
    """By data, or space, and budget; the first that is free, or, to go on with, the last that is there."""
    named = f"{own_place(settings) or space_name(settings)}-{settings.budget}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", named).strip("-.")
    if len(name) > MOST_NAME:  # of many budgets
        name = f"{name[:MOST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    first = study_folder(name)
    folder, last, number = first, first, 1
    while folder.exists() and settings.storage is None:
        last, number = folder, number + 1
        folder = first.with_name(f"{first.name}-{number}")
    return last if settings.resume else folder
