"""The study of a plan: its folder, and its record, new or gone on with."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nas.plan.plan import Plan, space_name
from nas.plan.settings import MeasureSettings, RunSettings, Settings
from nas.record.folder import study_folder
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
    if settings.storage is None:
        Record.check_free(folder, resume=settings.resume)
    else:
        check_url(settings.storage)
    return folder


def open_record(plan: Plan | Measurement, folder: Path) -> Record:
    """The study, new or gone on with. Raises `InputError`."""
    settings, binding, asked = plan.settings, plan.binding(), plan.asked()
    if settings.storage is not None:
        asked["storage"] = without_password(settings.storage)
        return Record.join(folder, settings.storage, binding, asked)
    if not settings.resume:
        return Record.create(folder, binding, asked)
    record = Record.resume(folder, binding)
    record.ask(**_moved(settings))
    return record


def _moved(settings: RunSettings) -> dict[str, object]:
    """What may be said anew of a study: where its data and its proxy's file lie."""
    places = {"data": settings.data, "proxy": settings.proxy}
    # only what was said now: the rest stays as it was asked for before
    return {name: place for name, place in places.items() if place is not None}


def _numbered(settings: Settings) -> Path:
    """By space and budget; the first that is free, or, to go on with, the last that is there."""
    named = f"{space_name(settings)}-{settings.budget}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", named).strip("-.")
    if len(name) > MOST_NAME:  # of many budgets
        name = f"{name[:MOST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    first = study_folder(name)
    folder, last, number = first, first, 1
    while folder.exists() and settings.storage is None:
        last, number = folder, number + 1
        folder = first.with_name(f"{first.name}-{number}")
    return last if settings.resume else folder
