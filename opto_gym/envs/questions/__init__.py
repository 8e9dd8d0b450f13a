"""Question sets that a language model answers, with the prompts and the code of a proposal."""

from typing import TYPE_CHECKING

from ...utils.moved import moved_names

if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "GSM8K": "envs.questions.gsm8k",
            "MMLU": "envs.questions.mmlu",
            "START_GSM8K": "envs.questions.gsm8k",
            "START_MMLU": "envs.questions.mmlu",
            "SystemPromptQuestions": "envs.questions.system_prompt",
        },
    )
