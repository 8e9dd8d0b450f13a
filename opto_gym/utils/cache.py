"""The folder for files that are fetched once."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where models are kept: ``OPTO_GYM_CACHE``, else the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("OPTO_GYM_CACHE") or platformdirs.user_cache_dir("opto_gym"))
