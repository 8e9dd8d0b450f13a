"""Updates the tables of docs/models.md: how endpoints are reached, and what agents and tasks do on scripted ones.

python -m scripts.make_endpoints_table

The endpoints' profiles are in tests/llm/zoo/profiles.py, with their sources.
"""

from __future__ import annotations

from opto_gym.llm import attempts
from tests.llm.zoo.cells import PAGE, TABLE, table

if __name__ == "__main__":
    attempts._FIRST_PAUSE = 0.005  # the scripted endpoints need no pause
    made = table()
    PAGE.write_text(TABLE.sub(lambda _: made, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
