"""The files of binder/ say the same as pyproject.toml."""

from __future__ import annotations

import tomllib

from tests.architecture.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lines(name: str) -> list[str]:
    text = (ROOT / "binder" / name).read_text(encoding="utf-8")
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def test_the_project_is_installed_with_its_notebook_extra() -> None:
    # Where the folder exists, Binder looks at no other file: without this line the project would be missing.
    assert ".[notebook]" in lines("requirements.txt")


def test_every_pin_is_one_of_the_extra() -> None:
    pins = set(lines("requirements.txt")) - {".[notebook]"}
    assert pins <= set(PROJECT["optional-dependencies"]["notebook"])
    assert any(pin.startswith("ipykernel") for pin in pins)


def test_the_python_version_is_supported() -> None:
    (runtime,) = lines("runtime.txt")
    version = runtime.removeprefix("python-")
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_the_layout_program_comes_from_the_distribution() -> None:
    assert lines("apt.txt") == ["graphviz"]
