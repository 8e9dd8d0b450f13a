"""Updates docs/peers.md, which compares our optimizers with their authors' packages on the embedded model.

python scripts/peers_table.py runs/peers

It reads the trials of the suite ``peers``, which must have been run before with
``opto-gym run --suite peers --model local --test-scores never --out runs/peers``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from opto_gym.leaderboard.records import RunFolder
from opto_gym.leaderboard.reporting.page import number
from opto_gym.leaderboard.results import TrialData, load

PAGE = Path(__file__).parent.parent / "docs" / "peers.md"
HEAD = """# Ours and the authors'

All optimizers that ask a language model, on three tasks (a number, code, and a prompt with code), under the same
budget of example evaluations and model calls, with the embedded model (SmolLM2-135M-Instruct). That model is far too
weak to optimize anything. The tables show that each optimizer runs from its first call to its last, what it spends,
and how many of the model's answers it can use; they do not show which one is better. The scores are of the start
values, and of the best parameters on the agent's own examples, which is optimistic. There is one seed. These commands
repeat it:

```console
opto-gym run --suite peers --model local --test-scores never --out runs/peers
python scripts/peers_table.py runs/peers
```

`external/...` are the authors' packages themselves ([how they run](external.md)); the others are implemented in
opto_gym.
"""
COLUMNS = (
    "agent",
    "start",
    "best seen",
    "oracle calls",
    "evaluations",
    "model calls",
    "tokens",
    "unusable",
    "s",
    "ended",
)


def row(trial: TrialData) -> list[str]:
    """The cells of a trial's row."""
    s, agent = trial.summary, trial.record.spec.agent
    optimizer_calls = s.ledger.optimizer
    counts = [s.oracle_calls, s.evaluations, optimizer_calls.calls, optimizer_calls.tokens]
    ended = trial.record.ended if trial.record.status == "done" else f"failed: {trial.record.ended}"
    best = max(trial.steps, key=lambda step: step.reward)
    scores = [number(trial.steps[0].score), number(best.score)]
    seconds = f"{trial.record.seconds:.0f}"
    return [
        f"`{agent}`",
        *scores,
        *(f"{n:,}" for n in counts),
        str(s.invalid_answers),
        seconds,
        ended.split("\n")[0][:80],
    ]


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows))


def main(*runs: str) -> None:
    """Writes the page from the folders of the runs."""
    trials = sorted((trial for run in runs for trial in load(run)), key=lambda t: t.agent)
    parts = [HEAD]
    for env in dict.fromkeys(t.env for t in trials):
        parts.append(f"## {env}\n\n{table([row(t) for t in trials if t.env == env])}\n")
    skipped = [pair for run in runs for pair in RunFolder(Path(run)).plan.skipped]
    refused = {f"* `{agent}`: {why}" for _, agent, why in skipped}
    if refused:
        parts.append("## Refused before anything was spent\n\n" + "\n".join(sorted(refused)) + "\n")
    PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
