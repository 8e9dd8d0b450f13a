"""What a strong model would answer goes through OptoPrime, OPRO and TextGrad to the score that it deserves.

Each task has parameters that were written from the prompt alone. A scripted model gives them in the forms in which real
models write, another for each agent and task, and only where the prompt holds what the model needs to know.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import opto_gym
from opto_gym.baselines.battleship import HuntTarget
from opto_gym.llm import Client
from tests.support.openai_server import OpenAIServer

robot = pytest.mark.skipif(importlib.util.find_spec("metaworld") is None, reason="metaworld is not installed")

BATTLESHIP = {
    "reason": '''def reason(map):
    """How many placements of a ship cover each unknown square; those through hits count more."""
    h, w = len(map), len(map[0])
    weight = {}
    for size in (5, 4, 3, 3, 2):
        for r in range(h):
            for c in range(w):
                for dr, dc in ((0, 1), (1, 0)):
                    cells = [(r + k * dr, c + k * dc) for k in range(size)]
                    if cells[-1][0] >= h or cells[-1][1] >= w or any(map[i][j] == "O" for i, j in cells):
                        continue
                    hits = sum(map[i][j] == "X" for i, j in cells)
                    if hits == size:
                        continue
                    for i, j in cells:
                        if map[i][j] == ".":
                            weight[(i, j)] = weight.get((i, j), 0) + 20 ** hits
    return [[i, j, n] for (i, j), n in weight.items()]
''',
    "act": '''def act(map, plan):
    """Fires where most placements lie; "else" the first unknown square."""
    if plan:
        best = max(plan, key=lambda p: p[2])
        return [best[0], best[1]]
    return next([r, c] for r, row in enumerate(map) for c, s in enumerate(row) if s == ".")
''',
}
REACH = {
    "controller": '''def controller(obs):
    """Straight to the goal; the step is cut to what the arm can do."""
    way = [g - h for g, h in zip(obs["goal_pos"], obs["hand_pos"])]
    return [max(-0.2, min(0.2, d)) for d in way] + [-1]
'''
}
PICK_PLACE = {
    "controller": """def controller(obs):
    hand, puck, goal = obs["hand_pos"], obs["object_pos"], obs["goal_pos"]
    dx, dy = puck[0] - hand[0], puck[1] - hand[1]
    above = hand[2] - puck[2]
    if max(abs(dx), abs(dy)) > 0.02:
        return [dx, dy, 0.1 - above, -1]  # over the puck, gripper open
    if above > 0.045:
        return [dx, dy, 0.03 - above, -1]  # down
    if obs["gripper_opening"] > 0.6:
        return [0, 0, -0.002, 1]  # grasp
    return [g - p for g, p in zip(goal, puck)] + [1]  # carry
"""
}
SORTING_CODE = {
    "extract_answer": r'''import re

def extract_answer(prompt_template, question, response):
    """Sorts the words after "List:"; the model isn't needed."""
    words = re.findall(r"\S+", re.split(r"\bList:\s*", question)[-1])
    return " ".join(sorted(words))
