"""Makes the moving picture of the README. See scripts/moving-picture."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image, ImageChops
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.notebook.labdriver import ARGUMENTS, CHROMIUM, LabPage, LabServer  # noqa: E402

TARGET = ROOT / "docs" / "images" / "moving.webp"
LARGEST = 400_000  # bytes
WIDTH, HEIGHT = 640, 640  # of the picture, in pixels of the page
END_SECONDS = 3.5  # how long the last frame stands

SETUP = """
import random
import time

from dwarf import END, Flow, Reducer
from dwarf.notebook import Lab

lab = Lab("memory")
random.seed(5)


@lab.task
def read_orders(day: str) -> dict:
    time.sleep(0.7)
    return {"orders": [{"number": number, "amount": 30 + 17 * number} for number in range(12)]}


@lab.task
def price(order: dict) -> dict:
    time.sleep(random.uniform(0.3, 1.4))
    return {"total": order["amount"]}


@lab.task
def approve(flow: Flow, orders: list[dict], total: int) -> dict:
    return {"approved": flow.interrupt({"title": f"Pay {total} EUR?", "schema": bool, "orders": len(orders)})}


@lab.task
def pay(total: int) -> dict:
    time.sleep(0.9)
    return {"paid": total}


orders = (
    lab.graph("Orders", reducers={"total": Reducer.ADD})
    .add_node("Read", read_orders)
    .add_node("Price", price)
    .add_node("Approve", approve, fan_in=True)
    .add_node("Pay", pay)
    .add_for_each("Read", "Price", items="orders", item="order")
    .add_chain("Price", "Approve", "Pay", END)
)
"""
SHOWN = 'run = lab.start(orders, {"day": "Monday"})'

# An arrow in place of the pointer, which a headless browser does not draw.
POINTER = """() => {
    const arrow = document.createElement('div');
    arrow.id = 'arrow';
    const path = 'M2 1L2 19L7 15L11 24L14.5 22.5L10.5 14L17 14Z';
    const shape = `<path d="${path}" fill="#111" stroke="#fff" stroke-width="1.5"/>`;
    arrow.innerHTML = `<svg width="22" height="26" viewBox="0 0 22 26">${shape}</svg>`;
    arrow.style = 'position:fixed;z-index:99999;pointer-events:none;left:540px;top:520px;transition:all .7s ease';
    document.body.append(arrow);
}"""
MOVE = "([x, y]) => Object.assign(document.getElementById('arrow').style, { left: x + 'px', top: y + 'px' })"


class Film:
    """Frames with the time each is shown. What looks like the frame before prolongs it."""

    def __init__(self, page: Any, clip: dict[str, float]) -> None:
        self._page, self._clip = page, clip
        self.frames: list[Image.Image] = []
        self.milliseconds: list[int] = []
        self._last = time.monotonic()

    def take(self) -> None:
        shot = Image.open(io.BytesIO(self._page.screenshot(clip=self._clip))).convert("RGB")
        now = time.monotonic()
        passed, self._last = round((now - self._last) * 1000), now
        if self.milliseconds:
            self.milliseconds[-1] += passed
        if not self.frames or ImageChops.difference(self.frames[-1], shot).getbbox():
            self.frames.append(shot)
            self.milliseconds.append(0)

    def until(self, there: Any, seconds: float = 30.0) -> None:
        """Take frames until something is there."""
        limit = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < limit, "the page does not go on"
            self.take()

    def during(self, seconds: float) -> None:
        limit = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > limit)

    def write(self, target: Path) -> int:
        """The file, in the best quality that is small enough; its size in bytes."""
        self.milliseconds[-1] = round(END_SECONDS * 1000)
        first, *others = self.frames
        for quality in (90, 80, 70, 60, 45, 30):
            first.save(
                target,
                save_all=True,
                append_images=others,
                duration=self.milliseconds,
                loop=0,
                quality=quality,
                method=5,
                minimize_size=True,
            )
            if target.stat().st_size <= LARGEST:
                return target.stat().st_size
        raise AssertionError(f"{len(self.frames)} frames are larger than {LARGEST} bytes")


def film(lab: LabPage) -> Film:
    """Run the cells, answer, and keep what is seen meanwhile."""
    page = lab.page
    lab.run_cell(0)
    page.evaluate(POINTER)
    page.add_style_tag(content=".jp-Notebook-footer, .jp-cell-toolbar { visibility: hidden }")
    lab.cell(0).evaluate("(cell) => { cell.style.display = 'none' }")
    page.wait_for_timeout(300)
    box = lab.cell(1).bounding_box()
    taken = Film(page, {"x": box["x"], "y": box["y"] - 4, "width": WIDTH, "height": HEIGHT})
    taken.during(0.6)
    lab.run_cell(1, wait=False)
    button = page.locator(".dwarf-card").get_by_role("button", name="Approve")
    taken.until(button.count)
    taken.during(1.2)
    place = button.bounding_box()
    middle = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.evaluate(MOVE, list(middle))
    taken.during(1.2)
    button.click()
    taken.until(page.locator(".jp-RenderedSVG img").count)
    taken.during(0.5)
    return taken


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "notebooks"
        root.mkdir()
        cells = [nbformat.v4.new_code_cell(source.strip()) for source in (SETUP, SHOWN)]
        write: Any = nbformat.write
        write(nbformat.v4.new_notebook(cells=cells), root / "orders.ipynb")
        environment = {"PYTHONPATH": str(ROOT), "DWARF_ANSWERS": ""}
        with LabServer(root, Path(folder), env=environment) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1000, "height": 1000})
            taken = film(LabPage(server, page, "orders.ipynb"))
            browser.close()
        size = taken.write(TARGET)
    seconds = sum(taken.milliseconds) / 1000
    print(f"{TARGET.relative_to(ROOT)}: {len(taken.frames)} frames, {seconds:.0f} s, {size // 1000} kB")


if __name__ == "__main__":
    main()
