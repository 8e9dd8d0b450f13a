"""TraceDescent: descent on a trace graph, with no model."""

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

SMALLEST = 1 / 16  # share of a step, below which a descent is given up
NUDGE = 1e-5  # of a number, as a share of it where it is larger than 1, to measure a slope
DRAWS = 20  # of a move, for one that was not tried yet
FEW = 100  # whole numbers, that can be tried in turn


class TraceDescent(Agent):
    """Follows the trace graph with no model: what can be read off a graph by rules, and so where one is worth reading.

    Our own, after the thesis of the Trace paper (Cheng, Nie and Swaminathan, NeurIPS 2024) that execution traces are to
    workflows what gradients are to tensors. Each proposal is made by the first of these rules that applies:

    1. *Derivatives.* Where only arithmetic joins the parameters to the output, the exact gradient is accumulated in
       reverse. The direction is the feedback's ("larger", "smaller"), or the score's where the output is the score.
       Where the graph gives no derivatives and all parameters are real numbers, the score's slopes are measured, one
       call a parameter. The step is Polyak's ("Introduction to Optimization", 1987, section 5.3), which would close the
       distance between the score and the best score possible; it is halved while it does not help, and the descent is
       begun elsewhere below 1/16 of it.
    2. *Blame.* Where the run broke off in an error, or the graph holds verdicts (a value that is False, or a mapping
       with one that is), the search goes back from there, and not through what another verdict found right. A single
       parameter found so is changed from the values at hand, never to a value that was blamed before; of several, one.
    3. *Credit.* Where numbers on the way to the output lie nearer to one parameter than to the others, about half of
       the parameters are changed at once, with a chance by the size of their own numbers; then those of the changes
       are joined that moved their own numbers as the score should move.
    4. *Search.* Else one parameter of the best values so far is changed; where all that was tried, of the next values
       that are as good.

    Code is changed by a grammar of repairs (`repairs.repairs`), in order from the line of an error, then as all other
    values by the moves of `RandomSearch`. A masked graph, or one of the score alone, leaves measured slopes and the
    fourth rule.

    Args:
        explore: In a search without code and prompts, the share of proposals drawn anew once scores have differed.
    """

    def __init__(self, *, explore: float = 1 / 3, **settings: Any) -> None:
        super().__init__(**settings)
        number_in("[0, 1]", explore=explore)
        self.explore = explore

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.values: Values = problem.start  # the last proposal
        self.best: Values = problem.start
        self.standing = (-math.inf, False, 0)  # of the best: reward, whether it ran to its end, else how far
        self.equals: deque[Values] = deque()  # other values of its standing, to go on from
        self.line: int | None = None  # on which the best values failed
        self.rewards: set[float] = set()
        self.tried: set[str] = set()
        self.blamed: dict[str, set[str]] = {p.name: set() for p in problem.parameters}
        self.repairs: dict[tuple[str, str, int | None], list[str]] = {}
        self.descent: _Descent | None = None
        self.slopes: dict[str, float] = {}  # of the score, as far as measured
        self.nudged: str | None = None  # the parameter that the last proposal measures
        self.suspects: list[str] = []
        self.ground: Values = problem.start  # the values that the suspects were found with
        self.local: dict[str, float] = {}  # the outcomes of the best values, by parameter
        self.probing = False  # whether the last proposal changed many parameters to see which change was good
        self.spaces = {p.name: p.space for p in problem.parameters}
        worst, best = problem.scores
        self.upwards = 1 if best > worst else -1  # where scores should move
        self.real = all(isinstance(s, Number) and not s.integer for s in self.spaces.values())

    def propose(self, observation: TraceFeedback) -> Values:
        """The next parameters; the same where the last were a success."""
        if observation.feedback.success:
            return dict(self.values)
        before = self.best
        better = self._learn(observation)
        self.values = (
            self._descend(observation)
            or self._mend(observation.graph)
            or self._credit(observation.graph, before, better)
            or self._search(list(self.values))
        )
        return dict(self.values)

    def _learn(self, observation: TraceFeedback) -> bool:
        """Remembers the last proposal; whether it is the best so far."""
        graph, reward = observation.graph, observation.feedback.reward
        said = re.search(r"\[line (\d+)", graph.error or "")
        line = int(said[1]) if said else None
        self.tried.add(_key(self.values))
        self.rewards.add(reward)
        standing = (reward, graph.error is None, line or 0)
        if standing <= self.standing:
            if standing == self.standing:
                self.equals.append(dict(self.values))
            return False
        self.equals.clear()
        self.best, self.standing, self.line = dict(self.values), standing, line
        return True

    # ------------------------------------------------------------------ 1. derivatives
    def _descend(self, observation: TraceFeedback) -> Values | None:
        """A step along the gradient, or one parameter nudged to measure it; None where there is none."""
        graph, (score, reward) = observation.graph, (observation.feedback.score, observation.feedback.reward)
        if self.nudged is not None and self.descent is not None:
            moved = self.values[self.nudged] - self.descent.base[self.nudged]
            self.slopes[self.nudged] = bounded((score - self.descent.score) / moved)
            return self._measured(self.descent)
        step = self._exact_step(observation)
        if step is None and not self.real and (self.descent is None or graph.error is None):
            return None
        if self.descent is None or reward > self.descent.reward:
            self.descent = _Descent(dict(self.values), score, reward, step or {}, 1.0)
            if step is None and graph.error is None:
                self.slopes = {}
                return self._measured(self.descent)
        else:
            self.descent = self.descent._replace(share=self.descent.share / 2)
        return self._stepped(self.descent)

    def _exact_step(self, observation: TraceFeedback) -> dict[str, float] | None:
        """Polyak's step by the graph's derivatives; None where they or a direction are missing."""
        graph, feedback = observation
        output = graph.nodes[graph.output].value
        judged = isinstance(output, int | float) and output == feedback.score  # the output itself is the score
        way = self.upwards if judged else direction(feedback)
        if not way:
            return None
        try:
            slopes = gradient(graph, type(self).__name__)
        except OptoGymError:
            return None
        return self._polyak(slopes, way * self._distance(feedback.score))

    def _measured(self, descent: _Descent) -> Values:
        """The base with the next parameter nudged; where all were, the step."""
        self.nudged = next((name for name in self.values if name not in self.slopes), None)
        if self.nudged is None:
            gap = self.upwards * self._distance(descent.score)
            self.descent = descent._replace(step=self._polyak(self.slopes, gap))
            return self._stepped(self.descent)
        x, space = descent.base[self.nudged], self.spaces[self.nudged]
        by = NUDGE * max(1.0, abs(x))
        moved = _moved(x, by, space)
        return {**descent.base, self.nudged: moved if moved != x else _moved(x, -by, space)}

    def _stepped(self, descent: _Descent) -> Values:
        """As much of the step as was not tried yet; new values where that is too little."""
        while descent.share >= SMALLEST and descent.step:
            values = dict(descent.base)
            for name, d in descent.step.items():
                values[name] = _moved(values[name], descent.share * d, self.spaces[name])
            if _key(values) not in self.tried:
                self.descent = descent
                return values
            descent = descent._replace(share=descent.share / 2)
        self.descent = descent._replace(reward=-math.inf)  # whatever comes now is a new base
        move = mutate if self.rng.random() < 0.5 else sample
        return {
            name: move(self.spaces[name], v, self.rng) if isinstance(self.spaces[name], Number) else v
            for name, v in self.best.items()
        }

    def _distance(self, score: float) -> float:
        best = self.problem.scores[1]
        return abs(score - best) if math.isfinite(best) else 1.0

    def _polyak(self, slopes: Mapping[str, float], gap: float) -> dict[str, float]:
        """The shortest step that closes the gap if the slopes hold."""
        moving = {
            name: d for name, d in slopes.items() if abs(d) > 1 / STEEPEST and isinstance(self.spaces[name], Number)
        }
        square = sum(d * d for d in moving.values())
        return {name: bounded(gap * d / square) for name, d in moving.items()}

    # ------------------------------------------------------------------ 2. blame
    def _mend(self, graph: TraceGraph) -> Values | None:
        """A change of what the graph blames."""
        if graph.error is None or not self.standing[1]:
            self.suspects, self.ground = suspected(graph), self.values
        # else the best values ran without an error: the last change made this one, and goes back
        if not self.suspects or len(self.suspects) == len(self.values):  # which tells nothing
            return None
        if len(self.suspects) > 1:
            return self._search(self.suspects)
        name = self.suspects[0]
        self.blamed[name].add(_key(self.values[name]))
        value = self._other(name, self.ground)
        return None if value is None else {**self.ground, name: value}

    # ------------------------------------------------------------------ 3. credit
    def _credit(self, graph: TraceGraph, before: Values, better: bool) -> Values | None:
        """A change of many parameters at once, or, after one, those of the changes that were good for their own.

        Args:
            graph: The last proposal's.
            before: The best values before it.
            better: Whether it has become the best.
        """
        found, probing, self.probing = outcomes(graph), self.probing, False
        if len(found) < 2:
            return None
        earlier = self.local
        if better:
            self.local = found  # of the best values
        if probing:
            good = {name for name, x in found.items() if self.upwards * (x - earlier.get(name, x)) > 0}
            values = {name: self.values[name] if name in good else v for name, v in before.items()}
            if _key(values) not in self.tried:
                return values
        sizes = {name: abs(self.local.get(name, 0.0)) for name in found}
        scale = len(found) / (2 * math.fsum(sizes.values()) or 1.0)  # so that half of them change, about
        values = dict(self.best)
        for name, size in sizes.items():
            if self.rng.random() < scale * size:
                move = sample if self.rng.random() < self.explore else mutate
                values[name] = move(self.spaces[name], values[name], self.rng)
        self.probing = values != self.best
        return values if self.probing else None

    # ------------------------------------------------------------------ 4. search
    def _search(self, names: Sequence[str]) -> Values:
        """The best values with one of some parameters changed; where all that was tried, others that are as good."""
        code = any(isinstance(s, Prompt) for s in self.spaces.values())
        if not code and len(self.rewards) > 1 and self.rng.random() < self.explore:
            return {name: sample(self.spaces[name], v, self.rng) for name, v in self.best.items()}
        while True:
            for name in self._shuffled(names):
                value = self._other(name, self.best)
                if value is not None:
                    return {**self.best, name: value}
            if not self.equals:
                return {name: sample(self.spaces[name], v, self.rng) for name, v in self.best.items()}
            self.best = self.equals.popleft()

    def _shuffled(self, names: Sequence[str]) -> list[str]:
        return [names[int(k)] for k in self.rng.permutation(len(names))]

    def _other(self, name: str, around: Values) -> Any:
        """A value of a parameter, near to its best one, that was neither blamed nor tried; None where none is found."""
        for value in self._candidates(name):
            if _key(value) not in self.blamed[name] and _key({**around, name: value}) not in self.tried:
                return value
        return None

    def _candidates(self, name: str) -> Iterator[Any]:
        space, value = self.spaces[name], self.best[name]
        if isinstance(space, Code):
            key = name, str(value), self.line
            if key not in self.repairs:
                self.repairs[key] = repairs(str(value), self.line)
            yield from (source for source in self.repairs[key] if space.contains(source))
        yield from (mutate(space, value, self.rng) for _ in range(DRAWS))
        if isinstance(space, Number) and space.integer and space.high - space.low < FEW:
            low, high = math.ceil(space.low), math.floor(space.high)
            yield from (low + int(k) for k in self.rng.permutation(high + 1 - low))
        else:
            yield from (sample(space, value, self.rng) for _ in range(DRAWS))


