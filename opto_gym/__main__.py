"""``python -m opto_gym``: the command line, as ``opto-gym``."""

import sys

from .cli import main

sys.exit(main())
