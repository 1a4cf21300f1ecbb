"""Runs another project's code on answers: what it would send, which number it reads. A process for itself.

    python judge_parity_theirs.py NAME ROOT EDITSCORE_ROOT < texts.json > results.json

Called by `judge_parity.py`. The code is the checkout's, taken at run time: imported where it imports nothing
heavy, else single functions by their names. Models, HTTP and GPUs are stand-ins. A result is
{"value": number or null, "invented": why or null}; the prompt is a list of messages' texts.
"""

import ast
import contextlib
import io
import json
import math
import os
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

INSTRUCTION = "make the hat {red} & keep <b>all</b> else"
IMAGE = "\N{FRAME WITH PICTURE}"
Result = dict[str, Any]
Theirs = tuple[list[str], Callable[[Any], Result]]
"""The texts they would send, and how they read an answer."""


def taken(file: Path, *names: str, **known: Any) -> types.SimpleNamespace:
    """Functions, constants and methods (`Class.method`) of a file; `known` is what they call."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    space: dict[str, Any] = {"re": re, "json": json, "math": math, "os": os, **known}
    found = types.SimpleNamespace()
    for name in names:
        body: list[ast.stmt] = tree.body
        for step in name.split("."):
            (node,) = (n for n in body if step in _defined(n))
            body = getattr(node, "body", [])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = []
        exec(compile(ast.Module([node], []), str(file), "exec"), space)
        setattr(found, step, space[step])
    return found


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [getattr(node, "name", "")]


def value(number: float | None, invented: str | None = None) -> Result:
    """A result."""
    return {"value": number, "invented": invented}


class Echo:
    """A model that answers every question with the same text and keeps what it was asked.

    It gives up on who asks for ever: VIEScore does where JSON is there and cannot be read.
    """

    answer = ""
    patience = 20
    asked: list[str]

    def __init__(self, *_: Any, **__: Any) -> None:
        self.asked = []

    def prepare_input(self, images: Any, text: str = "") -> str:
        count = len(images) if isinstance(images, list) else 1
        return IMAGE * count + text

    prepare_prompt = prepare_input

    def inference(self, prompt: str, seed: int = 0) -> str:
        self.asked.append(prompt)
        self.patience -= 1
        if not self.patience:
            raise TimeoutError("asked for ever")
        return self.answer

    get_parsed_output = inference

    def batch_inference(self, prompts: list[str], seed: int = 0) -> list[str]:
        return [self.answer for _ in prompts]


def editscore(root: Path, batch: bool, tagged: bool = False) -> Theirs:
    """`EditScore.evaluate` or `.batch_evaluate`, with their parsers and their arithmetic."""
    sys.path.insert(0, str(root))
    import editscore as package

    scorer = package.EditScore(backbone="none")
    scorer.model = Echo()
    scorer.evaluate([None, None], INSTRUCTION)
    prompts = [text.replace(IMAGE, "") for text in scorer.model.asked[-2:]]
    if tagged:
        wrapper = taken(root / "editscore/mllm_tools/qwen25vl_vllm.py", "apply_chat_template")
        prompts = [wrapper.apply_chat_template(text, n) for text, n in zip(prompts, (2, 1), strict=True)]
        prompts = [re.sub(r".*user\n|<\|im_end\|>.*", "", text, flags=re.S) for text in prompts]
        prompts = [text.replace("<|vision_start|><|image_pad|><|vision_end|>", IMAGE) for text in prompts]
    else:
        prompts = [IMAGE * n + text for text, n in zip(prompts, (2, 1), strict=True)]

    def read(text: str) -> Result:
        scorer.model.answer, scorer.model.patience = text, 20
        if batch:
            (found,) = scorer.batch_evaluate([[None, None]], [INSTRUCTION])
            middle = package.parse_vlm_output_to_dict(text)["score"] == [] or found["O_score"] == 12.5
            return value(float(found["O_score"]), "the middle of the range" if middle else None)
        found = scorer.evaluate([None, None], INSTRUCTION)
        guessed = "guess_if_cannot_parse" in str(found["SC_reasoning"])
        return value(float(found["overall"]), "a random number" if guessed else None)

    return prompts, read


def viescore(root: Path, folder: str) -> Theirs:
    """`VIEScore.evaluate`; of both, text first in VIEScore and images first in GEdit-Bench."""
    os.chdir(root / folder)
    tools = types.ModuleType("mllm_tools.openai")
    tools.GPT4o = Echo  # type: ignore[attr-defined]
    sys.modules["mllm_tools"], sys.modules["mllm_tools.openai"] = types.ModuleType("mllm_tools"), tools
    sys.path.insert(0, str(root / folder))
    import viescore as package

    scorer = package.VIEScore(backbone="gpt4o", task="tie")
    scorer.evaluate([None, None], INSTRUCTION)
    prompts = scorer.model.asked[-2:]
    if not folder:
        prompts = [text.lstrip(IMAGE) + IMAGE * text.count(IMAGE) for text in prompts]

    def read(text: str) -> Result:
        scorer.model.answer, scorer.model.patience = text, 20
        found = scorer.evaluate([None, None], INSTRUCTION, extract_all_score=False)
        guessed = "guess_if_cannot_parse" in str(found["SC"].get("reasoning"))
        overall = scorer.evaluate([None, None], INSTRUCTION)[2]
        return value(float(overall), "a random number" if guessed else None)

    return prompts, read


def unified_reward(root: Path, editscore_root: Path) -> Theirs:
    """Their two scripts, run with a stand-in for the request; reading is EditScore's, as they have none."""
    from PIL import Image

    sent: list[Any] = []
    request = types.ModuleType("vllm_qwen.vllm_request")
    request.evaluate_batch = lambda rows, url: sent.append(rows[0]) or [{"model_output": ""}]  # type: ignore[attr-defined, func-returns-value]
    sys.modules["vllm_qwen"], sys.modules["vllm_qwen.vllm_request"] = types.ModuleType("vllm_qwen"), request
    Image.open = lambda *_: Image.new("RGB", (8, 8))  # type: ignore[assignment]
    for name in ("edit_pointwise_instruction_following.py", "edit_pointwise_quality.py"):
        source = (root / "UnifiedReward-Edit" / name).read_text(encoding="utf-8")
        source = re.sub(r"^instruction = ''$", f"instruction = {INSTRUCTION!r}", source, flags=re.M)
        exec(compile(source, name, "exec"), {})
    prompts = [IMAGE * len(row["images"]) + row["problem"] for row in sent]
    return prompts, editscore(editscore_root, batch=False)[1]


