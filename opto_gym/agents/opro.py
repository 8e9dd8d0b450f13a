"""OPRO, optimization by prompting, as in its own paper."""

from __future__ import annotations

import json
import math
from statistics import fmean
from typing import Any

from ..problems import Problem, TraceFeedback
from ..reading.no_change import says_no_change
from ..reading.proposals import Unusable, schema
from ..reading.reasoning import without_reasoning
from ..reading.solutions import read_solution
from ..spaces import Prompt
from ..utils.checks import at_least
from .base import ProposalLoop, Values
from .toolkit.model_agent import BuiltMessages, Messages, ModelAgent
from .toolkit.moves import sample
from .toolkit.prompt_budget import count_tokens, fit_list, fit_sections, newest_lines, shorten

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

    Yang et al., "Large Language Models as Optimizers", ICLR 2024. A step makes one meta-prompt, a single user message:
    the task, the `top` best distinct solutions from the worst to the best, and, for prompts, a few cases of the task.
    It samples `n` candidates from it at temperature 1, evaluates those that are new, and adds them to the history. It
    uses the score alone, and neither the graph nor the feedback's words, except for these cases.

    The paper's three experiments (the steps are those of its public program):

    | experiment | here | settings | steps |
    | --- | --- | --- | --- |
    | linear regression, section 3.1 | `LinearRegression-v0` | `n=8, top=20, starts=5` | 500 |
    | travelling salesman, section 3.2 | `TSP-v0` | `n=8, top=10, starts=5` | 500 |
    | instructions, sections 4 and 5 | `GSM8K-v1`, `MMLU-...-v1`, `BBH-...-v1` | `n=8, top=20, exemplars=3` | 200 |

    Scores are shown as in the paper: a score from 0 to 1 as a percentage rounded to a whole number, any other score
    truncated to a whole number. Where a task's scores lie close together, set `decimals`.

    Differences from the paper:

    * the wording is our own, and there is one form for all kinds of parameters: each parameter between tags of its
      name, as the paper has it for tours and instructions. Answers in brackets, its form for lines, and in JSON are
      read too;
    * numbers, choices and mixtures are supported beside the paper's three kinds, and code, which the paper lacks;
    * a solution's score is that of one oracle call, on the task's `batch` of examples, not on all of train: give prompt
      tasks a large batch for the paper's setting. A solution that is evaluated again has the mean of its scores;
    * the score is the task's own, which for `LinearRegression-v0` and `TSP-v0` is the distance to the best, where the
      paper shows the loss and the length;
    * further starts are drawn from the parameters' whole spaces; the paper's lines start between 10 and 20;
    * exemplars are cases of past oracle calls, drawn again in each step: the fixed inputs of the graph, with the
      feedback, which tells the right answer where the task does. The paper draws from train, with the right answers.
      There are no exemplars where the inputs are masked, or for problems without prompts;
    * an answer that can't be used is skipped and counted as invalid, and so is one that repeats a solution. A step
      without a new candidate evaluates the best solution again, and the next step asks again. The public program asks
      for a tour until it gets one, and takes any prose as an instruction;
    * the public program's filters of instructions (scores under 0.3, over 500 characters, digits) are left out;
    * the prompt has a budget: long values are cut, the worst solutions are left out first, and both are marked;
    * the embedded model gives one answer per call, so that a step makes `n` calls, and answers in JSON (`constrained`).

    Args:
        model: The optimizer's model.
        base_url: Its endpoint.
        n: The candidates of a step, sampled in one call.
        top: The number of solutions that the prompt shows.
        starts: The number of solutions evaluated before the first call: the start values, then random ones.
        exemplars: The number of cases of the task that the prompt shows, where a parameter is a prompt.
        decimals: The decimals of the scores that are shown.
        prompt_budget: The tokens of the prompt, 1,000 or more.
        max_tokens: The tokens of an answer.
        temperature: As the endpoint takes it.
        constrained: Constrain the answer by a JSON schema; None does so for the embedded model.

    Attributes:
        duplicates: The number of answers that repeated a solution, since `reset`.
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
        """Begins a new problem, with an empty history."""
        super().reset(problem, seed=seed)
        self.history: dict[str, tuple[Values, list[float]]] = {}  # the solutions with their scores
        self.cases: dict[str, str] = {}  # cases of the task, with the feedback on them
        self.duplicates = 0
        self._evaluated: Values = problem.start  # of `propose` alone, as the next: what its next observation is of
        self._waiting: list[Values] | None = None  # the candidates that it has not proposed yet

    def run(self) -> ProposalLoop:
        """The algorithm: evaluate candidates, add them to the history, and ask for better ones."""
        self.remember(self.problem.start, (yield))
        candidates = [self.random_solution() for _ in range(self.starts - 1)] or self.candidates()
        while True:
            for values, observation in zip(candidates, (yield candidates), strict=True):
                self.remember(values, observation)
            candidates = self.candidates()

    def propose(self, observation: TraceFeedback) -> Values:
        """The same with one candidate at a time; its state is in attributes, so that the agent can be copied."""
        self.remember(self._evaluated, observation)
        if self._waiting is None:
            self._waiting = [self.random_solution() for _ in range(self.starts - 1)]
        self._waiting = self._waiting or self.candidates()
        self._evaluated = self._waiting.pop(0)
        return self._evaluated

    def remember(self, values: Values, observation: TraceFeedback) -> None:
        """Adds a solution with its score to the history, and the cases that it was evaluated on."""
        self.history.setdefault(_key(values), (values, []))[1].append(observation.feedback.score)
        if any(type(p.space) is Prompt for p in self.problem.parameters):
            self.cases.update(cases_in(observation))

    def random_solution(self) -> Values:
        """A solution drawn from the parameters' whole spaces."""
        return {p.name: sample(p.space, p.start, self.rng) for p in self.problem.parameters}

    def ranked(self) -> list[tuple[Values, float]]:
        """All distinct solutions with their mean scores, the worst first; of equals the older first."""
        sign = 1 if self.higher_is_better else -1
        scored = [(values, fmean(scores)) for values, scores in self.history.values()]
        return sorted(scored, key=lambda solution: sign * solution[1])

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher score of the problem is better."""
        worst, best = self.problem.scores
        return best > worst

    def candidates(self) -> list[Values]:
        """The new solutions among the answers to one prompt; where there is none, the best solution again."""
        self.calibration.end_step()
        self.values = self.ranked()[-1][0]
        new: dict[str, Values] = {}
        for reply in self.ask(BuiltMessages(self.messages), schema(self.problem, reasoning=False), n=self.n):
            try:
                change = self.read_change(reply.text, cut=bool(reply.cut))
            except Unusable as e:
                self.unusable(reply, str(e))
                continue
            self.usable(reply, change)
            values = {**self.values, **change}
            key = _key(values)
            if values == self.values and says_no_change(without_reasoning(reply.text)):
                continue
            if key in self.history or key in new:
                self.duplicates += 1
                self.invalid(f"a solution that was there before: {shorten(key, 60)}")
            else:
                new[key] = values
        return list(new.values()) or [dict(self.values)]

    def read_change(self, text: str, *, cut: bool = False) -> Values:
        """The values of the solution in an answer, by name; none where it decides to change nothing.

        Args:
            text: The answer.
            cut: Whether it ended by length.

        Raises:
            Unusable: If it has no usable values.
        """
        try:
            return read_solution(text, self.problem, cut=cut)
        except Unusable:
            if not cut and says_no_change(without_reasoning(text)):
                return {}
            raise

    def messages(self) -> Messages:
        """The meta-prompt, within its budget of tokens."""
        chosen = self.rng.permutation(len(self.cases))[: self.exemplars]
        cases, solutions = list(self.cases.items()), self.ranked()[-self.top :]
        parts = (f"<{p.name}>...</{p.name}> {p.space.describe()}. {p.description}" for p in self.problem.parameters)
        better = f"{'Higher' if self.higher_is_better else 'Lower'} scores are better."
        span = " They go from 0 to 100." if self.percent else ""
        shown = fit_sections(
            {
                "objective": (0.25, self.problem.instruction),
                "parts": (0.25, "\n".join(map(str.strip, parts))),
                "solutions": (
                    0.33,
                    lambda budget: newest_lines(solutions, lambda s: self.block(*s, budget // 2), budget, "worse"),
                ),
                "cases": (0.17, lambda budget: fit_list(("\n".join(cases[k]) for k in chosen), budget)),
            },
            self.token_budget - count_tokens(PAGE + better + span + CASES + ORDER),
        )
        if shown["cases"]:
            shown["cases"] = f"{CASES}\n\n{shown['cases']}\n\n"
        return [{"role": "user", "content": PAGE.format_map({**shown, "better": better + span}) + ORDER}]

    def block(self, values: Values, score: float, token_budget: int) -> str:
        """A solution with its score, in about `token_budget` tokens."""
        limit = max(20, token_budget // len(values))
        lines = [f"<{name}>{shorten(str(value), limit)}</{name}>" for name, value in values.items()]
        return "\n".join([*lines, f"score: {self.shown(score)}", ""])

    @property
    def percent(self) -> bool:
        """Whether scores are from 0 to 1, which are shown as percentages."""
        return sorted(self.problem.scores) == [0, 1]

    def shown(self, score: float) -> str:
        """A score as the prompt shows it."""
        if not abs(score) < 1e15:
            return f"{score:g}"
        if self.percent:
            return f"{100 * score:.{self.decimals}f}"
        truncated = math.trunc(score * 10**self.decimals) / 10**self.decimals
        return f"{truncated:.{self.decimals}f}"


def cases_in(observation: TraceFeedback) -> dict[str, str]:
    """The examples that an observation shows: the fixed inputs of each, with the feedback on it.

    A batch's inputs come in the order of its examples. An input of which there is not one for each example is left out.
    """
    graph, feedback = observation
    if "inputs" in graph.hidden:
        return {}
    texts: dict[int, list[str]] = {}  # of each example
    for part in feedback.parts:
        if part.media.startswith("text/") and part.content:
            texts.setdefault(part.example or 0, []).append(part.content)
    inputs: dict[str, list[str]] = {}
    for k, node in enumerate(graph.nodes):
        if graph.kind(k) == "input":
            inputs.setdefault(graph.operators[node.operator].name, []).append(str(node.value))
    size = max(texts, default=-1) + 1
    complete = {name: values for name, values in inputs.items() if len(values) == size}
    if not complete:  # also where the feedback is on an example that the trace does not have
        return {}
    cases = ["\n".join(f"{name}: {values[k]}" for name, values in complete.items()) for k in range(size)]
    return {case: " ".join(texts[k]) for k, case in enumerate(cases) if case and k in texts}


def _key(values: Values) -> str:
    """A key that is equal for equal solutions: 5 equals 5.0, and white space around a text does not count."""
    plain = {k: v.strip() if isinstance(v, str) else v for k, v in values.items()}
    plain = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in plain.items()}
    return json.dumps(plain, ensure_ascii=False, default=str)
