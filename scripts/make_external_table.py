"""Updates the table of docs/external.md: how agents treat each kind of parameter, according to their classes.

python scripts/make_external_table.py
"""

from __future__ import annotations

import re
from pathlib import Path

import opto_gym
from opto_gym.agents.base import ONE_OF_EACH
from opto_gym.agents.external.base import External
from opto_gym.registration import agent_class

PAGE = Path(__file__).parent.parent / "docs" / "external.md"
OURS = ("OptoPrime", "OPRO", "OPRO-Trace", "TextGrad")
TABLE = re.compile(r"(?<=<!-- made by scripts/make_external_table\.py -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table() -> str:
    """The table in Markdown."""
    kinds = [type(p.space).__name__ for p in ONE_OF_EACH]
    head = ["agent", *(kind.lower() for kind in kinds), "interrupted trial"]
    rows = [head, ["---"] * len(head)]
    for name in sorted(opto_gym.registered_agents(), key=lambda name: (name not in OURS, name)):
        cls = agent_class(name)
        if name in OURS or issubclass(cls, External):
            treatments = [cls.supported_kinds().get(kind, "refused") for kind in kinds]
            rows.append([f"`{name}`", *treatments, "continues" if cls.deterministic else "starts again"])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Replaces the table of the page."""
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
