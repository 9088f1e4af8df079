"""Both sides of a view agree on what they say to each other: the fields that are sent are read, and nothing else."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import pytest

from dwarf.notebook import messages
from dwarf.notebook.live.widget import module
from tests.notebook.write_messages import TARGET, kinds, text

STATIC = TARGET.parent
CODE = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js"))}
SENT_BY_THE_PAGE = (
    "PanelRequest",
    "Sign",
    "CardAnswer",
    "PanelSwitch",
    "InSight",
    "ListFilter",
    "RowAction",
    "RunMessage",
)


def literals(kind: Any, field: str) -> set[str]:
    hint = get_type_hints(kind).get(field)
    return set(get_args(hint)) if hint is not None else set()


def test_the_types_of_the_scripts_are_those_of_python() -> None:
    assert TARGET.read_text(encoding="utf-8") == text(), "run: python -m tests.notebook.write_messages"


@pytest.mark.parametrize("name", [name for name in kinds() if name not in SENT_BY_THE_PAGE])
def test_each_field_that_is_sent_is_read(name: str) -> None:
    own = get_type_hints(kinds()[name])
    code = "\n".join(CODE.values())
    unread = [field for field in own if not re.search(rf"[.{{,\s]{field}\b", code)]
    assert not unread


def test_the_page_sends_what_is_known() -> None:
    code = "\n".join(CODE.values())
    kinds_sent = set(re.findall(r"[({]\s*type: \"([\w-]+)\"[,} ]", "".join(re.findall(r"send\(\{[^}]*", code))))
    known = set().union(*(literals(kinds()[name], "type") for name in SENT_BY_THE_PAGE))
    assert kinds_sent, "the pattern finds nothing any more"
    assert kinds_sent <= known
    asked = set(re.findall(r"\bdo: \"(\w+)\"", code)) | {"step", "node"}
    assert asked == literals(messages.PanelRequest, "do")


def test_every_script_is_checked_and_says_what_it_imports() -> None:
    assert [name for name, code in CODE.items() if not code.startswith("// @ts-check\n")] == []
    for entry in ("run.js", "wait.js", "inbox.js", "dashboard.js", "map.js", "lab.js"):
        whole = module(entry)
        assert not re.search(r"^import ", whole, re.MULTILINE)
        assert len(re.findall(r"^export ", whole, re.MULTILINE)) == 1
        names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", whole, re.MULTILINE)
        assert len(names) == len(set(names)), "two files of one module give the same name"
