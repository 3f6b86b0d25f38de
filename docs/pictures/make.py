"""Makes the pictures of the docs again: `python docs/pictures/make.py [NAME...]`, from the repository's root.

Each is a page over recorded or rehearsed studies, or one of its sections, as headless Chromium draws it.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
PICTURES = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from tests.analysis.chromium import chromium  # noqa: E402

QUALITY = 82
VIEWS = ("plane", "networks", "progress", "curves", "scaling", "importance", "parallel", "edf",
         "published")  # fmt: skip
SECTIONS = {"studies/sweep": VIEWS, "shapes": ("isoflop",), "studies/roadmap": ("roadmap",)}
REHEARSED = ("--proxy", "simulated:interacting", "--sampler", "random")
DESKTOP: Mapping[str, Any] = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
# of the head of a page: its studies, and how it is looked at
HEADS: Mapping[str, tuple[Sequence[str], Mapping[str, Any]]] = {
    "page": (["studies/default"], DESKTOP),
    "page_dark": (["studies/default"], {**DESKTOP, "color_scheme": "dark"}),
    "page_phone": (["studies/default"], {**DESKTOP, "viewport": {"width": 390, "height": 844}}),
    "page_confirmed": (["confirmed"], DESKTOP),
    "page_budgets": (["studies/sweep"], {**DESKTOP, "viewport": {"width": 1280, "height": 1200}}),
    "page_front": (["front"], DESKTOP),
    "page_several": (
        ["studies/default", "studies/sweep"],
        {**DESKTOP, "viewport": {"width": 1280, "height": 1500}},
    ),
}
SEARCHES = {
    "confirmed": ("--budget", "4.5GFLOPs", "--trials", "14", "--confirm", "3x3"),
    "shapes": ("--budget", "0.6GFLOPs,1.2GFLOPs,2.4GFLOPs,4.5GFLOPs", "--trials", "240"),
    "front": ("--budget", "1GFLOPs..9GFLOPs", "--trials", "40", "--reference", "none"),
}


def main(names: Sequence[str]) -> None:
    """The pictures of these names, or all."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for name, content in drawn(Path(folder), browser, set(names)):
            path = PICTURES / f"{name}.webp"
            with Image.open(io.BytesIO(content)) as image:
                image.convert("RGB").save(path, quality=QUALITY, method=6)
            print(path, path.stat().st_size)


def drawn(folder: Path, browser: Browser, names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Names and PNG files."""
    for name, (studies, options) in HEADS.items():
        if not names or name in names:
            page = opened(browser, written(folder, studies), options)
            page.wait_for_timeout(1000)
            yield name, page.screenshot()
    if not names or "page_print" in names:
        page = opened(browser, written(folder, ["studies/default"]), DESKTOP)
        page.set_viewport_size({"width": 700, "height": 990})
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.wait_for_timeout(1000)
        yield "page_print", page.screenshot()
    if not names or "page_live" in names:
        yield "page_live", live(folder, browser)
    for study, views in SECTIONS.items():
        wanted = [view for view in views if not names or view in names]
        if wanted:
            page = opened(
                browser, written(folder, [study]), {**DESKTOP, "viewport": {"width": 1100, "height": 900}}
            )
            page.add_style_tag(content="#contents, #theme { visibility: hidden }")
            for view in wanted:
                yield view, section(page, view)


def written(folder: Path, studies: Sequence[str]) -> Path:
    """The page of recorded studies, or of searches that are rehearsed first."""
    for name in SEARCHES.keys() & studies:
        if not (folder / "runs" / name).exists():
            run(folder, "nas.search", *REHEARSED, *SEARCHES[name], "--study", name)
    path = folder / f"{'_'.join(Path(name).name for name in studies)}.html"
    run(folder if SEARCHES.keys() & studies else ROOT, "analysis.dashboard", *studies, "--out", str(path))
    return path


def run(place: Path, module: str, *arguments: str) -> None:
    """A command, as a user gives it there."""
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=place, env=environment(), check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def environment() -> dict[str, str]:
    """This checkout's modules."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def opened(browser: Browser, html: Path, options: Mapping[str, Any]) -> Page:
    """A page of its own."""
    page = browser.new_page(**options)
    page.goto(html.as_uri())
    return page


def section(page: Page, view: str) -> bytes:
    """One section, its figures and words."""
    part = page.locator(f"main #{view}")
    part.evaluate("node => { if (node.tagName === 'DETAILS') node.open = true; }")
    for plot in part.locator(".plot:visible").all():
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()
    part.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    return part.screenshot()


def live(folder: Path, browser: Browser) -> bytes:
    """The page from a server while a search runs."""
    study = "running"
    search = [sys.executable, "-m", "nas.search", "--study", study, "--budget", "300MFLOPs",
              "--proxy", "smoke", "--trials", "40"]  # fmt: skip
    serve = [sys.executable, "-m", "analysis.dashboard", study, "--serve", "--port", "0"]
    options: dict[str, Any] = {"cwd": folder, "env": environment(), "text": True, "stdout": subprocess.PIPE}
    with subprocess.Popen(search, **{**options, "stdout": subprocess.DEVNULL}) as searching:
        while not (folder / "runs" / study / "study.db").exists():
            time.sleep(1)
        time.sleep(25)
        with subprocess.Popen(serve, **options) as serving:
            page = browser.new_page(**DESKTOP)
            page.goto((serving.stdout.readline() if serving.stdout else "").split()[0])
            page.locator("#plane .main-svg").first.wait_for()
            page.wait_for_timeout(2000)
            picture = page.screenshot()
            serving.terminate()
        searching.terminate()
    return picture


if __name__ == "__main__":
    main(sys.argv[1:])
