from __future__ import annotations

import pytest

import opto_gym
from opto_gym import data
from tests.support.openai_server import OpenAIServer

full = pytest.mark.skipif(data.root() == data.SAMPLE, reason="needs the published data sets")


@pytest.mark.parametrize(
    ("name", "target", "reply", "score", "said"),
    [
        ("GSM8K-v1", "-35", "So it is\nAnswer: 35", 0.0, "The answer is wrong: '35' The right answer is -35"),
        ("GSM8K-v1", "1200", "Answer: $1,200", 1.0, "The answer is right: 1200"),
        ("GSM8K-v1", "0", "I can't say.", 0.0, "No answer was found in it, which must be a whole number."),
        ("MMLU-machine_learning-v1", "(C)", "Answer: C", 1.0, "The answer is right: (C)"),
        ("MMLU-machine_learning-v1", "(C)", "Hm.", 0.0, "which must be an option such as (B)."),
    ],
)
def test_the_system_prompt_and_the_judgement(name, target, reply, score, said, monkeypatch):
    with OpenAIServer(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        env = opto_gym.make(name, data="sample").unwrapped
        e = env.evaluate({"system_prompt": "Be brief {question}."}, examples=[{"input": "How?", "target": target}])
    assert (e.score, e.error) == (score, None)
    assert said in str(e.feedback)
    system, user = server.requests[0]["body"]["messages"]
    assert (system["content"], user["content"]) == ("Be brief {question}.", "How?")
    assert {"ask_model", "read_answer"} <= {op.name for op in e.graph.operators}


def test_subjects_and_partitions_are_checked():
    with pytest.raises(ValueError, match=r"'\.\./x'"):
        opto_gym.make("MMLU-machine_learning-v1", subject="../x")
    with pytest.raises(ValueError, match="expected a subject such as 'college_physics', got 3"):
        opto_gym.make("MMLU-machine_learning-v1", subject=3)
    with pytest.raises(ValueError, match="'textgrad'"):
        opto_gym.make("GSM8K-v1", partition="opro")
    with pytest.raises(opto_gym.errors.DataNotFound, match=r"mmlu/anatomy_test\.csv"):
        opto_gym.make("MMLU-machine_learning-v1", subject="anatomy")


@full
def test_published_partitions():
    own, textgrad = (opto_gym.make("GSM8K-v1", partition=p).unwrapped.splits for p in ("opto", "textgrad"))
    assert {k: len(v) for k, v in own.items()} == {"train": 50, "val": 50, "test": 200}
    assert {k: len(v) for k, v in textgrad.items()} == {"train": 200, "val": 300, "test": 1319}
    assert textgrad["train"][0]["input"].startswith("The result from the 40-item Statistics exam")
    assert not any("<<" in e["working"] for split in textgrad.values() for e in split)
    for subject, sizes in (("machine_learning", (88, 23)), ("college_physics", (67, 21))):
        splits = opto_gym.make(f"MMLU-{subject}-v1").unwrapped.splits
        assert (len(splits["train"]), len(splits["test"])) == sizes
        assert len({e["input"] for e in splits["train"]}) == sizes[0]  # none twice
        stems = [{e["input"].split("\n(A)")[0] for e in splits[s]} for s in ("train", "test")]
        assert not stems[0] & stems[1]