class _Descent(NamedTuple):
    """Where a descent stands: its best values and what they got, the step from them, and the share of it to try."""

    base: Values
    score: float
    reward: float
    step: Mapping[str, float]
    share: float


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _moved(value: Any, by: float, space: Any) -> Any:
    x = min(max(value + by, space.low), space.high)
    return min(max(round(x), math.ceil(space.low)), math.floor(space.high)) if space.integer else float(x)


def suspected(graph: TraceGraph) -> list[str]:
    """The parameters that an error or a failed verdict leads back to, in the graph's order; none where none does.

    A verdict is a node whose value is a bool, or a mapping with one; it has failed if that is False. The way back from
    a failed one ends at parameters, and at verdicts that have not failed: they clear what is behind them. From a place
    of a list that lists its operator's arguments it goes to that argument alone.
    """
    kinds = [op.kind for op in graph.operators]
    verdicts = {k: v for k, n in enumerate(graph.nodes) if (v := _verdict(kinds[n.operator], n.value)) is not None}
    if graph.error is None:
        waiting = [k for k, right in verdicts.items() if not right]
    else:
        waiting = [k for k, n in enumerate(graph.nodes) if kinds[n.operator] == "error"]
        own = {i for k in waiting for i in graph.nodes[k].inputs if isinstance(i, int) and i in graph.parameters}
        if own:  # what raised was a parameter's own code
            return [graph.names[k] for k in graph.parameters if k in own]
    parameters, found, seen = set(graph.parameters), set(), set(waiting)
    while waiting:
        for i in _sources(graph, waiting.pop()):
            if i not in seen and verdicts.get(i) is not True:
                seen.add(i)
                waiting.append(i)
                found |= {i} & parameters
    return [graph.names[k] for k in graph.parameters if k in found]


