"""The outputs that the notebooks are stored with belong to their present cells. Nothing is executed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.architecture.repository import ROOT


def check(*notebooks: Path) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "scripts" / "gallery.py"), "--check", *map(str, notebooks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_gallery_shows_what_the_notebooks_do() -> None:
    status, findings = check()
    assert status == 0, f"{findings}\n./scripts/gallery stores them anew"


def test_what_is_out_of_date_or_of_this_machine_is_found(tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "notebooks" / "01-quickstart.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code[0]["outputs"] = []
    code[1]["source"] += ["\n# edited"]
    code[2]["metadata"]["execution"] = {}
    notebook["metadata"]["widgets"] = {}
    notebook["cells"][0]["source"] = ["# Without a picture\n", f" {tmp_path}/flows.db"]
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    status, findings = check(path)
    assert status == 1
    for finding in (
        "old.ipynb: state of widgets is stored",
        "old.ipynb: names a folder of this machine",
        "old.ipynb: its first cell has no picture",
        f"cell {code[0]['id']}: shows [], and was stored with ['text/plain']",
        f"cell {code[1]['id']}: was edited after its outputs were stored",
        f"cell {code[2]['id']}: times of execution are stored",
    ):
        assert finding in findings
