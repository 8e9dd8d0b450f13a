"""Updates the table of docs/environments/index.md: the environments, their requirements, and their costs.

python scripts/make_environments_table.py

Names, parameters, requirements and anchors are read from the classes. The time of an oracle call is read from
docs/gallery.md, for which ``scripts/make_gallery.py`` measures it. The extras must be installed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import opto_gym
from opto_gym.cli.gallery import families
from opto_gym.core import OptoEnv
from opto_gym.utils.extras import EXTRAS

DOCS = Path(__file__).parent.parent / "docs"
INDEX = DOCS / "environments" / "index.md"
TABLE = re.compile(
    r"(?<=<!-- made by scripts/make_environments_table\.py -->\n).*?(?=<!-- end -->)",
    re.DOTALL,
)
PAGES = {
    "battleship": "Battleship",
    "numerical": "Numerical optimization",
    "diagnostics": "Diagnostics",
    "traffic": "Traffic lights",
    "metaworld": "Meta-World",
    "questions": "Questions",
    "tutorials": "Trace's tutorials",
    "opro": "OPRO's problems",
}


def pages() -> dict[str, str]:
    """The docs' page of each environment class, by the full name of the class."""
    return {
        name: page
        for page in PAGES
        for name in re.findall(r"^::: (.*)$", (INDEX.parent / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)
    }


def times() -> dict[str, str]:
    """The time of an oracle call of each family, read from the gallery."""
    cards = (DOCS / "gallery.md").read_text(encoding="utf-8").split("\n## ")[1:]
    found = {}
    for card in cards:
        row = re.search(r"^\| floor .*\n.*\n\|(.*)\|$", card, re.MULTILINE)
        found[card.split("\n")[0]] = row[1].split("|")[-1].strip() if row else "-"
    return found


def table() -> str:
    """The table in Markdown, in the order of the pages."""
    head = ["family", "environment", "parameters", "needs", "oracle call", "start and best score"]
    page_of_class, call_times = pages(), times()
    rows: dict[str, list[list[str]]] = {page: [] for page in PAGES}
    for name, others in families().items():
        env = _make(name)
        class_name = f"{type(env).__module__}.{type(env).__qualname__}"
        page = page_of_class[class_name]
        rows[page].append(
            [
                f"[{PAGES[page]}]({page}.md)",
                f'<a id="{class_name}"></a>[`{name}`]({page}.md#{class_name})'
                + (f" and {len(others)} more" if others else ""),
                _parameters(env),
                _needs(env),
                call_times[name],
                _anchors(env),
            ]
        )
    lines = [head, ["---"] * len(head), *(row for page in PAGES for row in rows[page])]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _make(name: str) -> OptoEnv:
    questions: dict[str, Any] = {"data": "sample"} if re.match("BBH|GSM8K|MMLU", name) else {}
    env: OptoEnv = opto_gym.make(name, disable_env_checker=True, **questions).unwrapped  # type: ignore[assignment]
    return env


def _parameters(env: OptoEnv) -> str:
    kinds = [type(p.space).__name__.lower() for p in env.parameters]
    return ", ".join(_count(kinds.count(kind), kind) for kind in dict.fromkeys(kinds))


def _count(n: int, kind: str) -> str:
    return f"{n} {kind}" if n == 1 or kind == "code" else f"{n} {kind}s"


def _needs(env: OptoEnv) -> str:
    extras = {extra for extra, modules in EXTRAS.items() for module in env.needs if module in modules}
    needs = [f"extra `{extra}`" for extra in sorted(extras)]
    needs += ["a language model", "a data set"] if env.uses_model else []
    return ", ".join(needs) or "-"


def _anchors(env: OptoEnv) -> str:
    if env.anchors is None:
        return "-"
    start = "by arguments" if env.anchors.start is None else f"{env.anchors.start:g}"
    return f"{start}; {env.anchors.best:g}"


def main() -> None:
    """Replaces the table of the page."""
    page = INDEX.read_text(encoding="utf-8")
    INDEX.write_text(TABLE.sub(lambda _: table(), page), encoding="utf-8")


if __name__ == "__main__":
    main()
