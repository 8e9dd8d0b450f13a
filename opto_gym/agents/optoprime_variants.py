"""Variants of OptoPrime that differ in one thing: ablations, and ways to prompt that its paper leaves to later work."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any, ClassVar

from ..problems import Feedback, Parameter, Part, Problem, TraceFeedback
from ..reading.proposals import Unusable, read_suggestion, schema
from ..reading.reasoning import without_reasoning
from ..spaces import Choice
from ..utils.checks import at_least
from ..wrappers.observations import score_alone
from .base import Values
from .optoprime import ANSWER_FORMS, END, EXAMPLES, OptoPrime
from .toolkit.model_agent import Messages, Question, changed
from .toolkit.prompt_budget import count_tokens, fit_list, shorten

MASKED = ("code", "documentation", "inputs", "others")

THINK = """Before anything is changed, think step by step, in plain words: what does the feedback say of the output? Go
back through the code from the output to the variables: which value would have had to be another? Which variable makes
it so, and how must it change?"""
SO = "So, what do you change? Answer in the form that was asked for."

SELECT = """These are several proposals for the same run, numbered. Compare what each would do, step by step through the
code, and select the one that the instruction and the feedback ask for. Answer with one JSON object and nothing else:
{"reasoning": "what speaks for it and against the others", "suggestion": {"choice": its number}}"""


class NoMem(OptoPrime):
    """OptoPrime without a memory, whatever its ``memory_size``: an ablation of its paper.

    Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 5, compare it with an OptoPrime
    whose ``memory_size`` is 5 on the traffic lights and 10 on Meta-World. The published program's default is no memory
    either.

    Args:
        settings: `OptoPrime`'s.
    """

    def past(self, token_budget: int) -> str:
        """No section on the past."""
        return ""


class Masked(OptoPrime):
    """OptoPrime without the trace, an ablation of its paper: it sees variables, constraints, output and feedback.

    Cheng, Nie and Swaminathan, "Trace is the Next AutoDiff", NeurIPS 2024, section 5. Code, documentation, inputs and
    intermediate values are hidden, as by the wrapper `MaskGraph`.

    Args:
        settings: `OptoPrime`'s.
    """

    def propose(self, observation: TraceFeedback) -> Values:
        """`OptoPrime`'s step on the masked graph."""
        return super().propose(TraceFeedback(observation.graph.masked(MASKED), observation.feedback))


class Scalar(OptoPrime):
    """OptoPrime as a black-box optimizer, an ablation: of a run it sees the parameters and their score alone.

    It sees neither the trace nor the feedback's words, as under the wrapper `ScalarOnly`; a sentence with the score is
    its feedback. It can learn only from a memory of (variables, score), which therefore holds 10 by default.

    Args:
        memory_size: How many past (variables, score) the prompt shows, oldest first.
        settings: `OptoPrime`'s.
    """

    def __init__(self, *, memory_size: int = 10, **settings: Any) -> None:
        super().__init__(memory_size=memory_size, **settings)

    def propose(self, observation: TraceFeedback) -> Values:
        """`OptoPrime`'s step on the score."""
        graph, feedback = score_alone(observation)
        worst, best = self.problem.scores
        text = f"The score is {feedback.score:g}; {'higher' if best > worst else 'lower'} is better."
        return super().propose(TraceFeedback(graph, dataclasses.replace(feedback, parts=(Part("reward", text),))))


