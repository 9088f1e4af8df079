"""The files that the page about deployment shows can be read by what reads them, and their commands by `dwarf`."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from dwarf.cli.app import app
from tests.architecture.repository import ROOT

PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{{code-block}} {kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def check_command(words: list[str]) -> None:
    """The options exist, and their values are of the right type."""
    command: Any = get_command(app)
    group = command.make_context("dwarf", words[:1], resilient_parsing=True)
    command.get_command(group, words[0]).make_context(words[0], words[1:])


def documents() -> dict[str, Any]:
    compose, cluster = blocks("yaml")
    found = {each["kind"]: each for each in yaml.safe_load_all(cluster)}
    return {"Compose": yaml.safe_load(compose), **found}


def test_workers_are_started_by_commands_that_exist() -> None:
    (unit,) = blocks("ini")
    (image,) = blocks("dockerfile")
    parts = documents()
    entry, default = (
        yaml.safe_load(re.search(rf"^{word} (.*)$", image, re.MULTILINE)[1]) for word in ("ENTRYPOINT", "CMD")
    )  # type: ignore[index]
    service = RawConfigParser()
    service.optionxform = str  # type: ignore[assignment,method-assign]
    service.read_string(unit)
    for words in (
        shlex.split(service["Service"]["ExecStart"])[1:],
        [*entry, *default][1:],
        [*entry, *parts["Deployment"]["spec"]["template"]["spec"]["containers"][0]["args"]][1:],
        parts["Job"]["spec"]["template"]["spec"]["containers"][0]["command"][1:],
    ):
        check_command(words)


def test_managers_wait_longer_than_workers() -> None:
    (unit,) = blocks("ini")
    parts = documents()
    patience = {
        int(re.search(r"TimeoutStopSec=(\d+)", unit)[1]),  # type: ignore[index]
        int(parts["Compose"]["services"]["worker"]["stop_grace_period"].removesuffix("s")),
        parts["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
    }
    grace = {int(seconds) for seconds in re.findall(r"--grace\"?,? \"?(\d+)s", PAGE)}
    assert (patience, grace) == ({60}, {45})


def test_a_secret_is_in_no_command() -> None:
    for kind in ("ini", "dockerfile"):
        assert "://" not in "".join(line for line in "".join(blocks(kind)).splitlines() if "Documentation" not in line)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "shop-worker.service"
    text = blocks("ini")[0].replace("/srv/shop/venv/bin/dwarf", shutil.which("true") or "/bin/true")
    unit.write_text(text.replace("User=shop\n", ""), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, "shop-worker" in done.stderr) == (0, False), done.stderr
