"""OptoPrime with one thing changed: ablations, and ways to prompt that its paper leaves to future work."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar

from ..problems import Feedback, Parameter, Part, Problem, TraceFeedback
from ..reading.proposals import Unusable, read_suggestion, schema
from ..spaces import Choice
from ..utils.checks import at_least
from ..wrappers.observations import score_alone
from .base import Values
from .optoprime import END, READ, OptoPrime
from .toolkit.model_agent import Messages
from .toolkit.prompt_budget import listed, shorten, tokens

MASKED = ("code", "documentation", "inputs", "others")

THINK = """Before anything is changed, think step by step, in plain words: what does the feedback say of the output? Go
back through the code from the output to the variables: which value would have had to be another? Which variable makes
it so, and how must it change?"""
SO = "So, what do you change? Answer in the form that was asked for."

SELECT = """These are several proposals for the same run, numbered. Compare what each would do, step by step through the
code, and select the one that the instruction and the feedback ask for. Answer with one JSON object and nothing else:
{"reasoning": "what speaks for it and against the others", "suggestion": {"choice": its number}}"""


class NoMem(OptoPrime):
    """OptoPrime that is shown nothing of the past, whatever its ``memory_size``: an ablation of its paper.

    Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 5: there it is compared with an
    OptoPrime whose ``memory_size`` is 5 on the traffic lights and 10 on Meta-World. `OptoPrime` at its default, which
    is the published program's, has no memory either and asks the same as this.

    Args:
        settings: `OptoPrime`'s.
    """

    def past(self, room: int) -> str:
        """Nothing."""
        return ""


class Masked(OptoPrime):
    """OptoPrime without the trace, an ablation of its paper: variables, constraints, output and feedback are left.

    Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 5. Code, documentation, inputs and
    intermediate values are hidden, as by the wrapper `MaskGraph`.

    Args:
        settings: `OptoPrime`'s.
    """

    def propose(self, observation: TraceFeedback) -> Values:
        """The next parameters."""
        return super().propose(TraceFeedback(observation.graph.masked(MASKED), observation.feedback))


class Scalar(OptoPrime):
    """OptoPrime as a black-box optimizer, an ablation: of a run it sees the parameters and their score.

    Neither trace nor words of feedback are left, as under the wrapper `ScalarOnly`; the score is the feedback. A
    memory of (variables, score) is all that it can learn from, so that is 10 by default.

    Args:
        memory_size: How many past (variables, score) the prompt shows, oldest first.
        settings: `OptoPrime`'s.
    """

    def __init__(self, *, memory_size: int = 10, **settings: Any) -> None:
        super().__init__(memory_size=memory_size, **settings)

    def propose(self, observation: TraceFeedback) -> Values:
        """The next parameters."""
        graph, feedback = score_alone(observation)
        worst, best = self.problem.scores
        said = f"The score is {feedback.score:g}; {'higher' if best > worst else 'lower'} is better."
        return super().propose(TraceFeedback(graph, dataclasses.replace(feedback, parts=(Part("reward", said),))))


class CoT(OptoPrime):
    """OptoPrime that thinks first: one call for a chain of thought in plain words, one for the answer after it.

    Two calls of the model an update, as in Kojima et al., "Large Language Models are Zero-Shot Reasoners", NeurIPS
    2022, section 3: reasoning is drawn out first and the answer from it, so that the form of the answer does not
    confine the reasoning. A quarter of the prompt's budget is for the thoughts; longer ones lose their middle.

    Args:
        settings: `OptoPrime`'s.
    """

    kept_back: ClassVar[float] = 0.25

    def choose(self, messages: Messages) -> Values:
        """Two calls of the model: the parameters that the second proposes."""
        report = messages[1]["content"].removesuffix(END)
        thoughts = self.ask([{"role": "system", "content": READ}, {"role": "user", "content": report + THINK}])
        if not thoughts:
            return self.values
        said = shorten(thoughts[0], int(self.room * self.kept_back) - tokens(SO))
        return super().choose([*messages, {"role": "assistant", "content": said}, {"role": "user", "content": SO}])


class FewShot(OptoPrime):
    """OptoPrime with examples from its own history: the changes that raised the reward most in this trial.

    In-context examples as of Brown et al., "Language Models are Few-Shot Learners", NeurIPS 2020, but none are given:
    each is an update of this trial after which the reward was higher, as the values before, their feedback, the
    change and the feedback on it. Where batches differ from call to call, some will have gained by luck.

    Args:
        shots: How many examples the prompt shows at most, the largest gain last.
        settings: `OptoPrime`'s.
    """

    def __init__(self, *, shots: int = 3, **settings: Any) -> None:
        super().__init__(**settings)
        at_least(1, shots=shots)
        self.shots = shots

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem."""
        super().reset(problem, seed=seed)
        self.before: tuple[Values, Feedback] | None = None
        self.gains: list[tuple[float, str]] = []

    def propose(self, observation: TraceFeedback) -> Values:
        """The next parameters."""
        values, feedback = dict(self.values), observation.feedback
        if self.before is not None:
            old_values, old_feedback = self.before
            change = {name: value for name, value in values.items() if value != old_values[name]}
            if change and feedback.reward > old_feedback.reward:
                example = {
                    "variables": {name: old_values[name] for name in change},
                    "feedback": str(old_feedback),
                    "suggestion": change,
                    "feedback on it": str(feedback),
                }
                text = json.dumps(example, ensure_ascii=False, default=str)
                self.gains.append((feedback.reward - old_feedback.reward, text))
        self.before = values, feedback
        return super().propose(observation)

    def past(self, room: int) -> str:
        """What is shown of the past: examples, and the memory where there is one."""
        best = sorted(self.gains, key=lambda gain: gain[0])[-self.shots :]
        if not best:
            return super().past(room)
        memory = super().past(room // 2)
        heading = "Changes that helped before, the best one last:"
        examples = listed((text for _, text in best), room - tokens(f"{memory}\n\n{heading}\n"), between="\n")
        return "\n\n".join(filter(None, [memory, f"{heading}\n{examples}"]))


class Candidates(OptoPrime):
    """OptoPrime that makes several proposals and selects one: n answers at different temperatures, then one call more.

    The temperatures are spread evenly from 0 to `temperature`. Where two or more proposals differ, the model is shown
    them numbered, below the run, and selects one at temperature 0; an unusable selection takes the first proposal, at
    temperature 0. So an update is n + 1 calls of the model at most and, as with OptoPrime, one oracle call: evaluating
    the candidates instead would spend the budget that all optimizers share. After OptoPrimeMulti of the authors'
    OpenTrace. A quarter of the prompt's budget is for the list of proposals.

    Args:
        n: How many answers an update.
        temperature: The highest; None is 1.
        settings: `OptoPrime`'s.
    """

    kept_back: ClassVar[float] = 0.25

    def __init__(self, *, n: int = 3, temperature: float | None = None, **settings: Any) -> None:
        super().__init__(temperature=temperature, **settings)
        at_least(1, n=n)
        self.n = n

    def choose(self, messages: Messages) -> Values:
        """The selected one of n proposals."""
        form = schema(self.problem) if self.form == "json" else None
        hottest = 1.0 if self.temperature is None else self.temperature
        proposals: list[Values] = []
        for k in range(self.n):
            for answer in self.ask(messages, form, temperature=hottest * k / max(1, self.n - 1)):
                values = self.read(answer)
                if values is not None and values not in proposals:
                    proposals.append(values)
        return self.select(messages, proposals) if len(proposals) > 1 else [*proposals, self.values][0]

    def select(self, messages: Messages, proposals: list[Values]) -> Values:
        """One call of the model: the proposal that it selects."""
        lines = [f"{k}. {json.dumps(v, ensure_ascii=False, default=str)}" for k, v in enumerate(proposals, 1)]
        said = listed(lines, int(self.room * self.kept_back) - tokens(SELECT), between="\n")
        numbers = Parameter("choice", Choice(list(range(1, len(lines) + 1))), 1)
        choice = Problem("choice", {}, SELECT, (numbers,), (0.0, 1.0))
        asked = [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": SELECT}]
        for answer in self.ask(asked, schema(choice), temperature=0.0):
            try:
                number: int = read_suggestion(answer, choice)["choice"]
            except Unusable as e:
                self.invalid(str(e))
                continue
            wrong = numbers.space.invalid_reason(number)
            if wrong is None:
                return proposals[number - 1]
            self.invalid(f"choice: {wrong}")
        return proposals[0]
