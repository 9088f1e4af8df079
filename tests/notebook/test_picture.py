"""Pictures of graphs and runs: what is in them, never their bytes."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from dwarf.notebook.live.wire import describe_planes
from dwarf.notebook.pictures import render
from dwarf.notebook.pictures.palette import LOOKS, in_dark
from dwarf.notebook.pictures.picture import coloured, draw_graph, draw_plane, draw_run
from dwarf.notebook.pictures.subgraph_views import lay_plane, make_plane, walk
from dwarf.notebook.pictures.svg import escape
from dwarf.notebook.showing import graph_bundle, outcome_bundle
from dwarf.workflow import END, Flow, Graph
from dwarf.workflow.drawing import programs
from tests.notebook.samples import (
    at,
    order_graph,
    order_steps,
    outcome,
    payment_graph,
    step,
    survey_graph,
    survey_steps,
)

NS = "{http://www.w3.org/2000/svg}"
DRAWN = {"svg", "g", "rect", "circle", "path", "polygon", "text", "title"}


def parse(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    tags = {element.tag.removeprefix(NS) for element in root.iter()}
    assert tags <= DRAWN  # shapes and words only: no style, no script, no link, nothing foreign
    for element in root.iter():
        assert not any(name.startswith("on") or name.endswith("href") or name == "style" for name in element.attrib)
    return root


def nodes(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    found = {}
    for group in root.iter(f"{NS}g"):
        if "data-node" in group.attrib:
            found[(group.findtext(f"{NS}title") or "").split("\n")[0].split(" (")[0]] = group
    return found


def words(element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in element.iter(f"{NS}text")]


def kinds(root: ElementTree.Element) -> list[str]:
    return [group.attrib["data-kind"] for group in root.iter(f"{NS}g") if "data-kind" in group.attrib]


def size(root: ElementTree.Element) -> tuple[float, float]:
    return float(root.attrib["width"]), float(root.attrib["height"])


def test_a_definition_shows_its_nodes_and_kinds_of_edges() -> None:
    root = parse(draw_graph(order_graph()))
    assert set(nodes(root)) == {node.name for node in order_graph().nodes}
    drawn = kinds(root)
    assert sorted(set(drawn)) == ["goto", "on_error", "plain", "start", "switch", "when"]
    assert drawn.count("switch") == 3
    labels = words(root)
    assert "on error" in labels
    assert "goto" in labels
    assert "otherwise" in labels
    assert "approved == true" in labels
    assert not any("data-state" in group.attrib for group in nodes(root).values())


def test_a_fan_out_shows_its_items_and_its_fan_in() -> None:
    root = parse(draw_graph(survey_graph()))
    assert "each module in modules" in words(root)
    behind = [element for element in nodes(root)["measure"] if element.attrib.get("data-part") == "behind"]
    assert len(behind) == 2
    plain, joined = nodes(root)["choose"], nodes(root)["rank"]
    assert len(joined.findall(f"{NS}rect")) == len(plain.findall(f"{NS}rect")) + 1  # the bar


def test_a_run_tells_states_three_times() -> None:
    root = parse(draw_run(survey_graph(), survey_steps("failed"), outcome("failed", error="it broke"), now=at(9)))
    rank, ask = nodes(root)["rank"], nodes(root)["ask_threshold"]
    assert rank.attrib["data-state"] == "failed"
    assert any(word.startswith("failed") for word in words(rank))
    assert any(path.attrib["d"] == LOOKS["failed"].glyph for path in rank.iter(f"{NS}path"))
    assert any(rect.attrib.get("fill") == LOOKS["failed"].fill for rect in rank.iter(f"{NS}rect"))
    assert "not reached" in words(ask)
    assert any("it broke" in word for word in words(root))
    assert any(word.startswith("failed") for word in words(root) if "steps" in word)


def test_a_group_of_branches_has_its_shares() -> None:
    root = parse(draw_run(survey_graph(), survey_steps("measuring"), outcome("running"), now=at(2)))
    bar = next(group for group in nodes(root)["measure"].iter(f"{NS}g") if group.attrib.get("data-part") == "bar")
    fills = [rect.attrib["fill"] for rect in bar]
    assert LOOKS["completed"].line in fills
    assert LOOKS["running"].line in fills
    assert "12 of 24" in words(nodes(root)["measure"])


def test_questions_and_notes_stay_in_the_picture() -> None:
    note = "✔ From which score on? 25"
    root = parse(
        draw_run(survey_graph(), survey_steps("completed"), outcome("completed"), asked={"ask_threshold"}, notes=[note])
    )
    titles = [title.text for title in nodes(root)["ask_threshold"].iter(f"{NS}title")]
    assert "puts a question" in titles
    assert note in words(root)


def test_a_picture_fits_and_is_measured_in_pixels() -> None:
    for graph in (
        survey_graph(),
        order_graph(),
        Graph("wide").add_fan_out("a", *[f"branch_{index}" for index in range(60)]),
    ):
        width, height = size(parse(draw_graph(graph)))
        assert 0 < width <= 900
        assert height > 0


def test_a_definition_and_its_run_go_the_same_way() -> None:
    graph = Graph("short").add_chain("a", "b", "END")
    for picture in (draw_graph(graph), draw_run(graph, [], outcome("running"))):
        width, height = size(parse(picture))
        assert width > height


HOSTILE = "<script>alert('x')</script> & \"quotes\" \x00 ]]>"


def test_hostile_names_stay_text() -> None:
    graph = Graph(HOSTILE)
    graph.add_node(HOSTILE.replace("\x00", ""), "https://x/<b>").add_transition(
        HOSTILE.replace("\x00", ""), "END", when="a == '<i>'"
    )
    root = parse(draw_graph(graph))
    steps = [step(1, HOSTILE.replace("\x00", ""), "failed", 0, 1, error=HOSTILE)]
    run = parse(draw_run(graph, steps, outcome("failed", error=HOSTILE), notes=[HOSTILE]))
    assert any("<script>" in (text or "") for text in words(root))
    assert any("<script>" in (text or "") for text in words(run))


@pytest.mark.parametrize(
    "graph",
    [
        Graph(""),
        Graph("no entry", entry="elsewhere").add_node("a"),
        Graph("lonely").add_node("a").add_node("b"),
        Graph("loop").add_transition("a", "a").add_goto("a", "a"),
        Graph("twice").add_transition("a", "b").add_transition("a", "b").add_transition("a", "b", when="x"),
        Graph("long").add_node("n" * 5000),
    ],
    ids=lambda graph: graph.name or "empty",
)
def test_any_graph_can_be_drawn(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(nodes(parse(draw_graph(graph)))) == len(graph.nodes)
    monkeypatch.setattr(render, "PROGRAMS", ())
    render.lay_out.cache_clear()
    assert len(nodes(parse(draw_run(graph, [], None)))) == len(graph.nodes)
    render.lay_out.cache_clear()


def test_the_text_says_the_same() -> None:
    picture = draw_run(order_graph(), order_steps(), outcome("running"), now=at(6))
    assert picture.alt.splitlines()[0] == "order: running · 6.0 s · 9 steps"
    assert "▣ charge: in payment · 3.9 s · lap 2" in picture.alt
    assert "· refund: not reached" in picture.alt


def test_a_graph_displays_as_its_picture() -> None:
    bundle = survey_graph()._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert "code survey" in bundle["text/plain"]


def test_an_outcome_displays_as_a_short_table() -> None:
    bundle = outcome_bundle(outcome("failed", error="<b>boom</b>", state={"a": 1, "long": list(range(1000))}))
    assert bundle["text/plain"].splitlines()[:2] == ["failed: <b>boom</b>", "  a     1"]
    assert len(bundle["text/plain"]) < 300
    assert "<b>boom" not in bundle["text/html"]


def test_a_display_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no picture today")

    monkeypatch.setattr("dwarf.notebook.showing.draw_graph", broken)
    assert list(graph_bundle(survey_graph())) == ["text/plain"]


def test_five_hundred_nodes_are_drawn_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "PROGRAMS", ())
    graph = Graph("large")
    for index in range(499):
        graph.add_transition(f"n{index // 2}", f"n{index + 1}")
    assert len(nodes(parse(draw_graph(graph)))) == 500
    render.lay_out.cache_clear()


def test_a_subgraph_opens_in_its_node() -> None:
    place = str([node.name for node in order_graph().nodes].index("charge"))
    plane = make_plane(
        order_graph(),
        order_steps(),
        outcome("running"),
        opened={place: 0, f"{place}/1": 0, "99": 0},
        graph_of=lambda child: payment_graph() if child.workflow_name == "payment" else None,
        now=at(6),
    )
    assert [path for path, _ in walk(plane)] == ["", place]  # what has no child stays shut
    plan = lay_plane(plane, 864)
    assert len(plan.cards[int(place)].inner.cards) == 3  # type: ignore[union-attr]
    told = describe_planes(plane, plan)
    assert set(told) == {"", place}
    root = parse(draw_plane(plane, plan, now=at(6).timestamp()))
    paths = {group.attrib["data-node"] for group in root.iter(f"{NS}g") if "data-node" in group.attrib}
    assert {place, f"{place}/0", f"{place}/1", f"{place}/2"} <= paths
    edges = {group.attrib["data-edge"] for group in root.iter(f"{NS}g") if "data-edge" in group.attrib}
    assert f"{place}/0" in edges
    width, _ = size(root)
    assert width <= 900
    assert "▶ authorise: running" in draw_plane(plane, now=at(6).timestamp()).alt


def misspelt() -> Graph:
    def load(flow: Flow) -> dict[str, Any]:
        return {"amount": 3}

    def check(amont: int) -> dict[str, Any]:
        return {"ok": True}

    return Graph("g").add_node("Load", load).add_node("Check", check).add_chain("Load", "Check", END)


def test_what_will_probably_go_wrong_stands_under_the_graph_and_at_its_node() -> None:
    graph = misspelt()
    (finding,) = graph.check()
    bundle = graph_bundle(graph)
    svg = bundle["image/svg+xml"]
    assert svg.count('data-part="finding"') == 1
    assert f"<title>{escape(str(finding))}</title>" in svg
    assert "did you mean" in svg
    assert str(finding) in bundle["text/plain"]


def test_an_edge_tells_which_fields_go_along_it() -> None:
    def load(flow: Flow) -> dict[str, Any]:
        return {"amount": 3, "unread": 1}

    def check(amount: int) -> dict[str, Any]:
        return {"ok": True}

    graph = Graph("g").add_node("Load", load).add_node("Check", check).add_chain("Load", "Check", END)
    svg = str(draw_graph(graph))
    assert "carries amount" in svg
    assert 'data-part="finding"' not in svg


@pytest.mark.parametrize("program", programs.PROGRAMS)
def test_a_run_as_a_digraph_renders_with_dot_and_without(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if programs.find_program(program) is None:
        pytest.skip(f"needs {program}")
    monkeypatch.setattr(programs, "PROGRAMS", (program,))
    graph = Graph("g").add_chain("Load <b>", "Check", END)
    drawing = coloured(graph, [step(1, "Load <b>", "completed", 0, 1), step(2, "Check", "failed", 1, 2)], None)
    svg = drawing.pipe(format="svg", encoding="utf-8", quiet=True)
    assert "Load &lt;b&gt;" in svg
    for state in ("completed", "failed"):
        assert svg.count(LOOKS[state].fill) == 1
    assert drawing.pipe(format="png", quiet=True).startswith(b"\x89PNG")


def test_a_still_picture_has_its_graph_where_the_live_view_had_it() -> None:
    """Six pixels from the left; below the line with the status, which a page makes 34 pixels high, and twelve more."""
    root = parse(draw_run(Graph("g").add_chain("One", "Two", "Three", "END"), [], outcome("completed")))
    left, top, *_ = map(float, root.attrib["viewBox"].split())
    place = next(
        group.attrib["transform"] for group in root if group.attrib.get("transform") and "data-part" not in group.attrib
    )
    x, y = map(float, place.removeprefix("translate(").removesuffix(")").split())
    assert (x - left, y - top) == (6, 34 + 12)


def beside(root: ElementTree.Element) -> list[ElementTree.Element]:
    """The texts that stand on the page, and on no card."""
    if "data-node" in root.attrib or root.attrib.get("data-part") == "flow":
        return []
    own = [root] if root.tag == f"{NS}text" else []
    return own + [text for each in root for text in beside(each)]


@pytest.mark.parametrize("shade", [str, in_dark], ids=["light", "dark"])
def test_the_words_beside_the_nodes_can_be_read_on_both_grounds(shade: Any) -> None:
    drawn = draw_run(order_graph(), order_steps(), outcome("failed", error="no such order"), notes=["a note"])
    texts = beside(parse(shade(drawn)))
    assert {text.text for text in texts} > {"order", "a note", "✘ no such order", "on error"}
    for text in texts:
        for ground in ("#ffffff", "#111111"):
            assert contrast(text.attrib["fill"], ground) > 4.1, (text.text, text.attrib["fill"], ground)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 has it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_an_error_is_on_as_many_lines_as_it_needs_up_to_some() -> None:
    def lines(error: str) -> list[str]:
        root = parse(draw_run(payment_graph(), [], outcome("failed", error=error)))
        texts = [text.text or "" for text in beside(root)]
        return texts[next(place for place, text in enumerate(texts) if text.startswith("✘")) :]

    error = "no order of that number was found in " + ", ".join(f"warehouse {number}" for number in range(9))
    assert len(lines(error)) > 1
    assert " ".join(lines(error)) == f"✘ {error}"
    assert len(lines(error * 20)) == 6
    assert lines(error * 20)[-1].endswith(" more lines")


def test_a_high_picture_that_stays_is_folded() -> None:
    names = [f"Step {number}" for number in range(60)]
    graph = Graph("long").add_chain(*names, END)
    steps = [step(n + 1, name, "completed", n, n + 1, predecessor_id=n) for n, name in enumerate(names[:40])]
    steps.append(step(41, names[40], "failed", 40, 41, predecessor_id=40))
    whole = parse(draw_run(graph, steps, outcome("failed")))
    folded = parse(draw_run(graph, steps, outcome("failed"), folded=True))
    assert list(nodes(whole)) == names
    assert list(nodes(folded)) == [names[0], *names[39:]]  # what is not done stays
    assert "⋯ 38 completed" in words(folded)
    assert size(folded)[1] < 0.6 * size(whole)[1]
    assert len(kinds(folded)) == len(kinds(whole)) - 39
    short = draw_run(graph, steps[:3], outcome("running"), folded=True)
    assert short == draw_run(graph, steps[:3], outcome("running"))
