"""``python -m dwarf.cli`` is ``dwarf``."""

import sys

from dwarf.cli import main

sys.exit(main())
