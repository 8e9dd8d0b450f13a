"""Renews the table of docs/external.md: what agents do with each kind of parameter, as their classes say.

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
PLACE = re.compile(r"(?<=<!-- made by scripts/make_external_table\.py -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table() -> str:
    """The table in Markdown."""
    kinds = [type(p.space).__name__ for p in ONE_OF_EACH]
    head = ["agent", *(kind.lower() for kind in kinds), "interrupted trial"]
    rows = [head, ["---"] * len(head)]
    for name in sorted(opto_gym.registered_agents(), key=lambda name: (name not in OURS, name)):
        cls = agent_class(name)
        if name in OURS or issubclass(cls, External):
            does = [cls.supported_kinds().get(kind, "refused") for kind in kinds]
            rows.append([f"`{name}`", *does, "continues" if cls.deterministic else "starts again"])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Writes it into the page."""
    PAGE.write_text(PLACE.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
