"""OPRO, optimization by prompting, as its own paper has it."""

from __future__ import annotations

import json
import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ..problems import Problem, TraceFeedback
from ..reading.proposals import Unusable, schema
from ..reading.solutions import read_solution
from ..spaces import Prompt
from ..utils.checks import at_least
from ..utils.moved import moved_names
from .base import Run, Values
from .toolkit.model_agent import Messages, ModelAgent
from .toolkit.moves import sample
from .toolkit.prompt_budget import fit, listed, newest, shorten, tokens

ORDER = """Give one new solution, different from all of these and with a better score than any of them. Write it in the
same form, each part between its tags, and no score."""

PAGE = """{objective}

A solution has these parts:
{parts}

Solutions that were tried, with their scores, from the worst to the best. {better}

{solutions}
{cases}"""

CASES = "Some cases that solutions are tried on, with what was said of an answer:"


class OPRO(ModelAgent):
    """OPRO: the model is shown the best solutions so far with their scores, and writes better ones.

    Yang et al., "Large Language Models as Optimizers", ICLR 2024. A step is one meta-prompt, a single user message: the
    task, the `top` best different solutions from the worst to the best, and, for prompts, a few cases of the task.
    `n` candidates are sampled from it at temperature 1; those that are new are evaluated and join the history. It uses
    the score alone, neither the graph nor what the feedback says, except for these cases.

    The paper's three experiments (steps are those of its public program):

    | experiment | here | settings | steps |
    | --- | --- | --- | --- |
    | linear regression, section 3.1 | `LinearRegression-v0` | `n=8, top=20, starts=5` | 500 |
    | travelling salesman, section 3.2 | `TSP-v0` | `n=8, top=10, starts=5` | 500 |
    | instructions, sections 4 and 5 | `GSM8K-v0`, `MMLU-...-v0`, `BBH-...-v0` | `n=8, top=20, exemplars=3` | 200 |

    Scores are shown as there: a score from 0 to 1 as a percentage, rounded, so that there are 100 steps between; any
    other cut to a whole number. Where a task's scores lie close together, give `decimals`.

    Differences from the paper:

    * the wording is our own, and one form serves all: each parameter between tags of its name, as the paper has it for
      tours and instructions; brackets, its form for lines, and JSON are read too;
    * numbers, choices and mixtures come beside its three kinds; code is not in the paper;
    * a solution's score is that of one oracle call, on the task's `batch` of examples, not on all of train: give prompt
      tasks a large batch for the paper's setting. A solution that is evaluated again has the mean of its scores;
    * the score is the task's own, which for `LinearRegression-v0` and `TSP-v0` is the distance to the best, where the
      paper shows the loss and the length;
    * further starts are drawn from the parameters' whole spaces; the paper's lines start between 10 and 20;
    * exemplars are cases that were met, drawn anew each step: the fixed inputs of the graph, with the feedback, which
      tells the right answer where the task says it. The paper draws from train, with the right answers. There are none
      where the inputs are masked, or for problems without prompts;
    * an answer that can't be used is skipped and counted as invalid, and so is one that repeats a solution. A step
      without a new candidate evaluates the best solution again, and the next step asks anew; the public program asks
      again for ever for a tour, and takes any prose as an instruction;
    * the public program's filters of instructions (scores under 0.3, over 500 characters, digits) are left out;
    * the prompt has a budget: long values are cut, the worst solutions are left out first, and both are said;
    * the embedded model gives one answer a call, so that a step is `n` calls, and answers in JSON (`constrained`).

    Args:
        model: The optimizer's model.
        base_url: Its endpoint.
        n: Candidates a step, sampled in one call.
        top: How many solutions the prompt shows.
        starts: Solutions evaluated before the first call; the first are the start values, the others are random.
        exemplars: Cases of the task that the prompt shows, where a parameter is a prompt.
        decimals: Of the scores shown.
        prompt_budget: Tokens of the prompt, 1,000 or more.
        max_tokens: Tokens of an answer.
        temperature: As the endpoint takes it.
        constrained: Constrain the answer by a JSON schema; None does so for the embedded model.

    Attributes:
        duplicates: Answers that repeated a solution, since `reset`.
    """

    def __init__(
        self,
        *,
        n: int = 8,
        top: int = 20,
        starts: int = 1,
        exemplars: int = 3,
        decimals: int = 0,
        temperature: float | None = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(temperature=temperature, **settings)
        at_least(1, n=n, top=top, starts=starts)
        at_least(0, exemplars=exemplars, decimals=decimals)
        self.n, self.top, self.starts, self.exemplars, self.decimals = n, top, starts, exemplars, decimals

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.tried: dict[str, tuple[Values, list[float]]] = {}  # solutions with their scores
        self.cases: dict[str, str] = {}  # cases met, with what was said
        self.duplicates = 0
        self._evaluated: Values = problem.start  # of `propose` alone, as the next: what its next observation is of
        self._waiting: list[Values] | None = None  # the candidates that it has not proposed yet

    def run(self) -> Run:
        """The algorithm: evaluate, remember, ask for better ones."""
        self.remember(self.problem.start, (yield))
        wanted = [self.anywhere() for _ in range(self.starts - 1)] or self.candidates()
        while True:
            for values, observation in zip(wanted, (yield wanted), strict=True):
                self.remember(values, observation)
            wanted = self.candidates()

    def propose(self, observation: TraceFeedback) -> Values:
        """The same with one candidate at a time; its state is in attributes, so that the agent can be copied."""
        self.remember(self._evaluated, observation)
        if self._waiting is None:
            self._waiting = [self.anywhere() for _ in range(self.starts - 1)]
        self._waiting = self._waiting or self.candidates()
        self._evaluated = self._waiting.pop(0)
        return self._evaluated

    def remember(self, values: Values, observation: TraceFeedback) -> None:
        """Takes a solution with its score into the history, and the cases that it was tried on."""
        self.tried.setdefault(_key(values), (values, []))[1].append(observation.feedback.score)
        if any(type(p.space) is Prompt for p in self.problem.parameters):
            self.cases.update(cases_in(observation))

    def anywhere(self) -> Values:
        """A random solution."""
        return {p.name: sample(p.space, p.start, self.rng) for p in self.problem.parameters}

    def ranked(self) -> list[tuple[Values, float]]:
        """All different solutions with their scores, the worst first; of equals the older first."""
        sign = 1 if self.higher_is_better else -1
        scored = [(values, fmean(scores)) for values, scores in self.tried.values()]
        return sorted(scored, key=lambda solution: sign * solution[1])

    @property
    def higher_is_better(self) -> bool:
        """The direction of the scores."""
        worst, best = self.problem.scores
        return best > worst

    def candidates(self) -> list[Values]:
        """The new solutions of one call; the best one again, where there is none."""
        self.values = self.ranked()[-1][0]
        new: dict[str, Values] = {}
        for answer in self.ask(self.messages(), schema(self.problem, reasoning=False), n=self.n):
            try:
                values = {**self.values, **read_solution(answer, self.problem)}
            except Unusable as e:
                self.invalid(str(e))
                continue
            key = _key(values)
            if key in self.tried or key in new:
                self.duplicates += 1
                self.invalid(f"a solution that was there before: {shorten(key, 60)}")
            else:
                new[key] = values
        return list(new.values()) or [dict(self.values)]

    def messages(self) -> Messages:
        """The meta-prompt, within its budget."""
        chosen = self.rng.permutation(len(self.cases))[: self.exemplars]
        cases, solutions = list(self.cases.items()), self.ranked()[-self.top :]
        parts = (f"<{p.name}>...</{p.name}> {p.space.describe()}. {p.description}" for p in self.problem.parameters)
        better = f"{'Higher' if self.higher_is_better else 'Lower'} scores are better."
        span = " They go from 0 to 100." if self.percent else ""
        shown = fit(
            {
                "objective": (0.25, self.problem.objective),
                "parts": (0.25, "\n".join(map(str.strip, parts))),
                "solutions": (0.33, lambda room: newest(solutions, lambda s: self.block(*s, room // 2), room, "worse")),
                "cases": (0.17, lambda room: listed(("\n".join(cases[k]) for k in chosen), room)),
            },
            self.room - tokens(PAGE + better + span + CASES + ORDER),
        )
        if shown["cases"]:
            shown["cases"] = f"{CASES}\n\n{shown['cases']}\n\n"
        return [{"role": "user", "content": PAGE.format_map({**shown, "better": better + span}) + ORDER}]

    def block(self, values: Values, score: float, room: int) -> str:
        """A solution with its score, in about `room` tokens."""
        limit = max(20, room // len(values))
        lines = [f"<{name}>{shorten(str(value), limit)}</{name}>" for name, value in values.items()]
        return "\n".join([*lines, f"score: {self.shown(score)}", ""])

    @property
    def percent(self) -> bool:
        """Whether scores are shares, which are shown as percentages."""
        return sorted(self.problem.scores) == [0, 1]

    def shown(self, score: float) -> str:
        """A score as the prompt shows it."""
        if not abs(score) < 1e15:
            return f"{score:g}"
        if self.percent:
            return f"{100 * score:.{self.decimals}f}"
        cut = math.trunc(score * 10**self.decimals) / 10**self.decimals
        return f"{cut:.{self.decimals}f}"


def cases_in(observation: TraceFeedback) -> dict[str, str]:
    """The examples that an observation shows, each as its fixed inputs, with what was said of it.

    A batch's inputs come in the order of its examples; where a name does not come once for each, it is left out.
    """
    graph, feedback = observation
    if "inputs" in graph.hidden:
        return {}
    said: dict[int, list[str]] = {}
    for part in feedback.parts:
        if part.media.startswith("text/") and part.content:
            said.setdefault(part.example or 0, []).append(part.content)
    inputs: dict[str, list[str]] = {}
    for k, node in enumerate(graph.nodes):
        if graph.kind(k) == "input":
            inputs.setdefault(graph.operators[node.operator].name, []).append(str(node.value))
    size = max(said, default=-1) + 1
    whole = {name: values for name, values in inputs.items() if len(values) == size}
    if not whole:  # nor is a part about an example that the trace does not have
        return {}
    shown = ["\n".join(f"{name}: {values[k]}" for name, values in whole.items()) for k in range(size)]
    return {case: " ".join(said[k]) for k, case in enumerate(shown) if case and k in said}


def _key(values: Values) -> str:
    """What is the same for the same solution: 5 and 5.0 are, and texts but for the spaces around them."""
    plain = {k: v.strip() if isinstance(v, str) else v for k, v in values.items()}
    plain = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in plain.items()}
    return json.dumps(plain, ensure_ascii=False, default=str)


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {},
    )