def _verdict(kind: str, value: Any) -> bool | None:
    if kind != "operator":
        return None
    if isinstance(value, Mapping):
        said = [v for v in value.values() if isinstance(v, bool)]
        return all(said) if said else None
    return value if isinstance(value, bool) else None


def _sources(graph: TraceGraph, k: int) -> list[int]:
    """The nodes that node k was made from."""
    node = graph.nodes[k]
    inputs = [i for i in node.inputs if isinstance(i, int)]
    if graph.operators[node.operator].name == "getitem" and len(inputs) == 1:
        listing, place = graph.nodes[inputs[0]], getattr(node.inputs[-1], "value", None)
        items = listing.value
        arguments = [graph.nodes[i].value if isinstance(i, int) else i.value for i in listing.inputs]
        if isinstance(items, list | tuple) and isinstance(place, int) and arguments and _key(items) == _key(arguments):
            source = listing.inputs[place]
            return [source] if isinstance(source, int) else []
    return inputs


def outcomes(graph: TraceGraph) -> dict[str, float]:
    """For each parameter, the sum of the numbers on nodes that lie nearer to it than to any other they depend on.

    Nodes that depend on a single parameter are no outcomes: they only repeat it.
    """
    distances: list[dict[int, int]] = []
    sums: dict[str, float] = {}
    parameters = set(graph.parameters)
    for k, n in enumerate(graph.nodes):
        far: dict[int, int] = {}
        for i in n.inputs:
            if isinstance(i, int):
                for p, d in distances[i].items():
                    far[p] = min(far.get(p, d + 1), d + 1)
        distances.append({k: 0} if k in parameters else far)
        nearest = sorted(far, key=far.__getitem__)[:2]
        numbers = list(_numbers(n.value)) if len(nearest) > 1 and far[nearest[0]] < far[nearest[1]] else []
        if numbers:
            name = graph.names[nearest[0]]
            sums[name] = sums.get(name, 0.0) + math.fsum(numbers)
    return sums


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for v in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(v)
