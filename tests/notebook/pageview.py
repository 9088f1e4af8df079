"""The live view in a page of its own, with a model made by hand in place of a kernel."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from dwarf.notebook.live.widget import module, style, theme
from dwarf.notebook.live.wire import describe_flow, describe_planes
from dwarf.notebook.pictures.picture import draw_plane, plan_of
from dwarf.notebook.pictures.subgraph_views import make_plane
from dwarf.workflow import Graph, Step
from tests.notebook.samples import at, outcome

MODEL = """
const listeners = {};
const state = STATE;
window.sent = [];
window.model = {
  get: (name) => state[name],
  on: (names, call) => names.split(" ").forEach((name) => (listeners[name] ??= []).push(call)),
  off: () => {},
  send: (message) => window.sent.push(message),
};
window.put = (name, value) => { state[name] = value; (listeners["change:" + name] ?? []).forEach((call) => call()); };
window.reply = (message) => (listeners["msg:custom"] ?? []).forEach((call) => call(message, []));
"""

# A kernel that lives until the page calls ``window.die()``. Its clock is the state's.
HEART = """
const begun = Date.now();
const kernelNow = () => ((state.flow ?? state.shown ?? {}).now ?? begun / 1000) + (Date.now() - begun) / 1000;
const beat = () => (listeners["msg:custom"] ?? []).forEach((call) => call({ type: "beat", now: kernelNow() }, []));
let beating = setInterval(beat, 400);
setTimeout(beat, 0);
window.die = () => clearInterval(beating);
window.live = () => { beat(); beating = setInterval(beat, 400); };
"""


def picture_traits(
    graph: Graph,
    steps: list[Step],
    status: str = "running",
    *,
    now: datetime | None = None,
    opened: dict[str, int] | None = None,
    children: dict[str, Graph] | None = None,
    stops: tuple[set[str], set[str]] = (set(), set()),
    **flow: Any,
) -> dict[str, Any]:
    """What the kernel would send for a history, but for the cards."""
    moment = now or at(5)
    graphs = children or {}
    seen = outcome(status, error=flow.pop("error", ""))
    plane = make_plane(
        graph,
        steps,
        seen,
        opened=opened,
        graph_of=lambda child: graphs.get(child.workflow_name),
        now=moment,
        stops=stops,
    )
    plan = plan_of(plane)
    return {
        "svg": str(draw_plane(plane, plan, now=moment.timestamp(), live=True)),
        "planes": describe_planes(plane, plan),
        "flow": describe_flow(plane.whole, moment.timestamp(), **flow),
    }


class PageView:
    """The view in a page, with what it has sent."""

    def __init__(
        self, browser: Any, *, dark: bool = False, width: int = 960, code: str = "", beside: str = "", **traits: Any
    ) -> None:
        """``code``: the module of another view. ``beside``: what else stands in the page, as HTML."""
        self.page = browser.new_page(viewport={"width": width, "height": 1000})
        self.page.set_default_timeout(120_000)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        state = {"theme": theme(), "svg": "", "planes": {}, "flow": {}, "cards": []}
        code = (code or module("run.js")).replace("export default", "window.widget =")
        model = (MODEL + HEART).replace("STATE", json.dumps(state | traits).replace("</", "<\\/"))
        start = "window.widget.render({ model: window.model, el: document.getElementById('here') });"
        body = f'<body data-jp-theme-light="{str(not dark).lower()}" style="{DARK_PAGE if dark else ""}">'
        self.page.set_content(f'<style>{style()}</style>{body}<div id="here"></div>{beside}</body>')
        self.page.add_script_tag(content=f"{{\n{code}\n{model}\n{start}\n}}")

    def put(self, name: str, value: Any) -> None:
        self.page.evaluate("([name, value]) => window.put(name, value)", [name, value])

    @property
    def sent(self) -> list[Any]:
        return list(self.page.evaluate("() => window.sent"))

    @property
    def asked(self) -> list[Any]:
        """What the page has asked for, without the numbers by which replies are known."""
        return [
            {name: value for name, value in message.items() if name not in ("type", "ask")}
            for message in self.sent
            if message["type"] == "ask"
        ]

    def reply(self, **reply: Any) -> None:
        """Answer what was asked last."""
        number = [message["ask"] for message in self.sent if message["type"] == "ask"][-1]
        self.page.evaluate("(reply) => window.reply(reply)", {"type": "reply", "ask": number, **reply})

    def node(self, name: str) -> Any:
        return self.page.locator(f'[data-name="{name}"]')


# The colours of a dark theme as a notebook has them.
DARK_PAGE = (
    "background:#111; --jp-ui-font-color1:#ddd; --jp-ui-font-color2:#b3b3b3; --jp-layout-color0:#111;"
    "--jp-layout-color1:#212121; --jp-layout-color2:#303030; --jp-border-color0:#757575; --jp-border-color2:#424242;"
    "--jp-border-color3:#333; --jp-content-link-color:#64b5f6"
)