def firm(root: Path) -> Theirs:
    """`_extract_score_and_reasoning` of its server, then `multi_score` as its SFT config sets it."""
    server = root / "editing/reward_server/reward_server_qwen3_vl_8b_sft.py"
    template = taken(
        root / "editing/reward_server/prompt_template.py", "SCORE_EXECUTION", "SCORE_CONSISTENCY"
    )
    known = {
        "prompt_template": template,
        "Image": types.SimpleNamespace(open=lambda *_, **__: None),
        "BytesIO": io.BytesIO,
        "List": list,
        "Optional": Any,
    }
    worker = taken(
        server,
        "PROMPT_TEMPLATES",
        "ModelWorker._extract_score_and_reasoning",
        "ModelWorker.evaluate_image",
        **known,
    )
    prompts = []
    for mode in ("score_execution", "score_consistency"):
        myself = types.SimpleNamespace(_vllm_evaluate=lambda conversation: conversation)
        prompts.append(_joined(worker.evaluate_image(myself, b"", INSTRUCTION, b"", "", mode)[0]["content"]))
    unused = dict.fromkeys(_names(root / "editing/flow_grpo/rewards.py", "multi_score"))
    raw: list[float] = []
    rewards = root / "editing/flow_grpo/rewards.py"
    normalised = taken(rewards, "_normalize_mllm_scores")._normalize_mllm_scores

    def scorer(device: Any, **settings: Any) -> Callable[..., Any]:
        return lambda *_: (
            normalised(raw, True, settings["normalize_mllm_score_mode"], (0.0, 1.0)),
            {"raw_scores": raw},
        )

    known = {**unused, "mllm_score_execution": scorer, "mllm_score_consistency": scorer}
    total = taken(rewards, "multi_score", **known).multi_score(
        None,
        {"mllm_score_execution": 0.6, "mllm_score_consistency": 0.4},
        exec_consistency_guard=True,
        exec_consistency_exec_lt=2.0,
        exec_consistency_cons_ge=4.0,
        use_total_score=True,
        total_score_w1=0.6,
        total_score_w2=0.4,
    )

    def read(text: str) -> Result:
        number, _ = worker._extract_score_and_reasoning(None, text)
        raw[:] = [0 if number is None else number]
        return value(total([None], [""], [{}], [None])[0]["avg"][0], "0" if number is None else None)

    return prompts, read


def rational_rewards(root: Path) -> Theirs:
    """Message, parser and mean of their training script."""
    names = ("qwen_edit", "flux_kontext")
    files = [root / f"diffusion_rl_training/train_{name}_rationalrewards.py" for name in names]
    file = next(file for file in files if file.is_file())
    own = "QwenVLInferenceHTTP"
    theirs = taken(
        file,
        *("SYSTEM_PROMPT", "TASK_RELATED_TEMPLATE", "COMMON_TASK_GUIDELINE"),
        *("extract_numeric_score", "parse_scores_from_detailed_judgement"),
        *(f"{own}._create_scoring_message", f"{own}._parse_scoring_response"),
    )
    system, user = theirs._create_scoring_message(None, INSTRUCTION, "", "", "")

    def read(text: str) -> Result:
        number = theirs._parse_scoring_response(None, text)
        parsed = theirs.parse_scores_from_detailed_judgement(text)
        counted = [
            parsed[name]["score"] for name in ("text_faithfulness", "physical_quality", "text_rendering")
        ]
        if all(score in (None, "N/A") for score in counted):
            return value(number, "0")
        missing = None in counted[:2] or "N/A" in counted[:2]
        return value(number, "the mean of what is left" if missing else None)

    return [system["content"], _joined(user["content"])], read


