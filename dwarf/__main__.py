"""``python -m dwarf``: the command line, for where the program ``dwarf`` is not on the PATH."""

from __future__ import annotations

import sys

from dwarf.cli import main

if __name__ == "__main__":
    sys.exit(main())
