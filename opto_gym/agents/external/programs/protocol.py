"""The program's side of the protocol in Python. It needs the standard library alone, and not opto_gym.

A program that opto_gym starts finds its trial in environment variables (``OPTO_GYM_URL``, ``OPTO_GYM_TOKEN``). It asks
its model with any OpenAI-compatible client (``OPENAI_BASE_URL``, ``OPENAI_API_KEY``), and its oracle through `Trial`.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any


class Spent(Exception):
    """The budget does not hold the evaluation; the program should end."""


class Trial:
    """The trial that this process works on.

    Attributes:
        url: The server's address, which is also OpenAI's base URL.
        token: The key for the oracle and for OpenAI's client.
        model: The model's name, or None.
        seed: The seed of all random choices.
        settings: The agent's settings.
        problem: The objective, the parameters and their spaces, as plain data.
        parameters: The problem's parameters, by name.
        start: The evaluation of the start values.
    """

    def __init__(self) -> None:
        self.url, self.token = os.environ["OPTO_GYM_URL"], os.environ["OPTO_GYM_TOKEN"]
        # no proxy: the server is on this machine
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        task = self._request("/task")
        self.model, self.seed, self.settings = task["model"], task["seed"], task["settings"]
        self.problem, self.start = task["problem"], task["start"]
        self.parameters = {p["name"]: p for p in self.problem["parameters"]}

    def kind(self, name: str) -> str:
        """A parameter's kind: ``Number``, ``Choice``, ``Permutation``, ``Prompt`` or ``Code``."""
        return str(self.parameters[name]["space"]["kind"])

    def texts(self) -> dict[str, str]:
        """The start values as texts."""
        start = {name: p["start"] for name, p in self.parameters.items()}
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in start.items()}

    def evaluate(
        self,
        parameters: dict[str, Any],
        examples: list[int] | None = None,
        split: str = "train",
        *,
        texts: bool = False,
    ) -> dict[str, Any]:
        """One oracle call.

        Args:
            parameters: A value for each parameter; the feedback says what is wrong with a bad value.
            examples: Indices into the split; None draws a batch of train, or takes the whole of val.
            split: ``train`` or ``val``.
            texts: The values are texts, which the server converts to the parameters' kinds.

        Returns:
            ``score``, ``reward``, ``rewards``, ``text``, ``trace``, ``graph``, ...: see docs/protocol.md.

        Raises:
            Spent: If the budget does not hold the call.
        """
        request = {"parameters": parameters, "examples": examples, "split": split, "texts": texts}
        return self._request("/evaluations", request)  # type: ignore[no-any-return]

    def recommend(self, parameters: dict[str, Any], *, texts: bool = False) -> None:
        """Recommends parameters; without a recommendation, those with the best reward count."""
        self._request("/recommendation", {"parameters": parameters, "texts": texts})

    def invalid(self, reason: str) -> None:
        """Reports that an answer of the model could not be used."""
        self._request("/invalid-answers", {"reason": reason})

    def _request(self, path: str, data: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = None if data is None else json.dumps(data).encode()
        try:
            with self._http.open(urllib.request.Request(self.url + path, body, headers)) as answer:
                text = answer.read()
        except urllib.error.HTTPError as e:
            error = json.loads(e.read())["error"]
            if error["code"] == "budget_exhausted":
                raise Spent(error["message"]) from None
            raise RuntimeError(f"{path}: {error['code']}: {error['message']}") from None
        return json.loads(text) if text else None


def run(program: Any) -> None:
    """Runs ``program(trial)``, and returns when it ends or when the budget is spent."""
    try:
        program(Trial())
    except Spent:
        pass
