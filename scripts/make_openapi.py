"""Updates docs/openapi.json, the OpenAPI document of the protocol that docs/protocol.md describes.

python scripts/make_openapi.py
"""

from __future__ import annotations

import json
from pathlib import Path

from opto_gym.agents.external.openapi import openapi

if __name__ == "__main__":
    page = Path(__file__).parent.parent / "docs" / "openapi.json"
    page.write_text(json.dumps(openapi(), indent=1) + "\n", encoding="utf-8")
