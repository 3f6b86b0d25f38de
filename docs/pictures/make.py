"""Makes the pictures of the docs again: `python docs/pictures/make.py`, from the repository's root.

Each is a section of a dashboard over recorded studies, as headless Chromium draws it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
PICTURES = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from tests.analysis.chromium import chromium  # noqa: E402

# which study shows which views
SHOWN = {
    "sweep": ("plane", "published", "scaling", "isoflop", "importance", "parallel", "edf", "curves",
              "progress", "networks"),
    "roadmap": ("roadmap",),
}  # fmt: skip


def main() -> None:
    """Every picture."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for study, views in SHOWN.items():
            html = Path(folder) / f"{study}.html"
            command = [sys.executable, "-m", "analysis.dashboard", f"studies/{study}", "--out", str(html)]
            subprocess.run(command, cwd=ROOT, check=True)
            page = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme="light")
            page.goto(html.as_uri())
            for plot in page.locator(".plot").all():
                plot.scroll_into_view_if_needed()
                plot.locator(".main-svg").first.wait_for()
            page.add_style_tag(content="#contents, #theme { visibility: hidden }")
            for view in views:
                picture(page, view)


def picture(page: Page, view: str) -> None:
    """One section, its figures and words."""
    section = page.locator(f"main section#{view}")
    section.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    section.screenshot(path=PICTURES / f"{view}.png")
    print(PICTURES / f"{view}.png")


if __name__ == "__main__":
    main()
