"""TraceDescent: an optimizer that follows the trace graph by rules, without a language model."""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import OptoGymError
from ..problems import Problem, TraceFeedback
from ..spaces import Code, Number, Prompt
from ..trace import TraceGraph
from ..utils.checks import number_in
from .base import Agent, Values
from .toolkit.gradients import STEEPEST, bounded, direction, gradient
from .toolkit.moves import mutate, sample
from .toolkit.repairs import repairs

MIN_STEP_SHARE = 1 / 16
"""The share of a step below which a descent starts again from other values."""
DIFFERENCE = 1e-5
"""By how much a number is moved to measure a slope, relative to the number where it is larger than 1."""
DRAWS = 20
"""How often a random move is drawn to find a value that was not tried before."""
MAX_ENUMERATED = 100
"""The width of a range of whole numbers below which all of them are tried."""


class TraceDescent(Agent):
    """Follows the trace graph without a model: it shows what rules alone can read in a graph.

    Our own algorithm, after the thesis of the Trace paper (Cheng, Nie and Swaminathan, NeurIPS 2024) that execution
    traces are to workflows what gradients are to tensors. Each proposal is made by the first of these rules that
    applies:

    1. *Derivatives.* Where only arithmetic leads from the parameters to the output, the exact gradient is accumulated
       in reverse. The direction is the feedback's ("larger", "smaller"), or the score's where the output is the score.
       Where the graph gives no derivatives and all parameters are real numbers, the slopes of the score are measured
       by finite differences, one oracle call per parameter. The step is Polyak's ("Introduction to Optimization", 1987,
       section 5.3), whose length would reach the best possible score if the slopes held; it is halved while it does not
       help, and below 1/16 of it the descent starts again from other values.
    2. *Blame.* Where the run ended in an error, or the graph has verdicts (a value that is False, or a mapping that
       holds one), the parameters are searched from which it came, going back through the graph, but not through values
       that another verdict found right. If it came from one parameter, that parameter is changed, never to a value that
       was blamed before; if it came from several but not all, one of them is changed.
    3. *Credit.* Where numbers in the graph are closer to one parameter than to the others, they are that parameter's
       outcome. About half of the parameters are changed at once, more likely those with a large outcome; the next
       proposal keeps the changes whose own outcome moved as the score should move.
    4. *Search.* Otherwise one parameter of the best values so far is changed. Where all its neighbours were tried, the
       search goes on from other values with the same reward.

    Code is changed by a grammar of repairs (`toolkit.repairs`), in the order of their distance from the line of an
    error, and then by the moves of `RandomSearch`, as all other values are. With a masked graph, or with the score
    alone, only measured slopes and the fourth rule are left.

    Args:
        explore: In a search without code and prompts, the share of proposals that are sampled from the whole space
            once different scores were seen, in [0, 1].
    """

    def __init__(self, *, explore: float = 1 / 3, **settings: Any) -> None:
        super().__init__(**settings)
        number_in("[0, 1]", explore=explore)
        self.explore = explore

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, at its start values."""
        super().reset(problem, seed=seed)
        self.values: Values = problem.start  # the last proposal
        self.best: Values = problem.start
        self.best_rank = (-math.inf, False, 0)  # reward, whether the run ended without an error, the line of the error
        self.equally_good: deque[Values] = deque()  # other values of the same rank
        self.error_line: int | None = None  # on which the best values failed
        self.rewards: set[float] = set()
        self.evaluated: set[str] = set()
        self.blamed: dict[str, set[str]] = {p.name: set() for p in problem.parameters}
        self.repairs: dict[tuple[str, str, int | None], list[str]] = {}
        self.descent: _Descent | None = None
        self.slopes: dict[str, float] = {}  # the slopes of the score that are measured
        self.measured: str | None = None  # the parameter whose slope the last proposal measures
        self.suspects: list[str] = []
        self.suspect_values: Values = problem.start  # the proposal that the suspects were found in
        self.best_outcomes: dict[str, float] = {}  # the outcomes of the best values, by parameter
        self.changed_many = False  # whether the last proposal changed many parameters to compare their outcomes
        self.spaces = {p.name: p.space for p in problem.parameters}
        worst, best = problem.scores
        self.score_sign = 1 if best > worst else -1  # the direction in which scores should move
        self.all_real = all(isinstance(s, Number) and not s.integer for s in self.spaces.values())

    def propose(self, observation: TraceFeedback) -> Values:
        """The next parameters by the first rule that applies; the last ones again if they solve the problem."""
        if observation.feedback.success:
            return dict(self.values)
        before = self.best
        is_best = self._remember(observation)
        self.values = (
            self._descent_step(observation)
            or self._change_suspect(observation.graph)
            or self._change_by_credit(observation.graph, before, is_best)
            or self._search(list(self.values))
        )
        return dict(self.values)

    def _remember(self, observation: TraceFeedback) -> bool:
        """Remembers the last proposal, and returns whether it is the best so far."""
        graph, reward = observation.graph, observation.feedback.reward
        match = re.search(r"\[line (\d+)", graph.error or "")
        line = int(match[1]) if match else None
        self.evaluated.add(_key(self.values))
        self.rewards.add(reward)
        rank = (reward, graph.error is None, line or 0)
        if rank <= self.best_rank:
            if rank == self.best_rank:
                self.equally_good.append(dict(self.values))
            return False
        self.equally_good.clear()
        self.best, self.best_rank, self.error_line = dict(self.values), rank, line
        return True

    # ------------------------------------------------------------------ 1. derivatives
    def _descent_step(self, observation: TraceFeedback) -> Values | None:
        """A step along the gradient, or a proposal that measures a slope; None where neither is possible."""
        graph, (score, reward) = observation.graph, (observation.feedback.score, observation.feedback.reward)
        if self.measured is not None and self.descent is not None:
            difference = self.values[self.measured] - self.descent.base[self.measured]
            self.slopes[self.measured] = bounded((score - self.descent.score) / difference)
            return self._measure_next(self.descent)
        step = self._gradient_step(observation)
        if step is None and not self.all_real and (self.descent is None or graph.error is None):
            return None
        if self.descent is None or reward > self.descent.reward:
            self.descent = _Descent(dict(self.values), score, reward, step or {}, 1.0)
            if step is None and graph.error is None:
                self.slopes = {}
                return self._measure_next(self.descent)
        else:
            self.descent = self.descent._replace(share=self.descent.share / 2)
        return self._take_step(self.descent)

    def _gradient_step(self, observation: TraceFeedback) -> dict[str, float] | None:
        """Polyak's step by the graph's derivatives; None without derivatives or without a direction."""
        graph, feedback = observation
        output = graph.nodes[graph.output].value
        is_score = isinstance(output, int | float) and output == feedback.score
        sign = self.score_sign if is_score else direction(feedback)
        if not sign:
            return None
        try:
            slopes = gradient(graph, type(self).__name__)
        except OptoGymError:
            return None
        return self._polyak_step(slopes, sign * self._score_gap(feedback.score))

    def _measure_next(self, descent: _Descent) -> Values:
        """The base with the next parameter moved a little; where all slopes are measured, the step."""
        self.measured = next((name for name in self.values if name not in self.slopes), None)
        if self.measured is None:
            gap = self.score_sign * self._score_gap(descent.score)
            self.descent = descent._replace(step=self._polyak_step(self.slopes, gap))
            return self._take_step(self.descent)
        x, space = descent.base[self.measured], self.spaces[self.measured]
        difference = DIFFERENCE * max(1.0, abs(x))
        moved = _moved_number(x, difference, space)
        return {**descent.base, self.measured: moved if moved != x else _moved_number(x, -difference, space)}

    def _take_step(self, descent: _Descent) -> Values:
        """The largest share of the step that was not tried before; other values where that share is too small."""
        while descent.share >= MIN_STEP_SHARE and descent.step:
            values = dict(descent.base)
            for name, d in descent.step.items():
                values[name] = _moved_number(values[name], descent.share * d, self.spaces[name])
            if _key(values) not in self.evaluated:
                self.descent = descent
                return values
            descent = descent._replace(share=descent.share / 2)
        self.descent = descent._replace(reward=-math.inf)  # the next observation becomes the new base
        move = mutate if self.rng.random() < 0.5 else sample
        return {
            name: move(self.spaces[name], v, self.rng) if isinstance(self.spaces[name], Number) else v
            for name, v in self.best.items()
        }

    def _score_gap(self, score: float) -> float:
        """The distance from a score to the best possible one; 1 where there is none."""
        best = self.problem.scores[1]
        return abs(score - best) if math.isfinite(best) else 1.0

    def _polyak_step(self, slopes: Mapping[str, float], gap: float) -> dict[str, float]:
        """The shortest step that closes the gap, if the slopes hold."""
        moving = {
            name: d for name, d in slopes.items() if abs(d) > 1 / STEEPEST and isinstance(self.spaces[name], Number)
        }
        square = sum(d * d for d in moving.values())
        return {name: bounded(gap * d / square) for name, d in moving.items()}

    # ------------------------------------------------------------------ 2. blame
    def _change_suspect(self, graph: TraceGraph) -> Values | None:
        """A change of a parameter that the graph blames; None where it blames none or all."""
        if graph.error is None or not self.best_rank[1]:
            self.suspects, self.suspect_values = suspected(graph), self.values
        # otherwise the last change caused the error of a run that had none: the earlier suspects are changed again
        if not self.suspects or len(self.suspects) == len(self.values):
            return None
        if len(self.suspects) > 1:
            return self._search(self.suspects)
        name = self.suspects[0]
        self.blamed[name].add(_key(self.values[name]))
        value = self._untried_value(name, self.suspect_values)
        return None if value is None else {**self.suspect_values, name: value}

    # ------------------------------------------------------------------ 3. credit
    def _change_by_credit(self, graph: TraceGraph, before: Values, is_best: bool) -> Values | None:
        """A change of many parameters at once; after one, those of its changes that improved their own outcome.

        Args:
            graph: The graph of the last proposal.
            before: The best values before it.
            is_best: Whether it is the best now.
        """
        found, changed_many, self.changed_many = outcomes(graph), self.changed_many, False
        if len(found) < 2:
            return None
        earlier = self.best_outcomes
        if is_best:
            self.best_outcomes = found
        if changed_many:
            good = {name for name, x in found.items() if self.score_sign * (x - earlier.get(name, x)) > 0}
            values = {name: self.values[name] if name in good else v for name, v in before.items()}
            if _key(values) not in self.evaluated:
                return values
        sizes = {name: abs(self.best_outcomes.get(name, 0.0)) for name in found}
        scale = len(found) / (2 * math.fsum(sizes.values()) or 1.0)  # half of them change on average
        values = dict(self.best)
        for name, size in sizes.items():
            if self.rng.random() < scale * size:
                move = sample if self.rng.random() < self.explore else mutate
                values[name] = move(self.spaces[name], values[name], self.rng)
        self.changed_many = values != self.best
        return values if self.changed_many else None

    # ------------------------------------------------------------------ 4. search
    def _search(self, names: Sequence[str]) -> Values:
        """The best values, or equally good ones, with one of the named parameters changed."""
        code = any(isinstance(s, Prompt) for s in self.spaces.values())
        if not code and len(self.rewards) > 1 and self.rng.random() < self.explore:
            return {name: sample(self.spaces[name], v, self.rng) for name, v in self.best.items()}
        while True:
            for name in self._shuffled(names):
                value = self._untried_value(name, self.best)
                if value is not None:
                    return {**self.best, name: value}
            if not self.equally_good:
                return {name: sample(self.spaces[name], v, self.rng) for name, v in self.best.items()}
            self.best = self.equally_good.popleft()

    def _shuffled(self, names: Sequence[str]) -> list[str]:
        return [names[int(k)] for k in self.rng.permutation(len(names))]

    def _untried_value(self, name: str, around: Values) -> Any:
        """A value for a parameter that was not blamed and, with the other values, not tried; None where none is found.

        Args:
            name: The parameter.
            around: The values of the other parameters.
        """
        for value in self._candidate_values(name):
            if _key(value) not in self.blamed[name] and _key({**around, name: value}) not in self.evaluated:
                return value
        return None

    def _candidate_values(self, name: str) -> Iterator[Any]:
        """Values to try for a parameter: repairs of its code, mutations of its best value, then any values."""
        space, value = self.spaces[name], self.best[name]
        if isinstance(space, Code):
            key = name, str(value), self.error_line
            if key not in self.repairs:
                self.repairs[key] = repairs(str(value), self.error_line)
            yield from (source for source in self.repairs[key] if space.contains(source))
        yield from (mutate(space, value, self.rng) for _ in range(DRAWS))
        if isinstance(space, Number) and space.integer and space.high - space.low < MAX_ENUMERATED:
            low, high = math.ceil(space.low), math.floor(space.high)
            yield from (low + int(k) for k in self.rng.permutation(high + 1 - low))
        else:
            yield from (sample(space, value, self.rng) for _ in range(DRAWS))


class _Descent(NamedTuple):
    """The state of a descent.

    Attributes:
        base: The best values of the descent.
        score: Their score.
        reward: Their reward.
        step: The step from the base, by parameter.
        share: The share of the step that is tried next.
    """

    base: Values
    score: float
    reward: float
    step: Mapping[str, float]
    share: float


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _moved_number(value: Any, by: float, space: Any) -> Any:
    """A number moved by a distance, within its space."""
    x = min(max(value + by, space.low), space.high)
    return min(max(round(x), math.ceil(space.low)), math.floor(space.high)) if space.integer else float(x)


def suspected(graph: TraceGraph) -> list[str]:
    """The names of the parameters that an error or a failed verdict came from, in the graph's order.

    A verdict is a value of an operator that is a bool, or a mapping that holds one. It failed if a bool in it is False.
    The search goes back from failed verdicts, and stops at parameters and at verdicts that did not fail. From an item
    of a list that was made of its operator's arguments it goes on to that argument alone.
    """
    kinds = [op.kind for op in graph.operators]
    verdicts = {k: v for k, n in enumerate(graph.nodes) if (v := _verdict(kinds[n.operator], n.value)) is not None}
    if graph.error is None:
        waiting = [k for k, passed in verdicts.items() if not passed]
    else:
        waiting = [k for k, n in enumerate(graph.nodes) if kinds[n.operator] == "error"]
        own = {i for k in waiting for i in graph.nodes[k].inputs if isinstance(i, int) and i in graph.parameters}
        if own:  # the parameter's own code raised the error
            return [graph.names[k] for k in graph.parameters if k in own]
    parameters, found, seen = set(graph.parameters), set(), set(waiting)
    while waiting:
        for i in _origin_nodes(graph, waiting.pop()):
            if i not in seen and verdicts.get(i) is not True:
                seen.add(i)
                waiting.append(i)
                found |= {i} & parameters
    return [graph.names[k] for k in graph.parameters if k in found]


def _verdict(kind: str, value: Any) -> bool | None:
    """Whether a verdict passed; None if the value is no verdict."""
    if kind != "operator":
        return None
    if isinstance(value, Mapping):
        bools = [v for v in value.values() if isinstance(v, bool)]
        return all(bools) if bools else None
    return value if isinstance(value, bool) else None


def _origin_nodes(graph: TraceGraph, k: int) -> list[int]:
    """The nodes that node k was made from; for an item of a list of arguments, the argument itself."""
    node = graph.nodes[k]
    inputs = [i for i in node.inputs if isinstance(i, int)]
    if graph.operators[node.operator].name == "getitem" and len(inputs) == 1:
        listing, index = graph.nodes[inputs[0]], getattr(node.inputs[-1], "value", None)
        items = listing.value
        arguments = [graph.nodes[i].value if isinstance(i, int) else i.value for i in listing.inputs]
        if isinstance(items, list | tuple) and isinstance(index, int) and arguments and _key(items) == _key(arguments):
            argument = listing.inputs[index]
            return [argument] if isinstance(argument, int) else []
    return inputs


def outcomes(graph: TraceGraph) -> dict[str, float]:
    """The outcome of each parameter: the sum of the numbers on nodes that are closer to it than to any other parameter.

    Distances are counted in nodes, back from the node. A node that depends on a single parameter is no outcome, since
    it only repeats the parameter.
    """
    distances: list[dict[int, int]] = []  # for each node, the distance to each parameter that it depends on
    sums: dict[str, float] = {}
    parameters = set(graph.parameters)
    for k, n in enumerate(graph.nodes):
        own: dict[int, int] = {}
        for i in n.inputs:
            if isinstance(i, int):
                for p, d in distances[i].items():
                    own[p] = min(own.get(p, d + 1), d + 1)
        distances.append({k: 0} if k in parameters else own)
        nearest = sorted(own, key=own.__getitem__)[:2]
        numbers = list(_numbers(n.value)) if len(nearest) > 1 and own[nearest[0]] < own[nearest[1]] else []
        if numbers:
            name = graph.names[nearest[0]]
            sums[name] = sums.get(name, 0.0) + math.fsum(numbers)
    return sums


def _numbers(value: Any) -> Iterator[float]:
    """All numbers in a value."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for v in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(v)
