"""Checkouts as other projects lay them out, with texts of ours in them: what an importer finds, in small."""

import json
from pathlib import Path

VIE_PROMPTS = '''"""Generated."""
{context} = """Look at the pictures. Answer in this way:
{{
"score" : [...],
}}
"""

_prompts_0shot_two_image_edit_rule = """Two pictures: before and after.
"""

_prompts_0shot_tie_rule_SC = """From 0 to 10, how well, {{braces}} and all? 10 is best.
Asked for: <instruction>
"""

_prompts_0shot_rule_PQ = """From 0 to 10, how clean? 10 is best.
"""

unrelated = open("/never/read").read()
'''

PROBLEM_WITH_INSTRUCTION = """from somewhere import evaluate_batch
instruction = ""
problem = "Two pictures, 0 to 25:\\n{\\n\\"score\\" : [...],\\n}\\nAsked for:"+ f"{instruction}\\n"
raise SystemExit("nobody runs this")
"""

PROBLEM_ALONE = """problem = "One picture, 0 to 25.\\n"
"""

RATIONAL = '''import torch
SYSTEM_PROMPT = (
    "You judge edits. "
    "Then refine {nothing}."
)
TASK_RELATED_TEMPLATE = """Asked for: {request}
1. Before <image>
2. After <image>
Judge. """
COMMON_TASK_GUIDELINE = """Answer so:
1. Text Faithfulness:
## Score: [ {number} ]"""
'''

FIRM = '''SCORE_CONSISTENCY = """
Asked for: {prompt}
What else changed? {{
"score" : [1/2/3/4/5]
}}
"""
SCORE_EXECUTION = """
Asked for: {prompt}
Is it done? {{
"score" : [1/2/3/4/5]
}}
"""
'''

DIGIT = '''SCORE_LOGIT = """Asked for: {prompt}
Needed: {requirement}
0-5"""
'''

IMGEDIT = {
    "style": (
        "Rate the style.\nLooks Right\n1 no\n5 yes\nBrief reasoning: 20 words.\n"
        "Style Kept: A number from 1 to 5.\n"
        "Content & Layout: A number from 1 to 5.\nLooks Right: A number from 1 to 5.\n"
        "asked for: <edit_prompt>.\n"
    ),
    "add": "Rate it.\nOnly One: A number from 1 to 5.\nasked for: <edit_prompt>.\n",
    "remove": 7,
}


def write_checkouts(root: Path) -> None:
    """One folder a project, named as its repository."""
    files = {
        "EditScore/editscore/vie_prompts.py": VIE_PROMPTS.format(
            context="_context_no_delimit_reasoning_first"
        ),
        "VIEScore/viescore/vie_prompts.py": VIE_PROMPTS.format(context="_context_no_delimit"),
        "Step1X-Edit/GEdit-Bench/viescore/vie_prompts.py": VIE_PROMPTS.format(context="_context_no_delimit"),
        "UnifiedReward/UnifiedReward-Edit/edit_pointwise_instruction_following.py": PROBLEM_WITH_INSTRUCTION,
        "UnifiedReward/UnifiedReward-Edit/edit_pointwise_quality.py": PROBLEM_ALONE,
        "RationalRewards/diffusion_rl_training/train_qwen_edit_rationalrewards.py": RATIONAL,
        "FIRM-Reward/editing/reward_server/prompt_template.py": FIRM,
        "Edit-R1/reward_server/prompt_template.py": DIGIT,
        "ImgEdit/Benchmark/Basic/prompts.json": json.dumps(IMGEDIT),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
