"""The environments, one module or package per family. This module registers them for `opto_gym.make`."""

from ..core import OptoEnv
from ..registration import BASES, register

BASES["env"] = OptoEnv

register("Battleship-v0", "opto_gym.envs.battleship:Battleship")
register("BattleshipOnline-v0", "opto_gym.envs.battleship:BattleshipOnline")
register("NumericalOptimization-v0", "opto_gym.envs.numerical:NumericalOptimization")
register("BinaryLock-v0", "opto_gym.envs.lock:BinaryLock")
register("BlameAssign-v0", "opto_gym.envs.blame:BlameAssign")
register("LongTrace-v0", "opto_gym.envs.long_trace:LongTrace")
register("Traffic-v0", "opto_gym.envs.traffic:Traffic")
register("TrafficPaper-v0", "opto_gym.envs.traffic:TrafficPaper")
register("TrafficGrid-v0", "opto_gym.envs.traffic:TrafficGrid")
_FIRST = "opto_gym.envs.questions.first_versions"
register("GSM8K-v1", "opto_gym.envs.questions.gsm8k:GSM8K", nondeterministic=True)
register("GSM8K-v0", f"{_FIRST}:FirstGSM8K", nondeterministic=True)

for _subject in ("college_physics", "machine_learning"):
    _settings = {"subject": _subject}
    register(
        f"MMLU-{_subject}-v1",
        "opto_gym.envs.questions.mmlu:MMLU",
        kwargs=_settings,
        nondeterministic=True,
    )
    register(f"MMLU-{_subject}-v0", f"{_FIRST}:FirstMMLU", kwargs={"subject": _subject}, nondeterministic=True)

for _task in (
    *("boolean_expressions", "causal_judgement", "date_understanding", "disambiguation_qa", "dyck_languages"),
    *("formal_fallacies", "geometric_shapes", "hyperbaton", "logical_deduction_five_objects"),
    *("logical_deduction_seven_objects", "logical_deduction_three_objects", "movie_recommendation"),
    *("multistep_arithmetic_two", "navigate", "object_counting", "penguins_in_a_table"),
    *("reasoning_about_colored_objects", "ruin_names", "salient_translation_error_detection", "snarks"),
    *("sports_understanding", "temporal_sequences", "tracking_shuffled_objects_five_objects"),
    *("tracking_shuffled_objects_seven_objects", "tracking_shuffled_objects_three_objects", "web_of_lies"),
    "word_sorting",
):
    register(f"BBH-{_task}-v1", "opto_gym.envs.questions.bbh:BBH", kwargs={"task": _task}, nondeterministic=True)
    register(f"BBH-{_task}-v0", f"{_FIRST}:FirstBBH", kwargs={"task": _task}, nondeterministic=True)
register("LinearRegression-v0", "opto_gym.envs.opro.linear_regression:LinearRegression")
register("TSP-v0", "opto_gym.envs.opro.tsp:TSP")
register("Greeting-v0", "opto_gym.envs.tutorials.greeting:Greeting")
register("StrangeSortList-v0", "opto_gym.envs.tutorials.strange_sort:StrangeSortList")
register("BatchRegression-v0", "opto_gym.envs.tutorials.batch_regression:BatchRegression")
register("Negotiation-v1", "opto_gym.envs.tutorials.negotiation:Negotiation")
register("Negotiation-v0", "opto_gym.envs.tutorials.first_versions:FirstNegotiation")

for _task in (
    *("reach", "push", "pick-place"),  # the Trace paper's
    *("assembly", "box-close", "button-press", "button-press-topdown", "button-press-topdown-wall", "coffee-button"),
    *("coffee-push", "dial-turn", "door-close", "door-lock", "door-open", "door-unlock", "drawer-close"),
    *("drawer-open", "faucet-close", "faucet-open", "hand-insert", "handle-press-side", "handle-press"),
    *("plate-slide-back-side", "plate-slide-back", "plate-slide", "push-wall", "reach-wall"),
    *("sweep-into", "window-close", "window-open"),
):
    _name = "".join(map(str.capitalize, _task.split("-")))
    _settings = {"task": f"{_task}-v3"}
    register(f"MetaWorld-{_name}-v1", "opto_gym.envs.metaworld.environment:MetaWorld", kwargs=_settings)
    register(f"MetaWorld-{_name}-v0", "opto_gym.envs.metaworld.first_version:FirstMetaWorld", kwargs=dict(_settings))
