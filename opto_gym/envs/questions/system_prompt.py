"""The base class of the tasks GSM8K and MMLU: a system prompt for a language model that answers questions."""

from __future__ import annotations

from typing import Any

from ...core import Parameters
from ...problems import Feedback
from ...trace import node, operator
from .asking import QuestionEnv, cut_replies


class SystemPromptQuestions(QuestionEnv):
    """Sends a system prompt and a question to the model and reads the answer in its reply."""

    objective = "Change the system prompt so that the language model answers the questions right."

    def forward(self, p: Parameters, example: Any) -> Any:
        """Asks one question."""
        self.begin_example()

        @operator
        def ask_model(system_prompt: str, question: str) -> str:
            """Sends the system prompt and the question to the language model and returns its reply."""
            return self.ask(question, system_prompt)

        @operator(description=f"Reads the answer, {self.expected}, where the reply announces it, or in its last line.")
        def read_answer(reply: str) -> str | None:
            return self.read(reply, cut=reply in cut_replies())

        reply = ask_model(p.system_prompt, node(example["input"], "question"))
        answer = read_answer(reply)
        judged = self.judge(answer.data, example)
        metrics = {"reply": reply.data, "answer": answer.data}
        return answer, Feedback(judged.score, judged.parts, judged.success, metrics=metrics)
