"""Records the solutions that the program of OPRO's authors shows to its model, with scripted answers and scores.

    git clone https://github.com/google-deepmind/opro OPRO && git -C OPRO checkout e81b2f5
    PYTHONHASHSEED=0 python scripts/record_opro.py OPRO > tests/agents/opro_shown.json

The interpreter needs numpy, pandas, immutabledict and absl-py. The authors' program is unchanged, except that its two
clients of hosted models are replaced.

The output is JSON. ``runs`` is a list of ``{"kind", "top", "decimals", "solutions": [[text, score]], "starts", "steps":
[{"shown": [[number of the solution, its score as shown]], "answers"}]}``, where an answer is the number of a solution,
or a text that is not exactly one solution. ``odd`` is a run of instructions whose second step has answers that the
program's filters reject or change; its key ``odd`` has these answers, by what is unusual about them.
"""

from __future__ import annotations

import contextlib
import glob
import json
import random
import re
import sys
import tempfile
from types import SimpleNamespace

OPRO = sys.argv[1]
sys.path.insert(0, OPRO)
models = SimpleNamespace()
sys.modules |= {"openai": models, "google": SimpleNamespace(generativeai=models), "google.generativeai": models}

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from absl import flags  # noqa: E402
from opro import prompt_utils  # noqa: E402
from opro.optimization import opt_utils, optimize_linear_regression  # noqa: E402

for name in list(flags.FLAGS):  # the next program defines the same flags
    delattr(flags.FLAGS, name)
from opro.optimization import optimize_tsp  # noqa: E402

CASES, N = 40, 8  # the number of questions that an instruction is scored on; the number of answers in a step
START = "Let's solve the problem."
ODD = {
    "the start again": f"<INS>{START}</INS>",
    "untagged": "Read it aloud first.",
    "a digit": "<INS>Take 2 minutes.</INS>",
    "the letters INS": "<INS>Follow INS.</INS>",
    "over 500 characters": f"<INS>{'Think again. ' * 40}</INS>",
    "under 0.3": "<INS>Guess.</INS>",
    "lower case and asterisks": "<INS>go **slowly** now.</INS>",
}


def instructions(seed, top, decimals, threshold=0.0, odd=None):
    """Records a run of `run_evolution`.

    The scores within a step differ, since the program takes a step's instructions in the arbitrary order of a set.

    Args:
        seed: The seed of the scripted answers and scores.
        top: The number of solutions that the prompt shows.
        decimals: Whether scores are shown with decimals, instead of rounded to 100 buckets.
        threshold: The lowest score of the solutions that the prompt shows.
        odd: The answers of the second step, see `ODD`; None for ordinary ones.
    """
    rng = random.Random(seed)
    solutions, steps = {START: rng.randrange(CASES + 1)}, []

    def score(prompt):
        instruction, case = re.search(r"Q: (.*?)\ncase (\d+)\n", prompt, re.DOTALL).groups()
        return ["1" if int(case) < solutions.setdefault(instruction, CASES) else "0"]

    def answer(prompt, temperature):
        if not steps or len(steps[-1]["answers"]) == N:
            steps.append({"shown": re.findall(r"^text:\n(.*?)\nscore:\n(.*?)$", prompt, re.M | re.S), "answers": []})
            values = rng.sample(range(CASES + 1), N)
            old = [text for text in solutions if text != START]
            texts = [f"Way {''.join('abcdefgh'[int(c)] for c in f'{len(old) + k:o}')}." for k in range(N - 2)]
            solutions.update(zip(texts, values, strict=False))
            texts += rng.choices([*old, *texts], k=2)  # repeated answers
            steps[-1]["coming"] = [f"<INS>{text}</INS>" for text in texts]
            if odd and len(steps) == 2:
                solutions["Guess."] = CASES // 5
                steps[-1]["coming"] = [*odd.values(), *steps[-1]["coming"]][:N]
        step = steps[-1]
        step["answers"].append(step["coming"].pop(0))
        return [step["answers"][-1]]

    with tempfile.TemporaryDirectory() as folder:
        opt_utils.run_evolution(
            num_search_steps=3,
            old_instruction_score_threshold=threshold,
            scorer_llm_dict={"num_servers": 1, "batch_size": 1},
            optimizer_llm_dict={"batch_size": 1},
            extract_final_answer_by_prompting_again=False,
            include_qa=True,
            evaluate_in_parallel=False,
            tasks_all=["train"],
            train_ratio=1.0,
            eval_ratio=0.0,
            test_ratio=0.0,
            train_index=np.arange(CASES),
            eval_index=np.arange(1),
            dataset_name="gsm8k",
            task_name="train",
            num_examples=CASES,
            root_data_folder_path=folder,
            optimizer_llm_temperature=1.0,
            initial_instructions=[START],
            multiple_choice_tasks=set(),
            raw_data=pd.DataFrame([[f"case {k}", "1"] for k in range(CASES)]),
            call_scorer_server_func=score,
            call_optimizer_server_func=answer,
            instruction_pos="Q_begin",
            prediction_treat_as_number=True,
            prediction_treat_as_bool=False,
            result_by_instruction_folder=folder,
            few_shot_qa_pairs=False,
            num_score_buckets=np.inf if decimals else 100,
            max_num_instructions=top,
            meta_prompt_type="both_instructions_and_exemplars",
            meta_prompt_instructions_before_exemplars=True,
            few_shot_selection_criteria="random",
            optimizer_llm_name="gpt-4",
            num_generated_instructions_in_each_step=N,
            evaluate_generated_ins_on_few_shot=False,
            num_few_shot_questions_for_instruction_refinement=0,
            evaluate_old_ins_on_few_shot=False,
            eval_interval=100,
            save_folder=folder,
        )
    scored = {text: k / CASES for text, k in solutions.items()}
    return numbered("instructions", top, decimals, scored, [START], steps, "<INS>{}</INS>")


