r"""How models write answers, and what is meant: a table of (reader, text, right value, source).

The texts are in our own words. Each row cites the public report of its form, or is marked "constructed". `REFUSED` is
the right value where an answer has to be refused; the reader's name ends in ", cut" where the answer ended by length.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

REFUSED = "refused"
OWN = "constructed"
GITHUB = "https://github.com/"


class Row(NamedTuple):
    reader: str
    text: str
    value: Any
    source: str


CODE = "def f(x):\n    return x + 1\n"
BODY = CODE.strip()
BLOCK = "<variable>\n<name>{}</name>\n<value>\n{}\n</value>\n</variable>"
GOOD = {
    "suggestion": ('{"suggestion": {"n": 5}}', '{"suggestion": {"n": 1}}', {"n": 5.0}),
    "tags": (BLOCK.format("n", 5), BLOCK.format("n", 1), {"n": 5.0}),
    "value n": ("<new_value>5</new_value>", "<new_value>1</new_value>", 5.0),
    "solution": ("<w>5</w> <b>2</b>", "<w>1</w> <b>1</b>", {"w": 5.0, "b": 2}),
    "action": ('{"action": "accept"}', '{"action": "end"}', {"action": "accept"}),
}
"""Reader -> (a good answer, a draft of it, the value of the good answer)."""
REASONING = [  # {d}: a draft, {a}: the answer
    ("<think>Perhaps {d}?</think>\n{a}", "mem0ai/mem0/pull/4662"),
    ("Perhaps {d}, or more.</think>\n\n{a}", "QwenLM/qwen-code/pull/6033"),
    (
        "</think>\n{a}",
        "tonyd2wild/DeepSeek-v4-Flash-Vision-Exp-DSpark-1M-NVFP4-KV-2x-DGX-Spark/issues/16",
    ),
    ("<think>\n\n</think>\n\n{a}", "QwenLM/qwen-code/pull/10982"),
    ("<think>first <think>{d}</think> no</think>{a}", "QwenLM/qwen-code/pull/10982"),
    ("<thinking>{d}</thinking >{a}", "QwenLM/qwen-code/issues/10791"),
    ("{d}</thinking>{a}", "anomalyco/opencode/issues/36522"),
    ("[THINK]{d}, like on scratch paper[/THINK]{a}", "LostRuins/koboldcpp/pull/1970"),
    ('analysisWe need a value. {d} "is low".assistantfinal{a}', "Augustas11/macprovider/issues/743"),
    (
        "<|channel|>analysis<|message|>{d}<|end|><|start|>assistant<|channel|>final<|message|>{a}<|return|>",
        "kekzl/imp/pull/768",
    ),
    (
        "<|channel|>commentary to=functions.set<|message|>{d}<|call|><|channel|>final<|message|>{a}",
        "odysseus-dev/odysseus/issues/4522",
    ),
    ("◁think▷{d}◁/think▷{a}", OWN),
    ("<|START_THINKING|>{d}<|END_THINKING|><|START_RESPONSE|>{a}<|END_RESPONSE|>", OWN),
    ("<think>{d}, and it never closes", "QwenLM/qwen-code/pull/8818"),
    ("<|channel|>analysis<|message|>{d} and it ends here", "raullenchai/Rapid-MLX/pull/794"),
]


def reasoning_rows() -> list[Row]:
    """Each form of reasoning before each reader's answer."""
    rows = []
    for reader, (good, draft, value) in GOOD.items():
        for form, source in REASONING:
            right = value if "{a}" in form else ({} if reader == "action" else REFUSED)
            text = form.replace("{a}", good).replace("{d}", draft)
            rows.append(Row(reader, text, right, source if source == OWN else GITHUB + source))
    return rows


def of(reader: str, *rows: tuple[str, Any, str]) -> list[Row]:
    """Rows of one reader; a source without a scheme is a place on GitHub."""
    return [Row(reader, text, value, s if s == OWN else GITHUB + s) for text, value, s in rows]


