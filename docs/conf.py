"""How the documentation is built: sphinx-build -n -W -b html docs OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dwarf

project = "dwarf"
author = "The dwarf authors"
copyright = "The dwarf authors"
release = version = dwarf.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"dwarf {version}"
html_show_sphinx = False
html_extra_path = ["llms.txt"]

add_module_names = False
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100

# -n reports every reference that leads nowhere. Names of other projects cannot be looked up without a network, and type
# variables and aliases are not documented by themselves; everything else must be found.
nitpick_ignore_regex = [
    ("py:.*", r"(?!dwarf\b)[a-z_]+[0-9]*(\..+)?"),
    ("py:.*", r"(dwarf\.[\w.]+\.)?(JSON|Seconds|M|F)"),
    ("py:.*", r"Self|Any|Callable|Mapping|Sequence|Iterable|Awaitable|AsyncIterator|Logger|Path"),
]
PUBLIC_MODULES = ["dwarf", "dwarf.engine", "dwarf.hosts", "dwarf.testing", "dwarf.notebook", "dwarf.errors"]


def find_public_name(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Annotations name classes by the module that defines them; lead them to the public module that documents them."""
    if node.get("refdomain") != "py":
        return None
    domain, path = env.get_domain("py"), node["reftarget"]
    place, _, name = path.rpartition(".")
    for module in PUBLIC_MODULES:
        target = f"{module}.{name}"
        if target in domain.objects:
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)
    inner = [module for module in tuple(sys.modules) if module.startswith("dwarf.") and module not in PUBLIC_MODULES]
    if any(hasattr(sys.modules[module], name) for module in inner if place in ("", module)):
        return contnode  # an inner class in a signature: it exists, and has no page
    return None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("missing-reference", find_public_name)
