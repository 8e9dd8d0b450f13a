"""The authors' packages, in the environment that `opto-gym external install` makes: their side of tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from opto_gym.agents.external import install

needs_packages = pytest.mark.skipif(
    install.state() != "ready",
    reason=f"the authors' packages are {install.state()} in {install.folder()}: `{install.COMMAND}`",
)
"""The mark of a test that runs them; it is `slow` too."""


def by_their_packages(script: str, given: Any, home: Path, **env: str) -> Any:
    """Runs a script of tests/support/children in their Python, JSON in and out, with its own home and caches."""
    own = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "TEXTGRAD_LOG_DIR")}
    done = subprocess.run(
        [install.python(), Path(__file__).parent / "children" / script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=home,
        # litellm would ask the net for prices at import
        env={"PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONHASHSEED": "0", **own, **env},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])  # they print at import
