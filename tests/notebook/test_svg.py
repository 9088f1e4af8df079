"""Text in pictures: escaped, measured, cut."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from dwarf.notebook.pictures.svg import Svg, attributes, element, escape, fit_text, text_width

HOSTILE = [
    "<script>alert(1)</script>",
    "a & b",
    '"quoted"',
    "it's",
    "]]>",
    "\x00\x07\x1b",
    "\ud800",
    "\uffff",
    "𝕏 日本 é",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_well_formed_between_tags_and_in_attributes(text: str) -> None:
    parsed = ElementTree.fromstring(f"<a>{element('b', text, title=text)}</a>")
    (inner,) = parsed
    assert inner.text == inner.attrib["title"]
    assert len(parsed) == 1  # nothing became an element


def test_escaping_keeps_what_xml_can_hold() -> None:
    assert escape("<&\">'") == "&lt;&amp;&quot;&gt;&#39;"
    assert escape("tab\tline\n") == "tab\tline\n"


def test_attributes_are_named_and_rounded() -> None:
    assert (
        attributes(stroke_width=1.25, x=-0.01, fill=None, data_part="card")
        == ' stroke-width="1.2" x="0" data-part="card"'
    )


def test_text_is_cut_to_its_room() -> None:
    cut = fit_text("a rather long name of a node", 80, 13)
    assert cut.endswith("…")
    assert text_width(cut, 13) <= 80
    assert fit_text("short", 80, 13) == "short"
    assert fit_text("two\n lines", 200, 13) == "two lines"


def test_wide_characters_count_double() -> None:
    assert text_width("日本", 10) > text_width("ab", 10) * 1.5


def test_svg_is_its_text_and_displays_as_a_picture(tmp_path) -> None:
    svg = Svg("<svg/>", alt="a picture of nothing")
    assert svg == "<svg/>"
    assert svg._repr_mimebundle_() == {"image/svg+xml": "<svg/>", "text/plain": "a picture of nothing"}
    assert svg.save(tmp_path / "a.svg").read_text() == "<svg/>"