N5 = {"n": 5.0}
SUGGESTION = of(
    "suggestion",
    ('Sure:\n```json\n{"suggestion": {"n": 5}}\n```\nSee [docs] for {more}.', N5, "langgenius/dify/issues/42451"),
    ('Result: {"n": 5}. Note [1].', N5, "langgenius/dify/issues/42451"),
    ('Here is `the` result: {"n": 5}', N5, "langgenius/dify/issues/41958"),
    ('````json\n{"suggestion": {"p": "Use ``` for fences"}}\n````', {"p": "Use ``` for fences"},
     "guardrails-ai/guardrails/pull/1549"),
    ('~~~json\n{"suggestion": {"n": 5}}\n~~~', N5, OWN),
    ('```bash\nls\n```\n```json\n{"suggestion": {"n": 5}}\n```', N5, "NVIDIA-NeMo/labs-OO-Agents/pull/238"),
    ('Sure:\r\n```json\r\n{"suggestion":\r\n {"n": 5}}\r\n```', N5, "simonw/llm/pull/1644"),
    ('For {project}: {"suggestion": {"n": 5,},}', N5, "manhhailua/lorekeep/pull/192"),
    ('{"suggestion": {"n": 5, }, }', N5, "bytedance/deer-flow/pull/2371"),
    ("{'suggestion': {'n': 5, 'c': True}}", {"n": 5.0, "c": True}, "mangiucugna/json_repair/issues/10"),
    ("{suggestion: {n: 5}}", N5, "hherb/bmlibrarian/pull/151"),
    ('{"suggestion": {"n": 5, // larger\n "k": 2 /* whole */}}', {"n": 5.0, "k": 2}, "samchon/typia/pull/1774"),
    ('{“suggestion”: {“n”: 5, “p”: “go”}}', {"n": 5.0, "p": "go"}, "Qarj/fix-busted-json/issues/5"),
    ('{"suggestion": {"n": 5}', N5, "Qarj/fix-busted-json/issues/5"),
    ('{"suggestion": {"n": 5}\n\nThat should do.', N5, "Qarj/fix-busted-json/issues/5"),
    ('\ufeff{"suggestion": {\ufeff"n": 5}}', N5, OWN),
    ('"{\\"suggestion\\": {\\"n\\": 5}}"', N5, "FoundationAgents/OpenManus/pull/989"),
    ('{"suggestion": "{\\"n\\": 5}"}', N5, "huggingface/smolagents/pull/1003"),
    ('{"result": {"suggestion": {"n": 5}}}', N5, "langgenius/dify-official-plugins/pull/3703"),
    ('First:\n```json\n{"suggestion": {"n": 1}}\n```\nI erred. Now:\n```json\n{"suggestion": {"n": 5}}\n```',
     N5, "mangiucugna/json_repair/issues/103"),
    ('The schema is {"type": "object"}.\n{"suggestion": {"n": 5}}\nAs in {"type": "object"}.', N5,
     "crewAIInc/crewAI/pull/6521"),
    ('{"suggestion": {"n": 5}}\n</output>\n</output>', N5, "web-infra-dev/midscene/pull/1576"),
    (r'{"suggestion": {"p": "Write $\frac{1}{2}$ as \boxed{x}."}}', {"p": r"Write $\frac{1}{2}$ as \boxed{x}."},
     "HKUDS/LightRAG/pull/3238"),
    (r'{"suggestion": {"p": "\underbrace{a} \text{b} \nabla f"}}', {"p": r"\underbrace{a} \text{b} \nabla f"},
     "AgentToolkit/altk-evolve/pull/318"),
    (r'{"suggestion": {"p": "\(K_\alpha\) and \(K_\beta\)"}}', {"p": r"\(K_\alpha\) and \(K_\beta\)"},
     "marcusgreen/moodle-qtype_aitext/issues/53"),
    (r'{"suggestion": {"p": "\\frac{1}{2} \times \\theta"}}', {"p": r"\frac{1}{2} \times \theta"},
     "HKUDS/LightRAG/pull/3238"),
    (r'{"suggestion": {"p": "\sigma of \text{x}\nthen stop"}}', {"p": "\\sigma of \\text{x}\nthen stop"},
     "iDiagoValeta/localOllamaRAG/issues/153"),
    (r'{"suggestion": {"p": "\boldsymbol{\frac{1}{4}} of 216 \text{cm}"}}',
     {"p": r"\boldsymbol{\frac{1}{4}} of 216 \text{cm}"}, "wttwins/wrong-notebook/issues/3"),
    (r'{"suggestion": {"p": "match \d+ or \bcat\b"}}', {"p": r"match \d+ or \bcat\b"}, OWN),
    (r'{"suggestion": {"p": "a\tb\nc \"d\" \\ \u00e9"}}', {"p": 'a\tb\nc "d" \\ é'}, OWN),
    (r'{"suggestion": {"f": "def f(x):\n\tt = x\n\treturn t\n"}}', {"f": "def f(x):\n\tt = x\n\treturn t\n"}, OWN),
    ('{"suggestion": {"p": "one\ntwo\tthree"}}', {"p": "one\ntwo\tthree"}, "google/langextract/pull/394"),
    ('{"suggestion": {"p": "tell the "dictator", then wait"}}', {"p": 'tell the "dictator", then wait'},
     "mangiucugna/json_repair/issues/49"),
    ('{"suggestion": {"p": "a "b" c "d" e", "n": 5}}', {"p": 'a "b" c "d" e', "n": 5.0},
     "mangiucugna/json_repair/issues/94"),
    ('{"suggestion": {"p": "Jack: The "OG" O"Sullivan"", "n": 5}}', {"p": 'Jack: The "OG" O"Sullivan"', "n": 5.0},
     "mangiucugna/json_repair/issues/56"),
    ("{'suggestion': {'p': 'it's Jack O'Brien', 'n': 5}}", {"p": "it's Jack O'Brien", "n": 5.0},
     "mangiucugna/json_repair/issues/56"),
    ('{"suggestion": {"p": "<h3 id="t">To \"go\"?</h3>"}}', {"p": '<h3 id="t">To "go"?</h3>'},
     "mangiucugna/json_repair/issues/26"),
    ('{"suggestion": {"p": "say „salut" twice", "n": 5}}', {"p": 'say „salut" twice', "n": 5.0},
     "mangiucugna/json_repair/issues/198"),
    ('{"suggestion": {"p": """two\n"quoted" lines""", "n": 5}}', {"p": 'two\n"quoted" lines', "n": 5.0}, OWN),
    ('{"suggestion": {"f": "def f(x):\n    return {"a": 1}[x]\n"}}', {"f": 'def f(x):\n    return {"a": 1}[x]\n'}, OWN),
    (f"The error is in f.\n```python\n{CODE}```\nThat is all.", {"f": CODE}, "stanfordnlp/dspy/pull/9309"),
    (json.dumps({"suggestion": {"f": CODE.replace("\n", "\\n")}}), {"f": CODE}, OWN),
    ('{"suggestion": {"n": 5 or 6}}', REFUSED, OWN),
    ('{"suggestion": {"n": 5, "p"}}', REFUSED, OWN),
    ('{"suggestion": {"n": 5, "k": "many"}}', REFUSED, OWN),
    ('{"suggestion": {"n": 1,000}}', REFUSED, OWN),
    ('{"suggestion": {"n": 1}}\nBetter: {"suggestion": {"n": }}', REFUSED, "Q00/ouroboros/pull/1734"),
    ('{"suggestion": {"n": 1}}\nNo: {"suggestion": {}}', REFUSED, OWN),
    ('{"suggestion": {"p": "use <think>a</think> first"}}', {"p": "use <think>a</think> first"},
     "QwenLM/qwen-code/pull/8818"),
    ('{"suggestion": [{"name": "n", "value": 5}]}', N5, OWN),
    ('{"suggestion": {"n": 5, "p": "TERMINATE"}}', N5, OWN),
)  # fmt: skip
SUGGESTION += of(
    "suggestion, cut",
    ('{"suggestion": {"n": 5}}', N5, OWN),
    ('```json\n{"suggestion": {"n": 5}}\n``', N5, OWN),
    ('{"suggestion": {"n": 5}}\nThis is larger because the feedb', N5, OWN),
    ('{"suggestion": {"n": 5}', REFUSED, "mastra-ai/mastra/issues/24442"),
    ('{"suggestion": {"n": 12', REFUSED, "browser-use/browser-use/pull/5148"),
    ('{"suggestion": {"n": 5, "p": "half a pro', REFUSED, "mastra-ai/mastra/issues/24442"),
    ('{"suggestion": {"n": 1}}\nBetter: {"suggestion": {"n": 5', REFUSED, "TanStack/ai/issues/1426"),
    ('First idea: {"suggestion": {"n": 1}}\nIt', REFUSED, OWN),
    ('<think>{"suggestion": {"n": 1}} and then', REFUSED, "567-labs/instructor/pull/2213"),
    ('{"suggestion": {"p": "reply with {"n": 1}"}\n and mo', REFUSED, OWN),
    (f"```python\n{BODY}", REFUSED, "567-labs/instructor/pull/2214"),
    (f"```python\n{CODE}```", {"f": CODE}, OWN),
)
TAGS = of(
    "tags",
    (f"<reasoning>r</reasoning>\n{BLOCK.format('n', 5)}", N5, "AgentOpt/OpenTrace/pull/28"),
    (f"<reasoning>{BLOCK.format('n', 1)}</reasoning>\n{BLOCK.format('n', 5)}", N5, "AgentOpt/OpenTrace/pull/28"),
    (f"<reasoning>no end\n{BLOCK.format('n', 5)}", N5, "web-infra-dev/midscene/pull/1981"),
    (f"```xml\n{BLOCK.format('n', 5)}\n```", N5, "lmnr-ai/index/pull/23"),
    (BLOCK.format("n", 5).replace("\n", "\r\n"), N5, "simonw/llm/pull/1644"),
    ("<variable><name>n</name><value>5</value><variable><name>k</name><value>2</value>", {"n": 5.0, "k": 2},
     "langchain-ai/langchainjs/pull/3975"),
    (f"{BLOCK.format('n', 1)}\nNo:\n{BLOCK.format('n', 5)}", N5, OWN),
    (BLOCK.format("f", f"```python\n{CODE}```"), {"f": CODE}, "traceroot-ai/traceroot-py/pull/38"),
    (BLOCK.format("f", f"Here:\n```python\n{CODE}```\nDone."), {"f": CODE}, "run-llama/llama_index/pull/22395"),
    (BLOCK.format("f", f"~~~\n{CODE}~~~"), {"f": CODE}, "ndy2/mkdocs-obsidian-support-plugin/issues/27"),
    (BLOCK.format("p", r"Give \frac{1}{2}, not \n"), {"p": r"Give \frac{1}{2}, not \n"}, OWN),
    (BLOCK.format("p", "a < b & c > d <b>e</b>"), {"p": "a < b & c > d <b>e</b>"}, "kaiko-ai/eva/pull/951"),
    (BLOCK.format("p", "use <think>a</think> first"), {"p": "use <think>a</think> first"},
     "QwenLM/qwen-code/pull/8818"),
    (BLOCK.format("order", "2 -> 0 -> 1"), {"order": [2, 0, 1]}, OWN),
    (BLOCK.format("c", "auto"), {"c": "auto"}, OWN),
    (BLOCK.format("n", "five"), REFUSED, OWN),
    (f"{BLOCK.format('n', 5)}\n{BLOCK.format('k', 'many')}", REFUSED, OWN),
    (BLOCK.format("unknown", 5), REFUSED, OWN),
    (f"```python\n{CODE}```", {"f": CODE}, "stanfordnlp/dspy/pull/9309"),
)  # fmt: skip
TAGS += of(
    "tags, cut",
    (BLOCK.format("n", 5), N5, OWN),
    (BLOCK.format("n", 12).partition("2")[0], REFUSED, "browser-use/browser-use/pull/5148"),
    (BLOCK.format("p", "half a pro").partition("\n</value>")[0], REFUSED, "mastra-ai/mastra/issues/24442"),
    (f"{BLOCK.format('n', 1)}\nBetter:\n{BLOCK.format('n', 5)[:-20]}", REFUSED, OWN),
    (f"{BLOCK.format('n', 5)}\n{BLOCK.format('p', 'half')[:-30]}", N5, OWN),
    (f"<reasoning>{BLOCK.format('n', 1)}", REFUSED, OWN),
)
VALUE = of(
    "value n",
    ("I lower it.\n<new_value>\n5\n</new_value>", 5.0, "zou-group/textgrad/issues/15"),
    ("<new_value>1</new_value> No: <new_value>5</new_value>", 5.0, "SylphAI-Inc/AdalFlow/issues/246"),
    ("<new_value>5", 5.0, "langchain-ai/langchainjs/pull/3975"),
    ("<NEW_VALUE>5</NEW_VALUE>", 5.0, OWN),
    ("Between <new_value> tags: <new_value>5</new_value>", 5.0, OWN),
    ('{"n": 5}', 5.0, "zou-group/textgrad/pull/89"),
    ('```json\n{"suggestion": {"n": 5}}\n```', 5.0, "zou-group/textgrad/pull/89"),
    ('{"n": 1}\nCorrected: {"n": 5}', 5.0, "mangiucugna/json_repair/issues/103"),
    ("It should be 5.", REFUSED, "zou-group/textgrad/issues/15"),
    ("<new_value>5 or 6</new_value>", REFUSED, OWN),
    ("<new_value></new_value>", REFUSED, OWN),
)
VALUE += of(
    "value p",
    ("<new_value>\nGive $\\frac{1}{2}$.\n</new_value>", "Give $\\frac{1}{2}$.", "HKUDS/LightRAG/pull/3238"),
    ("<new_value>Use <think>a</think> tags.</new_value>", "Use <think>a</think> tags.", "QwenLM/qwen-code/pull/8818"),
    ('{"p": "say "hi", then stop"}', 'say "hi", then stop', "mangiucugna/json_repair/issues/49"),
    ("<new_value>\r\nTwo\r\nlines\r\n</new_value>", "Two\r\nlines", OWN),
)
VALUE += of(
    "value f",
    (f"<new_value>\n```python\n{CODE}```\n</new_value>", CODE, "traceroot-ai/traceroot-py/pull/40"),
    (f"<new_value>\r\n```python\r\n{CODE.replace(chr(10), chr(13) + chr(10))}```\r\n</new_value>", CODE,
     "simonw/llm/pull/1644"),
    (f"<new_value>Here it is:\n```python\n{CODE}```\nShorter.</new_value>", CODE, "run-llama/llama_index/pull/22395"),
    (f"```python\n{CODE}```", CODE, "stanfordnlp/dspy/pull/9309"),
    (f"Before:\n```python\ndef f(x):\n    return x\n```\nAfter:\n```python\n{CODE}```", CODE, OWN),
)  # fmt: skip
VALUE += of(
    "value n, cut",
    ("<new_value>5</new_value>", 5.0, OWN),
    ("<new_value>12", REFUSED, "browser-use/browser-use/pull/5148"),
    ("<new_value>1</new_value> Better: <new_value>5", REFUSED, OWN),
    ("I think the new <new_val", REFUSED, OWN),
)
WB = {"w": 5.0, "b": 2}
SOLUTION = of(
    "solution",
    ("<w>5</w>\n<b>2</b>", WB, "AgentOpt/OpenTrace/pull/28"),
    ("<w>5 <b>2", WB, "web-infra-dev/midscene/pull/1981"),
    ("<w>1</w> <b>1</b>\nBetter:\n<w>5</w> <b>2</b>", WB, OWN),
    ("<w>5</w> <b>1.7</b>", WB, OWN),
    ("```\n<w>5</w>\n<b>2</b>\n```", WB, "lmnr-ai/index/pull/23"),
    ("<w>5</w>\r\n<b>2</b>\r\n", WB, "simonw/llm/pull/1644"),
    ("I raised <w> since the last one. <w>5</w> <b>2</b>", WB, OWN),
    ("<w>5</w> <b>2</b>. I raised <w> since then.", WB, OWN),
    ("[w=5, b=2]", WB, OWN),
    ("The pair [1, 1] was bad [3].\n[5, 2]", WB, "langgenius/dify/issues/42451"),
    ('```json\n{"w": 5, "b": 2}\n```', WB, "mem0ai/mem0/pull/4662"),
    ('{"w": 1, "b": 1}\nCorrected: {"w": 5, "b": 2}', WB, "mangiucugna/json_repair/issues/103"),
    ("<w>5000</w> <b>2</b>", REFUSED, OWN),
    ("<w>five</w> <b>2</b>", REFUSED, OWN),
    ("Try a larger slope.", REFUSED, OWN),
    ('{"w": 1, "b": 1} is too low.\n[w=5, b=2]', WB, OWN),
    ('<w>1</w> <b>1</b> is too low.\n{"w": 5, "b": 2}', WB, OWN),
    ("[1, 1] is too low.\n<w>5</w> <b>2</b>", WB, OWN),
    ("<p>Solve it <b>2</b> times.</p>", {"p": "Solve it <b>2</b> times."}, OWN),
)
SOLUTION += of(
    "solution, cut",
    ("<w>5</w> <b>12", REFUSED, "browser-use/browser-use/pull/5148"),
    ("<w>5</w>", REFUSED, OWN),
    ("[w=5, b=1", REFUSED, OWN),
    ("[w=5, b=2]", WB, OWN),
    ('{"w": 5, "b": 1', REFUSED, "mastra-ai/mastra/issues/24442"),
    ('{"w": 5, "b": 2}', WB, OWN),
)
OFFER = {"action": "offer", "give": "wood", "get": "gold", "quantity": 2}
ACTION = of(
    "action",
    (json.dumps(OFFER), OFFER, OWN),
    (f"```json\n{json.dumps(OFFER, indent=1)}\n```", OFFER, "open-jarvis/OpenJarvis/pull/950"),
    (f"Thought: gold is rare.\nAction: {json.dumps(OFFER)}", OFFER, "dynamiq-ai/dynamiq/pull/506"),
    ('{"action": "end"} would be lazy. {"action": "accept"}', {"action": "accept"},
     "mangiucugna/json_repair/issues/103"),
    ('{"tool_call": {"action": "reject"}}', {"action": "reject"}, "langgenius/dify-official-plugins/pull/3703"),
    ('{"thought": "a {plan}", "action": "reject"}', {"action": "reject"}, "open-jarvis/OpenJarvis/issues/947"),
    ('{"action": "offer", "offer": {"give": "wood", "get": "gold", "quantity": 2}}', OFFER,
     "langgenius/dify-official-plugins/pull/3703"),
    ("{'action': 'accept'}", {"action": "accept"}, "mangiucugna/json_repair/issues/10"),
    ('{"action": "accept",}', {"action": "accept"}, "ducroo/SICTIC-AI/pull/37"),
    ("{action: 'accept'}", {"action": "accept"}, "hherb/bmlibrarian/pull/151"),
    ('{"action": "accept"}\n</action_output>', {"action": "accept"}, "web-infra-dev/midscene/pull/1576"),
    ('{"action": "accept"}\n{"note": {"x": 1}}', {"action": "accept"}, OWN),
    ('{"action": accept}', {}, OWN),
    ("I accept.", {}, "run-llama/llama_index/issues/19187"),
    ('{"action": 5}', {}, OWN),
    ('{"action": "end"}\n{"action": "offer", "give": }', {}, "open-jarvis/OpenJarvis/pull/950"),
)  # fmt: skip
ACTION += of(
    "action, cut",
    ('{"action": "accept"}', {"action": "accept"}, OWN),
    ('{"action": "offer", "give": "wood", "get": "gold", "quantity": 1', {}, "browser-use/browser-use/pull/5148"),
    ('{"action": "end"} or {"action": "acc', {}, OWN),
    ('{"action": "end', {}, "open-jarvis/OpenJarvis/pull/950"),
)
OTHER = "def f(x):\n    return x\n"
CODES = of(
    "code",
    (CODE, CODE, OWN),
    (f"```python\n{CODE}```", CODE, "langchain-ai/langchain/pull/2151"),
    (f"```\n{CODE}```", CODE, "traceroot-ai/traceroot-py/pull/38"),
    (f"```py\n{CODE}```", CODE, "marimo-team/marimo/pull/4418"),
    (f"```python3\n{CODE}```", CODE, "marimo-team/marimo/pull/4418"),
    (f"```PYTHON\n{CODE}```", CODE, "run-llama/llama_index/pull/22395"),
    (f"``` python\n{CODE}```", CODE, OWN),
    (f'```python title="f.py"\n{CODE}```', CODE, OWN),
    (f"~~~python\n{CODE}~~~", CODE, "ndy2/mkdocs-obsidian-support-plugin/issues/27"),
    (f"````python\n{CODE}````", CODE, "guardrails-ai/guardrails/pull/1549"),
    (f"```python\r\n{CODE.replace(chr(10), chr(13) + chr(10))}```", CODE, "simonw/llm/pull/1644"),
    (CODE.replace("\n", "\r\n"), CODE, "simonw/llm/pull/1644"),
    (CODE.replace("\n", "\r"), CODE, OWN),
    (f"Here is the code:\n```python\n{CODE}```", CODE, "run-llama/llama_index/pull/22395"),
    (f"```python\n{CODE}```\nIt adds one.", CODE, "stanfordnlp/dspy/pull/9309"),
    (f"Was:\n```python\n{OTHER}```\nIs:\n```python\n{CODE}```", CODE, "stanfordnlp/dspy/pull/9309"),
    (f"```python\n{CODE}```\nUse:\n```python\nprint(f(1))\n```", CODE, OWN),
    (f"```python\n{CODE}", CODE, OWN),
    (f"Here is the code:\n{CODE}", CODE, OWN),
    (f"{CODE}\nThis adds one to x.", CODE, OWN),
    ("".join(f"    {line}\n" for line in BODY.split("\n")), CODE, OWN),
    (CODE.replace("\n", "\\n"), CODE, OWN),
    ("```def f(x): return x```", "def f(x): return x\n", OWN),
    ("`def f(x): return x`", "`def f(x): return x`", "Pythagora-io/gpt-pilot/pull/974"),
    (f"import math\n\n{CODE}", f"import math\n\n{CODE}", OWN),
    (f"# adds one\n{CODE}", f"# adds one\n{CODE}", OWN),
    ('def f(x):\n    """Like:\n    ```\n    f(1)\n    ```\n    """\n    return x\n',
     'def f(x):\n    """Like:\n    ```\n    f(1)\n    ```\n    """\n    return x\n',
     "Lyellr88/marm-memory/pull/216"),
    ("def f(x:\n    broken", "def f(x:\n    broken", OWN),
    ("```python\ndef f(x:\n    broken\n```", "def f(x:\n    broken\n", OWN),
    ('def f(x):\n    return "a\\nb"\n', 'def f(x):\n    return "a\\nb"\n', OWN),
    (f"1. Code:\n   ```python\n   {BODY.replace(chr(10), chr(10) + '   ')}\n   ```", CODE, OWN),
)  # fmt: skip
ESCAPED = BODY.replace("x + 1", "x &lt; 1")
FORMS = [  # tool calls as text, signs and spaces of typography, attributes, entities, and byte order marks
    Row("suggestion", '<tool_call>\n{"name": "suggestion", "arguments": {"n": 5}}\n</tool_call>', {"n": 5.0}, OWN),
    Row("suggestion", '[{"name": "suggestion", "arguments": {"n": 5}}]', {"n": 5.0}, OWN),
    Row("suggestion", '[TOOL_CALLS][{"name": "suggestion", "arguments": {"n": 5}}]', {"n": 5.0}, OWN),
    Row("suggestion", '<|python_tag|>{"name": "suggestion", "parameters": {"n": 5}}', {"n": 5.0}, OWN),
    Row("suggestion", '{"suggestion": {"n": \u22125}}', {"n": -5.0}, OWN),
    Row("suggestion", '{"suggestion": {"n": "\u22125"}}', {"n": -5.0}, OWN),
    Row("suggestion", '{"suggestion": {"n": "1\u202f234"}}', {"n": 1234.0}, OWN),
    Row("suggestion", '{"suggestion": {"n": "1,234"}}', REFUSED, OWN),  # 1.234 in half of Europe
    Row("suggestion", '\ufeff{\r\n"suggestion": {\r\n"n": 5,\r\n}\r\n}\r\n', {"n": 5.0}, OWN),
    Row("suggestion", "{\u201csuggestion\u201d: {\u201cn\u201d: 5}}", {"n": 5.0}, OWN),
    Row("tags", '<variable id="1"><name>n</name><value type="number">5</value></variable>', {"n": 5.0}, OWN),
    Row("tags", "<Variable><Name>n</Name><Value>5</Value></Variable>", {"n": 5.0}, OWN),
    Row("tags", "<variable><name>`n`</name><value>5</value></variable>", {"n": 5.0}, OWN),
    Row("value n", "<new_value>\u22125</new_value>", -5.0, OWN),
    Row("solution", '<w type="float">18</w><b>15</b>', {"w": 18.0, "b": 15}, OWN),
    Row("solution", '<w value="18"/><b>15</b>', REFUSED, OWN),
    Row("solution", "[w=18, b=\u221215]", {"w": 18.0, "b": -15}, OWN),
    Row("solution", "</w>", REFUSED, OWN),
    Row("code", ESCAPED, BODY.replace("x + 1", "x < 1"), OWN),
    Row("code", f"```python\n{ESCAPED}\n```", CODE.replace("x + 1", "x < 1"), OWN),
    Row("code", 'def f(x):\n    return "&lt;" + x\n', 'def f(x):\n    return "&lt;" + x\n', OWN),
    Row("code", f"\ufeff{CODE}", CODE, OWN),
]
ROWS = [*FORMS, *reasoning_rows(), *SUGGESTION, *TAGS, *VALUE, *SOLUTION, *ACTION, *CODES]