'''
}
SORTING_PROMPT = {
    "prompt_template": "{question}\n\nCompare the words letter by letter.\n"
    'End with one line: "Answer: " and all words in order, separated by single spaces.'
}
COUNT_SMALLER = "replace each number by how many of the numbers before it are smaller"


@dataclasses.dataclass
class Task:
    """An environment and what a strong model answers.

    Attributes:
        make: Makes the environment.
        answer: The values that the model changes.
        told: What each agent's first request must say, for the model to know all that it uses.
        shown: What the prompts must show of the run, for the agents that show it.
    """

    make: Callable[[], Any]
    answer: dict[str, Any]
    told: Sequence[str]
    shown: Sequence[str]


def words_sorted_as_asked(body: dict[str, Any]) -> str:
    """A task model that thinks aloud, and gives a last line of the form that it was asked for."""
    prompt = body["messages"][-1]["content"]
    words = prompt.split("List:")[1].split("\n")[0].split()
    if "letter by letter" not in prompt:
        return f"Sure! These are {len(words)} words."
    form = re.search(r'End with one line: "(.*?)"', prompt)
    return f"Let me compare them.\n\n{form[1] if form else ''}{' '.join(sorted(words))}"


@pytest.fixture(scope="module")
def task_model():
    with OpenAIServer(words_sorted_as_asked) as server:
        yield server


@pytest.fixture
def tasks(task_model):
    def sorting() -> Any:
        env = opto_gym.make("BBH-word_sorting-v1", data="sample").unwrapped
        env.llm = Client("fake", base_url=task_model.url, role="task")
        return env

    def env(name: str) -> Callable[[], Any]:
        return lambda: opto_gym.make(name).unwrapped

    arm = (
        *("hand_pos, object_pos and goal_pos are positions [x, y, z] in metres", "at most 0.2 metres along each axis"),
        *("gripper_opening is the distance between the fingers", "from 0 to 1", "from -1 to 1: above 0 they close"),
    )
    code = ("extract_answer(prompt_template, question, response)",)
    return {
        "Battleship": Task(
            env("Battleship-v0"),
            BATTLESHIP,
            ("'.' is unknown, 'O' a miss, 'X' a hit", "[row, column]", "reason(map)", "act(map, plan)"),
            ("grid(ab/cd) is the list of lists of characters", "Fires at shot = [row, column]", "0 of 17 ship squares"),
        ),
        "Reach": Task(
            env("MetaWorld-Reach-v1"),
            REACH,
            ("Bring the hand to goal_pos", *arm),
            ("'gripper_opening': ", "Next the hand should be at ["),
        ),
        "PickPlace": Task(
            env("MetaWorld-PickPlace-v1"),
            PICK_PLACE,
            ("Grasp the puck at object_pos", *arm),
            ("'gripper_opening': ", "Next the hand should be at ["),
        ),
        "SortingByCode": Task(sorting, SORTING_CODE, code, ("alphabetically: List:", "The right answer is")),
        "SortingByPrompt": Task(sorting, SORTING_PROMPT, code, ("alphabetically: List:", "Sure! These are")),
    }


# ---------------------------------------------------------------- the dress of each agent's answers
def careless_json(values: dict[str, Any]) -> str:
    """JSON with raw line ends and lone backslashes in its strings, as models write code into it."""
    texts = (f'"{k}": "' + v.replace('"', '\\"') + '"' for k, v in values.items())
    return '{"reasoning": "Fix it.", "suggestion": {' + ", ".join(texts) + "}}"


def a_draft_first(values: dict[str, Any]) -> str:
    draft = json.dumps({"suggestion": dict.fromkeys(values, "def f(): pass")})
    final = json.dumps({"reasoning": "The final version.", "answer": "", "suggestion": values}, indent=2)
    return f"<think>\nMaybe\n```json\n{draft}\n```\nNo, it must use the map.\n</think>\n\n```json\n{final}\n```\n"


def with_prose(values: dict[str, Any]) -> str:
    return f"Here's the analysis: it does nothing.\r\n\r\n```JSON\r\n{careless_json(values)}\r\n```\r\nHope it helps!"


def fenced_code(values: dict[str, Any]) -> str:
    return json.dumps({"suggestion": {k: f"```python\n{v}```" for k, v in values.items()}})


OPTOPRIME = {
    "Battleship": a_draft_first,
    "Reach": with_prose,
    "PickPlace": fenced_code,
    "SortingByCode": careless_json,
    "SortingByPrompt": lambda values: json.dumps(
        {"reasoning": "Ask for a form.", "answer": None, "suggestion": values}
    ),
}


def tags(values: dict[str, Any], before: str = "", after: str = "") -> str:
    fences = {True: (before, after), False: ("", "")}  # of code alone
    return "\n".join(
        f"<{k}>{v.join(fences[v.lstrip().startswith(('def', 'import'))])}</{k}>" for k, v in values.items()
    )


OPRO = {
    "Battleship": lambda values: "**New solution**\n\n" + tags(values, "\n```python\n", "```\n"),
    "Reach": lambda values: f"<think>Old: {tags({'controller': 'pass'})}, go on</think>{tags(values)}\nscore: 100",
    "PickPlace": lambda values: f"```xml\n{tags(values, chr(10), chr(10))}\n```",
    "SortingByCode": lambda values: "I change one part.\n" + tags(values, "\n~~~py\n", "~~~\n"),
    "SortingByPrompt": lambda values: tags(values, "\n", "\n"),
}
TEXTGRAD = {
    "Battleship": "The criticism is right.\n<new_value>\n```python\n{}```\n</new_value>",
    "Reach": "<think><new_value>pass</new_value>, no.</think>\n<new_value>\n{}\n</new_value>",
    "PickPlace": "Reasoning: grasp first.\n\n<new_value>{}</new_value>\n\nThis keeps the signature.",
    "SortingByCode": "```\n<new_value>\n{}\n</new_value>\n```",
    "SortingByPrompt": "I write <new_value> with the form:\n<new_value>\n{}\n</new_value>",
}
NO_CHANGE = ("No change is needed.", "TERMINATE", "<new_value>\nNo change is needed.\n</new_value>")


def is_step(body: dict[str, Any]) -> bool:
    return "<new_value>" in body["messages"][0]["content"]


def written(agent: str, name: str, values: dict[str, Any], start: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
    """A model that answers with the values, in the agent's form for the task."""
    if agent == "OptoPrime":
        return lambda body: OPTOPRIME[name](values)
    if agent == "OPRO":
        return lambda body: OPRO[name]({k: values.get(k, v) for k, v in start.items()})

    def reply(body: dict[str, Any]) -> str:
        if not is_step(body):
            return "It does nothing useful yet. It has to do what the purpose says."
        asked = re.search(r"<variable>\n(\w+)", body["messages"][1]["content"])
        assert asked
        if asked[1] not in values:
            return NO_CHANGE[len(asked[1]) % len(NO_CHANGE)]
        return TEXTGRAD[name].replace("{}", values[asked[1]])

    return reply


def updated(agent: str, env: Any, reply: Callable[[dict[str, Any]], str], steps: int = 1) -> tuple[Any, list[str], Any]:
    """(the values after some updates, what was asked, the agent)."""
    with OpenAIServer(reply) as server:
        one_sample = {"n": 1} if agent == "OPRO" else {}
        made = opto_gym.make_agent(agent, model="fake", base_url=server.url, **one_sample)
        made.reset(env.problem, seed=0)
        values = env.problem.start
        for _ in range(steps):
            values = made.propose(env.evaluate(values, seed=0).observation)
        asked = ["\n".join(m["content"] for m in r["body"]["messages"]) for r in server.requests]
    return values, asked, made


def normal(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


NAMES = [
    "Battleship",
    *(pytest.param(n, marks=[robot, pytest.mark.slow]) for n in ("Reach", "PickPlace")),
    *("SortingByCode", "SortingByPrompt"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("agent", ["OptoPrime", "OPRO", "TextGrad"])
def test_a_strong_answer_goes_through_unchanged(agent, name, tasks):
    task = tasks[name]
    env = task.make()
    start = env.problem.start
    values, asked, made = updated(agent, env, written(agent, name, task.answer, start))
    assert made.invalid_answers == []
    assert {k: normal(v) for k, v in values.items()} == {k: normal(v) for k, v in {**start, **task.answer}.items()}
    # An answer in another dress has the score of the same values given to the environment directly.
    assert env.evaluate(values, split="test", examples=range(2)).score == deserved(env, task, range(2)) > 0
    needed = task.told if agent == "OPRO" else (*task.told, *task.shown)
    together = "\n".join(asked)
    assert [text for text in needed if text not in together] == []
    first_step = next((a for a in asked if "<variable>" in a), asked[0])  # TextGrad's criticisms know the run
    assert [text for text in task.told if text not in (first_step if agent != "TextGrad" else together)] == []


def deserved(env: Any, task: Task, examples: Any) -> float:
    return env.evaluate({**env.problem.start, **task.answer}, split="test", examples=examples).score


@pytest.mark.parametrize(
    ("name", "examples", "least"),
    [
        pytest.param("Reach", range(10), 1.0, marks=[robot, pytest.mark.slow]),
        pytest.param("PickPlace", range(5), 1.0, marks=[robot, pytest.mark.slow]),
        ("SortingByCode", None, 1.0),
        ("SortingByPrompt", None, 1.0),
    ],
)
def test_the_answers_are_strong(name, examples, least, tasks):
    env = tasks[name].make()
    assert env.evaluate(env.problem.start, split="test", examples=examples).score == 0
    assert deserved(env, tasks[name], examples) >= least


def test_the_answer_to_battleship_plays_as_the_specialists_do(tasks):
    env, boards = tasks["Battleship"].make(), range(6)
    specialist = env.evaluate(HuntTarget.policy, split="test", examples=boards).score
    assert deserved(env, tasks["Battleship"], boards) >= specialist - 0.03 > 0.8


@pytest.mark.parametrize("agent", ["OptoPrime", "OPRO", "TextGrad"])
@pytest.mark.parametrize(
    "name", ["Battleship", pytest.param("Reach", marks=[robot, pytest.mark.slow]), "SortingByCode"]
)
def test_what_the_model_needs_stays_told_after_the_start_code_is_rewritten(agent, name, tasks):
    task = tasks[name]
    env = task.make()
    bare = {k: re.sub(r'    """.*?"""\n', "", v, flags=re.DOTALL) for k, v in task.answer.items()}
    _, asked, _ = updated(agent, env, written(agent, name, bare, env.problem.start), steps=2)
    at = next(k for k in range(1, len(asked)) if agent != "TextGrad" or "<variable>" in asked[k - 1] > asked[k])
    second = re.sub(r'""".*?"""', "", "\n".join(asked[at:]), flags=re.DOTALL)  # without the docstrings of the start
    assert [text for text in task.told if text not in second] == []


# ---------------------------------------------------------------- BlameAssign: the answer is in the prompt
def mended(rule: str, stage: str) -> Any:
    """What a model writes for a stage that should do what the rule says."""
    if rule == COUNT_SMALLER:
        return f"def {stage}(xs):\n    return [len([y for y in xs[:i] if y < x]) for i, x in enumerate(xs)]\n"
    number = re.fullmatch(r"(?:multiply|add|replace|move).*?(\d+).*", rule)
    assert number, rule
    return int(number[1])


def failing_stage(prompt: str) -> tuple[str, str] | None:
    """(the stage whose check failed, what it should do), as far as the prompt says both."""
    for stage in re.findall(r"check_(stage_\w)\d+\b.*'right': False", prompt):
        rule = re.search(rf"\bcheck_{stage}\]?:? {stage} should (.*?)\. Hands", prompt)
        if rule:
            return stage, rule[1]
    return None


def mechanic(body: dict[str, Any]) -> str:
    """A strong model that knows nothing but its prompt; TextGrad's criticisms say what the check says."""
    prompt = body["messages"][1]["content"]
    if "<variable>" in prompt:
        stage = re.search(r"<variable>\n(\w+)", prompt)[1]
        rule = re.search(rf"{stage} should (.*?), which it does not", prompt)
        return f"<new_value>\n{mended(rule[1], stage)}\n</new_value>" if rule else "No change is needed."
    found = failing_stage(prompt)
    if "<value>" in prompt:
        heard = re.search(r"stage_\w should .*?, which it does not\.", prompt)  # from the values that follow
        blamed = f"{found[0]} should {found[1]}, which it does not." if found else "It is good as it is."
        return heard[0] if heard else blamed
    assert found, "OptoPrime's prompt does not say what the failing stage should do"
    stage, rule = found
    fix = {"reasoning": f"{stage} should {rule}", "answer": "", "suggestion": {stage: mended(rule, stage)}}
    return f"The check of `{stage}` fails.\n\n{json.dumps(fix)}\n\nThe other stages stay as they are."


def blame(problem: int) -> Any:
    return opto_gym.make("BlameAssign-v0", problem=problem).unwrapped


def number_problem() -> int:
    """A pipeline whose broken stage is a number."""
    return next(k for k in range(1, 60) if isinstance(blame(k).problem.start[blame(k).broken], int))


@pytest.mark.parametrize("agent", ["OptoPrime", "TextGrad"])
@pytest.mark.parametrize("problem", ["code", pytest.param("number", marks=pytest.mark.slow)])
def test_a_broken_stage_is_mended_from_what_the_prompt_says(agent, problem):
    env = blame(0 if problem == "code" else number_problem())
    values, asked, made = updated(agent, env, mechanic, steps=1 if agent == "OptoPrime" else 3)
    assert made.invalid_answers == []
    assert {k for k, v in values.items() if v != env.problem.start[k]} == {env.broken}
    assert env.evaluate(env.problem.start, split="test").score < 1
    assert env.evaluate(values, split="test").score == 1
    if agent == "OptoPrime":
        assert "Expected [" in asked[0]


def test_opro_mends_a_stage_though_it_sees_scores_alone():
    """OPRO's prompt has the stages and their score, not the trace: the answer is one that comes with luck."""
    env = blame(0)
    fixed = {**env.problem.start, env.broken: mended(COUNT_SMALLER, env.broken)}
    answer = "Count smaller ones.\n" + "\n".join(
        f"<{k}>\n```python\n{v}```\n</{k}>" if isinstance(v, str) else f"<{k}> {v} </{k}>" for k, v in fixed.items()
    )
    values, asked, made = updated("OPRO", env, lambda body: answer)
    assert made.invalid_answers == []
    assert env.evaluate(values, split="test").score == 1
    assert all(f"<{name}>" in asked[0] for name in fixed)
    assert "score: 0" in asked[0]