class CoT(OptoPrime):
    """OptoPrime with a chain of thought: one call of the model for the thoughts, a second one for the answer.

    The two calls follow Kojima et al., "Large Language Models are Zero-Shot Reasoners", NeurIPS 2022, section 3: the
    model reasons first and then extracts the answer, so that the form of the answer does not limit the reasoning. The
    thoughts have a quarter of the prompt's budget; longer ones lose their middle.

    Args:
        settings: `OptoPrime`'s.
    """

    reserved_share: ClassVar[float] = 0.25

    def choose(self, messages: Messages) -> Values:
        """Two calls of the model: the parameters that the second answer proposes."""

        def thinking(messages: Messages) -> Messages:
            report = messages[1]["content"].removesuffix(END)
            guide = messages[0]["content"].removesuffix(ANSWER_FORMS[self.form]).rstrip()
            return [{"role": "system", "content": guide}, {"role": "user", "content": report + THINK}]

        thoughts = self.ask(changed(messages, thinking))
        if not thoughts:
            return self.fallback
        self.usable(thoughts[0])
        said = without_reasoning(thoughts[0].text) or thoughts[0].text

        def answering(messages: Messages) -> Messages:
            text = shorten(said, int(self.token_budget * self.reserved_share) - count_tokens(SO))
            return [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": SO}]

        return super().choose(changed(messages, answering))


class FewShot(OptoPrime):
    """OptoPrime with in-context examples from its own history: the updates that raised the reward most in this trial.

    After Brown et al., "Language Models are Few-Shot Learners", NeurIPS 2020; but the examples are not given from
    outside. Each is an update of this trial after which the reward was higher: the values before it, the feedback on
    them, the change, and the feedback on the change. Where batches differ from call to call, some gains are luck.

    Args:
        shots: The number of examples that the prompt shows at most, the largest gain last.
        settings: `OptoPrime`'s.
    """

    def __init__(self, *, shots: int = 3, **settings: Any) -> None:
        super().__init__(**settings)
        at_least(1, shots=shots)
        self.shots = shots

    def reset(self, problem: Problem, *, seed: int = 0) -> None:
        """Begins a new problem, without examples."""
        super().reset(problem, seed=seed)
        self.before: tuple[Values, Feedback] | None = None
        self.gains: list[tuple[float, str]] = []

    def propose(self, observation: TraceFeedback) -> Values:
        """`OptoPrime`'s step; the last update becomes an example if it raised the reward."""
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

    def past(self, token_budget: int) -> str:
        """The report's section on the past: the memory where there is one, and the examples."""
        best = sorted(self.gains, key=lambda gain: gain[0])[-self.shots :]
        if not best:
            return super().past(token_budget)
        memory = super().past(token_budget // 2)
        heading = f"{EXAMPLES}\n"
        left = token_budget - count_tokens(f"{memory}\n\n{heading}")
        examples = fit_list((text for _, text in best), left, between="\n")
        return "\n\n".join(filter(None, [memory, heading + examples]))


class Candidates(OptoPrime):
    """OptoPrime with several candidates: n answers at different temperatures, and one more call that selects one.

    After OptoPrimeMulti of the authors' OpenTrace. The temperatures are spread evenly from 0 to `temperature`. Where
    two or more proposals differ, the model sees them numbered, below the report, and selects one at temperature 0; an
    unusable selection takes the first proposal, which was made at temperature 0. So an update costs at most n + 1 calls
    of the model and, as with OptoPrime, one oracle call: evaluating the candidates instead would spend the budget that
    all optimizers share. The list of proposals has a quarter of the prompt's budget.

    Args:
        n: The number of answers in an update.
        temperature: The highest temperature; None is 1.
        settings: `OptoPrime`'s.
    """

    reserved_share: ClassVar[float] = 0.25

    def __init__(self, *, n: int = 3, temperature: float | None = None, **settings: Any) -> None:
        super().__init__(temperature=temperature, **settings)
        at_least(1, n=n)
        self.n = n

    def choose(self, messages: Messages) -> Values:
        """The parameters that the model selects of its n proposals, or `fallback` where none is usable."""
        form = schema(self.problem) if self.form == "json" else None
        highest = 1.0 if self.temperature is None else self.temperature
        proposals: list[Values] = []
        temperatures = [highest * k / max(1, self.n - 1) for k in range(self.n)]
        for reply in itertools.chain.from_iterable(self.ask_all([Question(messages, form, t) for t in temperatures])):
            values = self.read(reply)
            if values is not None and values not in proposals:
                proposals.append(values)
        return self.select(messages, proposals) if len(proposals) > 1 else [*proposals, self.fallback][0]

    def select(self, messages: Messages, proposals: list[Values]) -> Values:
        """One call of the model: the proposal that it selects."""
        lines = [f"{k}. {json.dumps(v, ensure_ascii=False, default=str)}" for k, v in enumerate(proposals, 1)]

        def selecting(messages: Messages) -> Messages:
            text = fit_list(lines, int(self.token_budget * self.reserved_share) - count_tokens(SELECT), between="\n")
            return [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": SELECT}]

        numbers = Parameter("choice", Choice(list(range(1, len(lines) + 1))), 1)
        choice = Problem("choice", {}, SELECT, (numbers,), (0.0, 1.0))
        for reply in self.ask(changed(messages, selecting), schema(choice), temperature=0.0):
            try:
                number: int | None = read_suggestion(reply.text, choice, cut=bool(reply.cut)).get("choice")
            except Unusable as e:
                self.unusable(reply, str(e))
                continue
            reason = numbers.space.invalid_reason(number)
            if number is not None and reason is None:
                self.usable(reply)
                return proposals[number - 1]
            self.unusable(reply, f"choice: {reason}")
        return proposals[0]
