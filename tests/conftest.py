from __future__ import annotations

import os
from pathlib import Path

from opto_gym import data

if "OPTO_GYM_DATA" not in os.environ:  # the data sets beside this checkout, or else the package's few examples
    beside = Path(__file__).parents[2] / "shared" / "data"
    os.environ["OPTO_GYM_DATA"] = str(beside if beside.is_dir() else data.SAMPLE)