def edit_r1(root: Path) -> Theirs:
    """`_vllm_evaluate` of its server over logits of ours; token ids as its own `score_idx`."""
    import torch

    server = root / "reward_server/reward_server.py"
    template = taken(root / "reward_server/prompt_template.py", "SCORE_LOGIT")
    known = {
        "prompt_template": template,
        "torch": torch,
        "SamplingParams": lambda max_tokens, logits_processors: logits_processors,
        "Image": types.SimpleNamespace(open=lambda *_, **__: None),
        "BytesIO": io.BytesIO,
    }
    theirs = taken(
        server, "score_idx", "LogitsSpy", "ModelWorker.evaluate_image", "ModelWorker._vllm_evaluate", **known
    )
    keeping = types.SimpleNamespace(_vllm_evaluate=lambda conversation: conversation)
    prompt = _joined(theirs.evaluate_image(keeping, b"", INSTRUCTION, b"", "")[0]["content"])

    def read(probabilities: dict[str, float]) -> Result:
        logits = torch.full((64,), -60.0, dtype=torch.float64)
        for place, (spelled, share) in enumerate(probabilities.items()):
            digit = len(spelled) == 1 and spelled in "012345"
            logits[theirs.score_idx[int(spelled)] if digit else 40 + place] = math.log(max(share, 1e-26))
        llm = types.SimpleNamespace(chat=lambda _, sampling_params: sampling_params[0]([], logits))
        return value(theirs._vllm_evaluate(types.SimpleNamespace(llm=llm), None))

    return [prompt], read


def imgedit(root: Path, kind: str) -> Theirs:
    """`call_gpt` with a stand-in for the API, and `extract_scores_and_average`."""
    folder = root / "Benchmark/Basic"
    sent: list[Any] = []

    def create(**call: Any) -> None:
        sent.append(call["messages"][0]["content"])

    api = types.SimpleNamespace(chat=types.SimpleNamespace(completions=types.SimpleNamespace(create=create)))
    known = {"OpenAI": lambda **_: api, "image_to_base64": lambda _: "x"}
    bench = taken(folder / "basic_bench.py", "load_prompts", "call_gpt", **known)
    bench.call_gpt("", "", INSTRUCTION, kind, bench.load_prompts(folder / "prompts.json"))
    theirs = taken(folder / "step1_get_avgscore.py", "extract_scores_and_average")

    def read(text: str) -> Result:
        split = [line.strip().split(": ") for line in text.splitlines()]
        counted = sum(len(parts) == 2 and parts[1].isdigit() for parts in split)
        number = theirs.extract_scores_and_average(text)
        return value(number, f"the mean of {counted} lines" if number and counted % 3 else None)

    return [_joined(sent[0])], read


def _names(file: Path, function: str) -> list[str]:
    """What a function reads and neither it nor Python defines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (node,) = (n for n in tree.body if getattr(n, "name", "") == function)
    read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return sorted(name for name in read if name not in dir(__builtins__) and not hasattr(__builtins__, name))


def _joined(content: list[dict[str, Any]]) -> str:
    return "".join(part.get("text", IMAGE) for part in content)


def main() -> None:
    """Reads texts from standard input, writes prompts and results."""
    name, root, editscore_root = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    texts = json.load(sys.stdin)
    make: dict[str, Callable[[], Theirs]] = {
        "editscore": lambda: editscore(root, batch=False),
        "editscore (batch)": lambda: editscore(root, batch=True),
        "editscore-qwen2.5-vl": lambda: editscore(root, batch=False, tagged=True),
        "unifiedreward-edit": lambda: unified_reward(root, editscore_root),
        "rationalrewards-edit": lambda: rational_rewards(root),
        "firm-edit": lambda: firm(root),
        "viescore": lambda: viescore(root, ""),
        "gedit": lambda: viescore(root, "GEdit-Bench"),
        "edit-r1": lambda: edit_r1(root),
    }
    results: list[Result] = []
    with contextlib.redirect_stdout(io.StringIO()):
        kind = name.removeprefix("imgedit-")
        prompts, read = make[name]() if name in make else imgedit(root, kind)
        for text in texts:
            try:
                results.append(read(text))
            except Exception as error:  # whatever their code does with a text is a result here
                results.append(
                    {"value": None, "invented": None, "error": f"{type(error).__name__}: {error}"[:120]}
                )
    json.dump({"prompts": prompts, "results": results}, sys.stdout)


if __name__ == "__main__":
    main()
