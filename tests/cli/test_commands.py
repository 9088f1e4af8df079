"""The commands about flows and databases, on a file and without a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dwarf.surroundings import user_name
from tests.cli.conftest import Command

ANSWER = {"agree": True, "how": "card"}


def paid(dwarf: Command) -> str:
    """A flow that waits for its answer; its key."""
    done = dwarf("run", "shop:pay", "--state", '{"n": 4}', "--json")
    assert done.status == 6, done.err
    assert done.json["status"] == "interrupted"
    key: str = done.json["flow_key"]
    return key


def test_a_flow_is_run_listed_answered_and_finished(dwarf: Command, project: Path) -> None:
    key = paid(dwarf)
    assert [flow["flow_key"] for flow in dwarf("flows", "--json").json] == [key]
    assert "Pay 40?" in dwarf("show", key).out
    waiting = dwarf("inbox", "--json").json
    assert waiting[0]["payload"]["letter"] == "Dear Ada"
    refused = dwarf("answer", key, '{"agree": "maybe", "how": "card"}')
    assert refused.status == 2
    assert "agree" in refused.err
    assert dwarf("answer", key, json.dumps(ANSWER)).status == 0
    assert dwarf("answer", key, json.dumps(ANSWER)).status == 4
    assert "Approve waits for a process that knows 'shop.approve'" in dwarf("show", key).out  # nobody runs it yet
    done = dwarf("run", "shop:pay", "--state", '{"n": 1}', "--timeout", "30s")  # brings a worker for the other one, too
    assert done.status == 6
    assert dwarf("watch", key).status == 0
    shown = dwarf("show", key, "--json").json
    assert shown["outcome"]["state"]["answer"] == ANSWER
    assert [step["node"] for step in shown["steps"]] == ["Price", "Approve"]
    assert shown["steps"][1]["answered_by"] == [user_name()]
    assert dwarf("logs", key).out.endswith("Price  the price of 4\n")
    assert dwarf("logs", key, "--node", "Price", "-f", "--json").json["text"] == "the price of 4"
    assert (project / ".dwarf" / "flows.db").stat().st_mode & 0o777 == 0o600


def test_a_text_is_answered_without_quotes(dwarf: Command) -> None:
    def asked(kind: str) -> str:
        return str(dwarf("run", "shop:asking", "--state", json.dumps({"kind": kind}), "--json").json["flow_key"])

    day = asked("date")
    refused = dwarf("answer", day, "tomorrow")
    assert refused.status == 2
    assert "date" in refused.err
    for key, words in (
        (day, "2020-01-02"),
        (asked("text"), "hello"),
        (asked("text"), "42"),
        (asked("text"), '"quoted"'),
    ):
        assert dwarf("answer", key, words).status == 0, words
    assert "a text needs quotes" in dwarf("answer", paid(dwarf), "hello").err


def test_a_key_starts_nothing_twice(dwarf: Command) -> None:
    keys = {dwarf("run", "shop:pay", "--state", '{"n": 4}', "--key", "k", "--json").json["flow_key"] for _ in range(2)}
    assert len(keys) == 1


def test_a_failed_flow_is_told_repaired_forked_and_deleted(dwarf: Command) -> None:
    done = dwarf("run", "shop:broken")
    assert done.status == 1
    assert "no stock" in done.out
    (flow,) = dwarf("flows", "--status", "failed", "--search", "stock", "--json").json
    key = flow["flow_key"]
    repaired = dwarf("retry-failed", key).out.strip()
    assert repaired
    assert repaired != key
    step = dwarf("show", key, "--json").json["steps"][0]["key"]
    assert dwarf("fork", step, "--changes", '{"n": 1}').out.strip() not in ("", key)
    assert dwarf("purge", "--status", "failed", "--yes").err == "1 flows deleted\n"
    assert dwarf("show", key).status == 3


def test_flows_move_to_another_database(dwarf: Command, project: Path) -> None:
    dwarf("run", "shop:broken")
    key = dwarf("flows", "--json").json[0]["flow_key"]
    assert dwarf("export", key, "-o", "flows.jsonl").status == 0
    assert (project / "flows.jsonl").stat().st_mode & 0o777 == 0o600
    assert dwarf("migrate", "--url", "other.db").status == 0
    (new,) = dwarf("import", "flows.jsonl", "--url", "other.db").out.split()
    assert dwarf("show", new, "--url", "other.db", "--json").json["outcome"]["error"] == "no stock"


def test_a_database_tells_how_it_is(dwarf: Command) -> None:
    paid(dwarf)
    (info,) = dwarf("shards", "--json").json
    assert info["flows"]["interrupted"] == 1
    checked = dwarf("doctor")
    assert checked.status == 0, checked.out
    assert "1 interrupted" in checked.out
    assert dwarf("schedules", "--json").json == []


def test_a_report_is_one_file(dwarf: Command, project: Path) -> None:
    key = paid(dwarf)
    assert dwarf("report", key, "-o", "page.html").status == 0
    text = (project / "page.html").read_text(encoding="utf-8")
    assert "Pay 40?" in text
    assert key not in text, "the key is a secret"


def test_a_flow_is_cancelled(dwarf: Command) -> None:
    key = paid(dwarf)
    assert dwarf("cancel", key, "--reason", "sold out").status == 0
    assert dwarf("watch", key).status == 1
    assert dwarf("cancel", key).status == 4


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["flows"], 3, "no database file"),
        (["flows", "--url", "nowhere.db"], 3, "no database file nowhere.db"),
        (["flows", "--url", "sqlite:///nowhere.db"], 3, "no database file nowhere.db"),
        (["flows", "--url", "oracle://x"], 2, "oracle"),
        (["flows", "--url", "postgresql://u:hush@127.0.0.1:1/x"], 5, "not available"),
        (["run", "shop"], 2, "MODULE:NAME"),
        (["run", "nothing:graph"], 3, "no module 'nothing'"),
        (["run", "shop:nothing"], 3, "has no 'nothing'"),
        (["run", "shop:host"], 2, "not a Graph"),
        (["run", "shop:pay", "--state", "{n: 1}"], 2, "the state is no JSON"),
        (["run", "shop:pay", "--state", "@missing.json"], 2, "cannot be read"),
        (["run", "shop:pay", "--timeout", "soon"], 2, "no duration"),
        (["worker", "shop:pay"], 2, "not a host"),
        (["worker", "shop:host", "--grace", "x"], 2, "no duration"),
        (["worker", "shop:host", "--health", "99999"], 2, "65535"),
        (["purge"], 2, "needs a filter"),
        (["new", "shop.py"], 2, "is there already"),
        (["flows", "--limit", "0"], 2, "greater than or equal"),
        (["nonsense"], 2, "nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_told_in_words(dwarf: Command, arguments: list[str], status: int, words: str) -> None:
    done = dwarf(*arguments)
    assert done.status == status, done.err
    assert words in done.err
    assert "Traceback" not in done.err
    assert "hush" not in done.err


def test_an_unknown_key_is_told(dwarf: Command) -> None:
    paid(dwarf)
    for arguments in (["show", "1-99-abcdefabcdefabcd"], ["cancel", "1-99-abcdefabcdefabcd"]):
        assert dwarf(*arguments).status == 3
    assert dwarf("show", "not a key").status in (2, 3)


@pytest.mark.timeout(300)
def test_a_new_project_runs_and_passes_its_test(dwarf: Command, project: Path) -> None:
    import os
    import subprocess
    import sys

    assert dwarf("new", "my-flows").status == 0
    folder = project / "my-flows"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    executed = subprocess.run(
        [sys.executable, "-m", "dwarf", "lab", "--headless", "my_flows.ipynb"],
        cwd=folder,
        env={**os.environ, "DWARF_ANSWERS": '{"Review": true}'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert executed.returncode == 0, executed.stdout + executed.stderr
    assert "a longer sentence" in executed.stdout
    assert dwarf("new", "my-flows").status == 2