class Enough(BaseException):
    """Ends a run when there are no more scripted answers."""


def main_of(program, answers, arguments=()):
    """Runs a program's main() with scripted answers until they end, and returns the content of its results.json."""

    def answer(prompt, **_):
        try:
            return ["no" if prompt.startswith("Does the sun rise") else next(answers)]
        except StopIteration:
            raise Enough from None

    prompt_utils.call_openai_server_func = answer
    flags.FLAGS(["main", "--optimizer=gpt-4", "--openai_api_key=none", *arguments])
    with contextlib.suppress(Enough):
        program.main([])
    (path,) = glob.glob(f"{OPRO}/outputs/optimization-results/*{'tsp' if arguments else 'regression'}*/results.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def lines():
    """Records the five repetitions of the linear regression, each of which ends with the right answer."""
    rng = random.Random(0)

    def answers():
        for _ in range(5):
            made = []
            for _ in range(4 * N - 1):
                w, b = (
                    rng.choice(made) if made and rng.random() < 0.2 else rng.choices([*range(15), *range(16, 40)], k=2)
                )
                made.append((w, b))
                yield rng.choice([f"[{w}, {b}]"] * 5 + ["No idea.", "It is [w, b].", f"Try [w={w}, b={b}]."])
            yield "[15, 14]"

    for rep in main_of(optimize_linear_regression, answers()).values():
        solutions = {f"{w:.0f}, {b:.0f}": z for w, b, z, _ in rep["old_value_pairs_with_i_step"]}
        starts = [f"{w:.0f}, {b:.0f}" for w, b, _, k in rep["old_value_pairs_with_i_step"] if k < 0]
        steps = [
            {
                "shown": [(f"{w}, {b}", z) for w, b, z in re.findall(r"w=(-?\d+), b=(-?\d+)\nvalue:\n(-?\d+)", prompt)],
                "answers": rep["raw_outputs"][k],
            }
            for k, prompt in rep["meta_prompts"].items()
        ]
        yield numbered("lines", 20, 0, solutions, starts, steps, "[{}]")


def tours():
    """Records a run of the traveling salesman problem with 100 points."""
    rng = random.Random(0)

    def answers():
        made = []
        for _ in range(4 * N):
            made.append(rng.choice(made) if made and rng.random() < 0.2 else [0, *rng.sample(range(1, 100), 99)])
            yield f"<trace>{','.join(map(str, made[-1]))}</trace>"

    np.random.seed(0)
    run = main_of(optimize_tsp, answers(), ["--starting_algorithm=nearest_neighbor"])
    solutions = {tour: length for tour, length, _ in run["old_value_pairs_with_i_step"]}
    starts = [tour for tour, _, k in run["old_value_pairs_with_i_step"] if k < 0]
    steps = [
        {
            "shown": re.findall(r"<trace> (.*?) </trace>\nlength:\n(\d+)", prompt),
            "answers": run["raw_outputs"][k],
        }
        for k, prompt in run["meta_prompts"].items()
    ]
    return numbered("tours", 10, 0, solutions, starts, steps, "<trace>{}</trace>")


def numbered(kind, top, decimals, solutions, starts, steps, form):
    """A run in which solutions are given by number, as are the answers that consist of exactly one solution."""
    number = {text: k for k, text in enumerate(solutions)}
    answers = {form.format(text): k for text, k in number.items()}
    return {
        "kind": kind,
        "top": top,
        "decimals": decimals,
        "solutions": list(solutions.items()),
        "starts": [number[text] for text in starts],
        "steps": [
            {
                "shown": [[number[text], score] for text, score in step["shown"]],
                "answers": [answers.get(answer, answer) for answer in step["answers"]],
            }
            for step in steps
        ],
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        runs = [instructions(seed, top=(4, 8, 12)[seed % 3], decimals=seed % 2) for seed in range(194)]
        runs += [*lines(), tours()]
        odd = {**instructions(1000, top=20, decimals=0, threshold=0.3, odd=ODD), "odd": ODD}
    source = {"source": "https://github.com/google-deepmind/opro", "commit": "e81b2f573ce4e15755c70c2535279d6fb940b4b7"}
    print(json.dumps({**source, "runs": runs, "odd": odd}, separators=(",", ":")))
