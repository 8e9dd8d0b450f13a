"""Scripted endpoints: what each provider or server refuses, ignores and answers, by its documentation or a report.

A profile is a function from a request's body to a response. Its docstring names its sources.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.openai_server import Page

from .completions import Body, completion, has_system, keywords_of, openai_error, schema_of, text_for, unsupported


class Profile(NamedTuple):
    """A scripted endpoint, and how a user reaches the real one.

    Attributes:
        name: What users call it.
        url: Its base URL.
        key: The variable in which its documentation keeps the key; "" if it needs none.
        model: The name of a model there.
        behave: The response to a request's body.
        first: The outcomes of its first requests, before `behave`.
    """

    name: str
    url: str
    key: str
    model: str
    behave: Callable[[Body], Any]
    first: tuple[Any, ...] = ()


def openai_chat(body: Body) -> Page:
    """OpenAI's chat models: a strict schema takes no `maxLength`, and lists every property as required.

    https://developers.openai.com/api/docs/guides/structured-outputs,
    https://github.com/jina-ai/node-DeepResearch/issues/79
    """
    form = schema_of(body)
    if form.get("strict") and "maxLength" in keywords_of(form):
        said = "Invalid schema for response_format 'answer': In context=('properties',), 'maxLength' is not permitted."
        return openai_error(said, None, "response_format")
    return completion(body, reported={"prompt_tokens_details": {"cached_tokens": 0}})


def openai_reasoning(body: Body) -> Page:
    """OpenAI's reasoning models: `max_completion_tokens`, the default temperature alone, no `stop`, no `top_p`.

    https://github.com/QwenLM/qwen-code/issues/921, https://github.com/BerriAI/litellm/issues/8199
    """
    if "max_tokens" in body:
        return unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
    if body.get("temperature", 1) != 1:
        said = f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. "
        return openai_error(said + "Only the default (1) value is supported.", "unsupported_value", "temperature")
    for name in ("stop", "top_p"):
        if name in body:
            return unsupported(name)
    return completion(body, reported={"completion_tokens_details": {"reasoning_tokens": 64}})


def azure(body: Body) -> Page:
    """Azure OpenAI: the deployment's name is the model, choices carry the results of the content filter.

    https://github.com/compl-ai/compl-ai/issues/20
    """
    if "max_tokens" in body:
        return unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
    safe = {"hate": {"filtered": False, "severity": "safe"}}
    return completion(body, content_filter_results=safe, logprobs=None)


AZURE_FILTER = Page(
    400,
    {
        "error": {
            "message": "The response was filtered due to the prompt triggering Azure's content management policy.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    },
)


def anthropic(body: Body) -> Page:
    """Anthropic's compatible endpoint: `n` has to be 1; newer models take no temperature, seeds are ignored.

    https://docs.anthropic.com/en/api/openai-sdk, https://github.com/The-PR-Agent/pr-agent/issues/2456,
    https://github.com/ENTERPILOT/GoModel/pull/963
    """
    if body.get("n", 1) != 1:
        return openai_error("n: must be 1", "invalid_request_error")
    if "temperature" in body:
        return openai_error("`temperature` is deprecated for this model.", "invalid_request_error")
    if "maxLength" in keywords_of(schema_of(body)):
        return openai_error("For 'string' type, property 'maxLength' is not supported", "invalid_request_error")
    return completion(body)


def gemini(body: Body) -> Page:
    """Gemini's compatible endpoint: errors come as a list; `seed` is unknown, several candidates are off.

    https://github.com/Vali-98/ChatterUI/issues/227, https://github.com/googleapis/js-genai/issues/1609
    """
    for refused, said in (
        ("seed" in body, 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'),
        (body.get("n", 1) > 1, "Multiple candidates is not enabled for this model"),
    ):
        if refused:
            return Page(400, [{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}])
    return completion(body)


def groq(body: Body) -> Page:
    """Groq: `n` has to be 1; reasoning comes apart.

    https://console.groq.com/docs/openai, https://github.com/stanfordnlp/dspy/issues/1155
    """
    if body.get("n", 1) != 1:
        return openai_error("'n' : number must be at most 1")
    return completion(body, message={"content": text_for(body), "reasoning": "Let me think."})


def openrouter(body: Body) -> Page:
    """OpenRouter: a provider's errors come inside a 200, or with its own words in the metadata; ignores `n`.

    https://github.com/razzant/claudexor/issues/144, https://github.com/open-webui/computer/issues/293
    """
    if body.get("temperature", 1) != 1:
        raw = {"error": {"message": "Unsupported parameter: 'temperature' is not supported with this model."}}
        metadata = {"raw": json.dumps(raw), "provider_name": "OpenAI"}
        return Page(400, {"error": {"message": "Provider returned error", "code": 400, "metadata": metadata}})
    return completion(body, n=1, native_finish_reason="stop", error=None)


OPENROUTER_BUSY = Page(200, {"error": {"message": "Provider returned error", "code": 429}, "user_id": "u"})


def deepseek(body: Body) -> Page:
    """DeepSeek: no JSON schema, ignores `temperature` and `n`, the reasoning comes as `reasoning_content`.

    https://api-docs.deepseek.com/guides/reasoning_model, https://github.com/bytedance/deer-flow/issues/545
    """
    if schema_of(body):
        return openai_error("This response_format type is unavailable now", "invalid_request_error")
    message = {"content": text_for(body), "reasoning_content": "Let me think."}
    return completion(body, n=1, message=message, reported={"prompt_cache_hit_tokens": 0})


def mistral(body: Body) -> Page:
    """Mistral: fields that it does not know are forbidden (its seed is `random_seed`); content comes as parts.

    https://github.com/mistralai/platform-docs-public/issues/7, https://github.com/NousResearch/hermes-agent/pull/4748
    """
    for name in ("seed", "max_completion_tokens"):
        if name in body:
            detail = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]
            return Page(422, {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"})
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me think."}]}
    return completion(body, message={"content": [thought, {"type": "text", "text": text_for(body)}]})


def together(body: Body) -> Page:
    """Together: takes `n`; its errors have OpenAI's form with TGI's words.

    https://github.com/stanford-crfm/helm/pull/2079
    """
    return completion(body, finish_reason="eos", logprobs=None)


TOGETHER_TOO_LONG = openai_error(
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2019 `inputs` tokens",
    status=422,
)


def ollama(body: Body) -> Page:
    """Ollama: ignores `n`, which is not among the fields that it takes.

    https://docs.ollama.com/api/openai-compatibility, https://github.com/stanfordnlp/dspy/issues/914
    """
    return completion(body, n=1)


def vllm(body: Body) -> Page:
    """vLLM with a model whose template has no system role (Gemma 2); the reasoning comes as `reasoning_content`.

    https://github.com/vllm-project/vllm/pull/2964, https://github.com/vllm-project/vllm/issues/17349
    """
    if has_system(body):
        said = "System role not supported"
        return Page(400, {"object": "error", "message": said, "type": "BadRequestError", "param": None, "code": 400})
    return completion(body, message={"content": text_for(body), "reasoning_content": None}, stop_reason=None)


def sglang(body: Body) -> Page:
    """SGLang: errors without an `error` object.

    https://github.com/QwenLM/Qwen3/issues/1321, https://github.com/sgl-project/sglang/issues/892
    """
    return completion(body, matched_stop=None, reported={"prompt_tokens_details": None})


SGLANG_TOO_LONG = Page(
    400,
    {
        "object": "error",
        "message": "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
        "type": "BadRequestError",
        "code": 400,
    },
)


def llama_cpp(body: Body) -> Page:
    """llama.cpp's server: several choices are refused with a 500, and so is what a chat template raises.

    https://github.com/ggml-org/llama.cpp/tree/master/tools/server, https://github.com/abetlen/llama-cpp-python/issues/1580
    """
    said = "Only one completion choice is allowed" if body.get("n", 1) != 1 else ""
    said = said or ("Jinja Exception: System role not supported" if has_system(body) else "")
    if said:
        return Page(500, {"error": {"code": 500, "message": said, "type": "server_error"}})
    return completion(body, reported={"timings": {}})


def lm_studio(body: Body) -> Page:
    """LM Studio: ignores `n`, takes `response_format` of type `json_schema` alone, errors are a text.

    https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/307,
    https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/546
    """
    if body.get("response_format", {}).get("type") == "json_object":
        return Page(400, {"error": "'response_format.type' must be 'json_schema' or 'text'"})
    return completion(body, n=1)


LM_STUDIO_TOO_LONG = Page(
    400,
    {
        "error": "Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded with "
        "context length of only 7866 tokens, which is not enough."
    },
)


def litellm(body: Body) -> Page:
    """LiteLLM's proxy: its own words for what the model behind it does not take, and the code as a text.

    https://github.com/BerriAI/litellm/pull/33738
    """
    if body.get("n", 1) != 1:
        said = f"groq does not support parameters: {{'n': {body['n']}}}, for model=m. To drop these, set drop_params"
        return openai_error(f"litellm.UnsupportedParamsError: {said}", "400")
    if body.get("temperature", 1) != 1:
        said = f"gpt-5-mini doesn't support temperature={body['temperature']}. Only temperature=1 is supported."
        return openai_error(f"litellm.UnsupportedParamsError: {said}", "400")
    return completion(body)


def tgi(body: Body) -> Page:
    """Hugging Face's TGI: a temperature of 0 is refused, `n` ignored, errors are a text; a usage is not always there.

    https://github.com/huggingface/text-generation-inference (router/src/validation.rs),
    https://github.com/huggingface/chat-ui/issues/1149
    """
    if body.get("temperature") == 0:
        said = "Input validation error: `temperature` must be strictly positive"
        return Page(422, {"error": said, "error_type": "validation"})
    return completion(body, n=1, finish_reason="eos_token", reported={"prompt_tokens": None, "completion_tokens": None})


PROFILES = (
    Profile("OpenAI, chat models", "https://api.openai.com/v1", "OPENAI_API_KEY", "gpt-4o-mini", openai_chat),
    Profile("OpenAI, reasoning models", "https://api.openai.com/v1", "OPENAI_API_KEY", "gpt-5-mini", openai_reasoning),
    Profile(
        "Azure OpenAI",
        "https://NAME.openai.azure.com/openai/v1",
        "AZURE_OPENAI_API_KEY",
        "my-deployment",
        azure,
        (AZURE_FILTER,),
    ),
    Profile("Anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "claude-sonnet-4-5", anthropic),
    Profile(
        "Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        "gemini-2.5-flash",
        gemini,
    ),
    Profile("Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "openai/gpt-oss-20b", groq),
    Profile(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "openai/gpt-5-mini",
        openrouter,
        (OPENROUTER_BUSY,),
    ),
    Profile("DeepSeek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "deepseek-chat", deepseek),
    Profile("Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "magistral-small-latest", mistral),
    Profile(
        "Together",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        together,
        (TOGETHER_TOO_LONG,),
    ),
    Profile("Ollama", "http://localhost:11434/v1", "", "llama3.2", ollama),
    Profile("vLLM", "http://localhost:8000/v1", "", "google/gemma-2-9b-it", vllm),
    Profile("SGLang", "http://localhost:30000/v1", "", "Qwen/Qwen3-8B", sglang, (SGLANG_TOO_LONG,)),
    Profile("llama.cpp", "http://localhost:8080/v1", "", "any name", llama_cpp),
    Profile("LM Studio", "http://localhost:1234/v1", "", "qwen/qwen3-8b", lm_studio, (LM_STUDIO_TOO_LONG,)),
    Profile("LiteLLM's proxy", "http://localhost:4000/v1", "LITELLM_API_KEY", "a name in its config", litellm),
    Profile("TGI", "http://localhost:3000/v1", "", "tgi", tgi),
)
