"""Messages by which endpoints refuse a prompt, and messages that look alike and are about something else.

Each row is (provider, status, body, source): the bodies are the providers' own forms, shortened, with other figures;
the source is the public thread on GitHub where the message was read, or "" where it is widely known.
"""

from __future__ import annotations

from typing import Any


def openai(message: str, code: str | None = None, kind: str = "invalid_request_error", **more: Any) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def bare(message: str, kind: str = "BadRequestError", code: int = 400) -> dict[str, Any]:
    """An error in vLLM's and SGLang's earlier form."""
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


TOO_LONG: list[tuple[str, int, Any, str]] = [
    (
        "openai",
        400,
        openai(
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            "context_length_exceeded",
        ),
        "AsyncFuncAI/deepwiki-open/issues/144",
    ),
    (
        "openai, one message",
        400,
        openai(
            "Invalid 'messages[0].content': string too long. Expected a string with maximum length 1048576.",
            "string_above_max_length",
        ),
        "",
    ),
    ("openai, responses", 400, openai("Your input exceeds the context window of this model."), ""),
    (
        "groq",
        400,
        openai("Please reduce the length of the messages or completion.", "context_length_exceeded"),
        "thepersonalaicompany/amurex-backend/issues/51",
    ),
    (
        "groq, one request above the rate",
        413,
        openai(
            "Request too large for model `llama` in organization `org_x` on tokens per minute (TPM): Limit 6000, "
            "Requested 8000, please reduce your message size and try again.",
            "rate_limit_exceeded",
            "tokens",
        ),
        "aaif-goose/goose/issues/9785",
    ),
    (
        "cerebras",
        400,
        {
            "message": "Please reduce the length of the messages or completion. Current length is 42328 while limit is "
            "40000",
            "code": "wrong_api_format",
        },
        "cline/cline/issues/5140",
    ),
    (
        "deepseek",
        400,
        openai("This model's maximum context length is 131072 tokens. However, you requested 131134 tokens."),
        "evalstate/fast-agent/issues/621",
    ),
    (
        "anthropic",
        400,
        openai("prompt is too long: 201000 tokens > 200000 maximum", "invalid_request_error"),
        "continuedev/continue/issues/8454",
    ),
    (
        "anthropic, with the answer",
        400,
        openai("input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000, decrease input length"),
        "continuedev/continue/issues/6080",
    ),
    (
        "gemini",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1200000) exceeds the maximum number of tokens allowed "
                    "(1048576).",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        "",
    ),
    (
        "mistral",
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
            "context length",
            "type": "invalid_request_prompt_too_large",
            "code": "3051",
        },
        "",
    ),
    (
        "together",
        422,
        openai("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2019 and 30"),
        "stanford-crfm/helm/pull/2079",
    ),
    (
        "tgi",
        422,
        {"error": "Input validation error: `inputs` must have less than 4096 tokens. Given: 4545", "error_type": "x"},
        "meta-llama/llama/issues/1103",
    ),
    (
        "vllm",
        400,
        bare("This model's maximum context length is 16384 tokens. However, you requested 19591 tokens."),
        "vllm-project/vllm/issues/20409",
    ),
    ("vllm, nothing left", 400, bare("max_tokens must be at least 1, got -186."), "vllm-project/vllm/issues/4667"),
    (
        "vllm, prompt alone",
        400,
        {"error": {"message": "The decoder prompt (length 9000) is longer than the maximum model length of 8192."}},
        "vllm-project/vllm/pull/12600",
    ),
    (
        "sglang",
        400,
        bare("The input (61709 tokens) is longer than the model's context length (40960 tokens)."),
        "QwenLM/Qwen3/issues/1321",
    ),
    (
        "sglang, memory",
        400,
        bare("Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens)."),
        "sgl-project/sglang/issues/4048",
    ),
    (
        "sglang, with the answer",
        400,
        bare("Requested token count exceeds the model's maximum context length of 8192 tokens."),
        "",
    ),
    (
        "llama.cpp",
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 14429,
                "n_ctx": 8192,
            }
        },
        "continuedev/continue/issues/9797",
    ),
    (
        "llama.cpp, earlier",
        500,
        {"error": {"code": 500, "message": "the request exceeds the available context size", "type": "server_error"}},
        "ggml-org/llama.cpp/pull/15780",
    ),
    (
        "llama-cpp-python",
        400,
        openai("Requested tokens (2285) exceed context window of 2048"),
        "abetlen/llama-cpp-python/issues/416",
    ),
    (
        "lm studio",
        400,
        {
            "error": "Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded "
            "with context length of only 7866 tokens, which is not enough."
        },
        "lmstudio-ai/lmstudio-bug-tracker/issues/546",
    ),
    (
        "lm studio, later",
        400,
        {"error": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"},
        "anomalyco/opencode/issues/11141",
    ),
    (
        "litellm",
        400,
        openai("litellm.ContextWindowExceededError: BedrockException - Input is too long for requested model.", "400"),
        "",
    ),
    (
        "openrouter",
        400,
        {
            "error": {
                "message": "This endpoint's maximum context length is 32768 tokens. However, you requested 40000.",
                "code": 400,
            }
        },
        "",
    ),
    (
        "openrouter, by its provider",
        400,
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error": {"message": "prompt is too long: 201000 tokens > 200000 maximum"}}'},
            }
        },
        "diegosouzapw/OmniRoute/issues/3044",
    ),
    ("nginx", 413, "<html><head><title>413 Request Entity Too Large</title></head></html>", ""),
    (
        "qwen",
        400,
        openai("Range of input length should be [1, 98304]; input is too long"),
        "QwenLM/qwen-code/issues/371",
    ),
]

