"""The folder for downloaded files."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder for downloaded files: ``OPTO_GYM_CACHE`` if that is set, else in the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("OPTO_GYM_CACHE") or platformdirs.user_cache_dir("opto_gym"))