FILTERED: list[tuple[str, int, Any, str]] = [
    (
        "azure",
        400,
        openai(
            "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
            "content_filter",
            innererror={"code": "ResponsibleAIPolicyViolation"},
        ),
        "compl-ai/compl-ai/issues/20",
    ),
    (
        "openai, reasoning",
        400,
        openai("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", "invalid_prompt"),
        "",
    ),
    (
        "openai, safety",
        400,
        openai("Your request was rejected as a result of our safety system.", "content_policy_violation"),
        "openai/openai-python/issues/331",
    ),
    (
        "openrouter",
        403,
        {
            "error": {
                "code": 403,
                "message": 'meta/llama requires moderation on X. Your input was flagged for "violence".',
                "metadata": {"reasons": ["violence"], "flagged_input": "kill"},
            }
        },
        "enricoros/big-AGI/issues/352",
    ),
    ("deepseek", 400, openai("Content Exists Risk"), "666ghj/BettaFish/issues/108"),
    (
        "anthropic",
        400,
        openai("Output blocked by content filtering policy", "invalid_request_error"),
        "",
    ),
    (
        "gemini",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The prompt was blocked: PROHIBITED_CONTENT",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        "",
    ),
    (
        "qwen",
        400,
        openai("Input data may contain inappropriate content.", "data_inspection_failed"),
        "",
    ),
    ("moonshot", 400, openai("The request was rejected because it was considered high risk", "content_filter"), ""),
    ("zhipu", 400, {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}}, ""),
    (
        "litellm",
        400,
        openai("litellm.ContentPolicyViolationError: AzureException - The prompt was filtered by the content filter"),
        "",
    ),
    (
        "xai",
        403,
        {"code": "forbidden", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"},
        "",
    ),
]

OTHER: list[tuple[str, int, Any, str]] = [
    ("a wrong key", 401, openai("Incorrect API key provided: sk-x.", "invalid_api_key"), ""),
    ("a flagged account", 403, openai("Your account has been flagged for potential abuse.", "account_flagged"), ""),
    (
        "a closed account",
        403,
        openai(
            "Your access was terminated due to violation of our policies, please check your email.", "access_terminated"
        ),
        "",
    ),
    ("no such model", 404, openai("The model `gpt-9` does not exist", "model_not_found"), ""),
    (
        "the rate",
        429,
        openai("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 4000."),
        "",
    ),
    ("the temperature", 400, openai("temperature: Input should be less than or equal to 1.5"), ""),
    ("the server", 500, openai("The server had an error while processing your request."), ""),
    (
        "a firewall",
        403,
        "<html><head><title>Blocked</title></head><body>Your request was blocked by the security policy</body></html>",
        "",
    ),
    ("a filter that fails", 500, openai("content_filter service error", "internal_error"), ""),
    ("overloaded", 503, openai("The model is overloaded. Please try again later."), ""),
    ("a bad message", 400, openai("Invalid value: 'sistem'. Supported values are: 'system' and 'user'."), ""),
]
