"""Answers as small and large VLMs write them, all ours, for `judge_parity.py`: clean, sloppy and wrong."""

import math
from collections.abc import Sequence


def json_pairs(high: int) -> list[str]:
    """Answers with two numbers from 0 to `high` in JSON."""
    a, b, c = high * 4 // 5, high * 3 // 5, high // 5
    good = f'"reasoning": "The hat is red now.", "score": [{a}, {b}]'
    return [
        f'{{"reasoning": "The hat is red now.", "score": [{a}, {b}]}}',
        f'{{"score": [{a}, {b}], "reasoning": "The hat is red now."}}',
        f'{{\n"reasoning" : "Background kept.",\n"score" : [{a}, {b}]\n}}',
        f'{{\n"reasoning" : "Background kept.",\n"score" : [{a}, {b}],\n}}',
        f"```json\n{{{good}}}\n```",
        f"```\n{{{good}}}\n```",
        f"Here is my evaluation:\n{{{good}}}",
        f"{{{good}}}\nI hope this helps.",
        f'{{"reasoning": "", "score": [{a}, {b}]}}',
        f'{{"score": [{a}, {b}]}}',
        '{"reasoning": "x", "score": [0, 0]}',
        f'{{"reasoning": "x", "score": [{high}, {high}]}}',
        f'{{"reasoning": "x", "score": [{high}, 0]}}',
        f'{{"reasoning": "x", "score": [0, {high}]}}',
        f'{{"reasoning": "x", "score": [{a}.5, {b}.25]}}',
        f'{{"reasoning": "x", "score": [{a}.0, {b}.0]}}',
        f'{{"reasoning": "the sign says \\"OPEN\\" now", "score": [{a}, {b}]}}',
        f'{{"reasoning": "the sign says "OPEN" now", "score": [{a}, {b}]}}',
        f"{{'reasoning': 'fine', 'score': [{a}, {b}]}}",
        f"{{'reasoning': 'the dog's tail', 'score': [{a}, {b}]}}",
        f'{{reasoning: "fine", score: [{a}, {b}]}}',
        f"{{“reasoning”: “fine”, “score”: [{a}, {b}]}}",
        f'{{"reasoning": "two\nlines", "score": [{a}, {b}]}}',
        f'{{"reasoning": "帽子变红了", "score": [{a}, {b}]}}',
        f'{{"reasoning": "moved from [0.1, 0.2] to [0.3, 0.4]", "score": [{a}, {b}]}}',
        f'{{"reasoning": "3 of 4 hats {{red}}", "score": [{a}, {b}]}}',
        f'{{"reasoning": "x", "score": ["{a}", "{b}"]}}',
        f'{{"reasoning": "x", "score": ["{a}/{high}", "{b}/{high}"]}}',
        f'{{"Reasoning": "x", "Score": [{a}, {b}]}}',
        f'{{"reasoning": "x", "score": [{a}, {b}]}}\n{{"reasoning": "x", "score": [{a}, {b}]}}',
        f'{{"reasoning": "x", "score": [{a}, {b}]}}\nNo:\n{{"reasoning": "y", "score": [{c}, {c}]}}',
        f'{{"reasoning": "x", "score": [{a}, {b}]',
        f'{{"reasoning": "x", "score": [{a}, {b}',
        f"[{a}, {b}]",
        f"[{a},{b}]",
        f"score = [{a}, {b}]",
        f'{{"reasoning": "x", "score": {a}}}',
        f'{{"reasoning": "x", "score": [{a}]}}',
        f'{{"reasoning": "x", "score": [{a}, {b}, {c}]}}',
        '{"reasoning": "x", "score": []}',
        '{"reasoning": "x", "score": null}',
        f'{{"reasoning": "x", "score": [null, {b}]}}',
        f'{{"reasoning": "x", "score": [{high + 5}, {b}]}}',
        f'{{"reasoning": "x", "score": [-1, {b}]}}',
        f'{{"reasoning": "x", "scores": [{a}, {b}]}}',
        f'{{"reasoning": "x", "score1": {a}, "score2": {b}}}',
        '{"reasoning": "x", "score": [success, overediting]}',
        '{"reasoning": "The hat of 3 people is red and 2 are not, so it stops he',
        '{"reasoning": "no number at all"}',
        "The edit is good: I would give it 8 for success and 7 for the rest.",
        f"Editing success: {a}\nOverediting: {b}",
        "I'm sorry, but I can't assist with that request.",
        "",
    ]


def json_singles() -> list[str]:
    """Answers with one number from 1 to 5 in a JSON list."""
    return [
        *(f'{{"reasoning": "x", "score": [{number}]}}' for number in range(1, 6)),
        *(f'{{\n"reasoning" : "kept all",\n"score" : [{number}]\n}}' for number in range(1, 6)),
        '{"reasoning": "x", "score": 4}',
        '{"score": [4], "reasoning": "x"}',
        '{"score": [4]}',
        '{"reasoning": "x", "score": "4"}',
        '{"reasoning": "x", "score": ["4"]}',
        '{"reasoning": "x", "score": [4.0]}',
        '{"reasoning": "x", "score": 3.0}',
        '{"reasoning": "x", "score": [4.5]}',
        '{"reasoning": "x", "score": 2.9}',
        '{"reasoning": "x", "score": "4/5"}',
        '{"reasoning": "x", "score": [4],}',
        "{'reasoning': 'x', 'score': [4]}",
        '{reasoning: "x", score: [4]}',
        '```json\n{"reasoning": "x", "score": [4]}\n```',
        'Sure.\n{"reasoning": "x", "score": [2]}\nDone.',
        '{"reasoning": "the sign says "OPEN"", "score": [4]}',
        '{"reasoning": "it\'s {red} now", "score": [4]}',
        '{"reasoning": "帽子", "score": [3]}',
        '{"reasoning": "boxes [1, 2]", "score": [3]}',
        '{"reasoning": "x", "score": [4',
        '{"reasoning": "x", "score": [4]',
        '{"reasoning": "x", "score": [4, 2]}',
        '{"reasoning": "x", "score": [1/2/3/4/5]}',
        '{"reasoning": "x", "score": []}',
        '{"reasoning": "x", "score": null}',
        '{"reasoning": "x", "score": [0]}',
        '{"reasoning": "x", "score": [6]}',
        '{"reasoning": "x", "score": [12]}',
        '{"reasoning": "x", "score": ["four"]}',
        '{"reasoning": "x", "scores": [4]}',
        '{"reasoning": "a \\"score\\": 5 for the hat", "score": [2]}',
        '{"reasoning": "x", "score": [5]} or {"reasoning": "y", "score": [1]}',
        '{"reasoning": "x", "score": [5]} and {"reasoning": "x", "score": [5]}',
        "Score: 4",
        "4",
        "[4]",
        "",
        "I cannot see the second image.",
    ]


def _sections(*scores: str, between: str = "", after: str = "", numbered: bool = True) -> str:
    titles = ("Text Faithfulness", "Image Faithfulness", "Physical and Visual Quality", "Text Rendering")
    body = "\n".join(
        f"{f'{number}. ' if numbered else ''}{title}:\n## Justification: It looks as asked.\n{score}{between}"
        for number, (title, score) in enumerate(zip(titles, scores, strict=False), start=1)
    )
    return f"# User Request Analysis\nA red hat.\n# Detailed Judgement\n{body}{after}"


def sections() -> list[str]:
    """Answers with four sections and a score from 1 to 4 in each."""
    s = "## Score: "
    summary = "\n# Summary: Good.\n\n# User Request Refinement:\n## Refined Request: Make the hat dark red."
    grid = [
        ("4.0", "3.5", "3.0", "N/A"),
        ("1.0", "1.0", "1.0", "1.0"),
        ("4", "4", "4", "4"),
        ("2.5", "4.0", "1.5", "3.2"),
    ]
    plain = [_sections(*(s + number for number in row), after=summary) for row in grid]
    return [
        *plain,
        *(_sections(*(s + number for number in row)) for row in grid),
        *(_sections(*(s + number for number in row), numbered=False) for row in grid),
        _sections(f"{s}3.25", f"{s}3.75", f"{s}3.9", f"{s}n/a"),
        _sections(f"{s}3.5/4", f"{s}3/4", f"{s}4/4", f"{s}N/A"),
        _sections(f"{s}3.5 out of 4", f"{s}3", f"{s}4", f"{s}N/A"),
        _sections(f"{s}3.5 (minor mismatch)", f"{s}3", f"{s}4", f"{s}N/A (none asked for)"),
        _sections(f"{s}3.5 - minor", f"{s}3", f"{s}4", f"{s}N/A"),
        _sections(f"{s}3.5.", f"{s}3.", f"{s}4.", f"{s}N/A."),
        _sections(f"{s}**3.5**", f"{s}**3.0**", f"{s}**4.0**", f"{s}**N/A**"),
        _sections("**## Score:** 3.5", "**## Score:** 3.0", "**## Score:** 4.0", "**## Score:** N/A"),
        _sections(f"{s}[3.5]", f"{s}[3.0]", f"{s}[4.0]", f"{s}[N/A]"),
        _sections("### Score: 3.5", "### Score: 3.0", "### Score: 4.0", "### Score: N/A"),
        _sections("Score: 3.5", "Score: 3.0", "Score: 4.0", "Score: N/A"),
        _sections(f"{s}3.5", f"{s}3.0", f"{s}4.0", f"{s}N/A", between="\n"),
        _sections(f"{s}3.5", f"{s}3.0", f"{s}4.0", f"{s}N/A", after="\n# Summary: fine\n## Score: 2.0"),
        _sections(
            f"{s}3.5", f"{s}3.0", f"{s}4.0", f"{s}N/A", after="\n# Summary:\n1. Text Faithfulness: good"
        ),
        _sections(f"{s}3.5\n{s}3.5", f"{s}3.0", f"{s}4.0", f"{s}N/A"),
        _sections(f"{s}3.5\n{s}2.5", f"{s}3.0", f"{s}4.0", f"{s}N/A"),
        _sections(f"{s}3.5", f"{s}3.0", f"{s}4.0"),
        _sections(f"{s}3.5", f"{s}3.0"),
        _sections(f"{s}3.5", f"{s}3.0", f"{s}high", f"{s}N/A"),
        _sections(f"{s}N/A", f"{s}3.0", f"{s}4.0", f"{s}N/A"),
        _sections(f"{s}N/A", f"{s}N/A", f"{s}N/A", f"{s}N/A"),
        _sections(f"{s}4.5", f"{s}3.0", f"{s}4.0", f"{s}N/A"),
        _sections(f"{s}0.5", f"{s}3.0", f"{s}4.0", f"{s}N/A"),
        _sections(f"{s}8/10", f"{s}3.0", f"{s}4.0", f"{s}N/A"),
        _sections(f"{s}3-4", f"{s}3.0", f"{s}4.0", f"{s}N/A"),
        _sections(f"{s}3.5", f"{s}3.0", f"{s}4.0", "N/A: no lettering was asked for."),
        _sections(f"{s}[ float score ]", f"{s}[ float score ]", f"{s}[ float score ]", f"{s}N/A"),
        "Text Faithfulness: 3.5\nImage Faithfulness: 3.0\n"
        "Physical and Visual Quality: 4.0\nText Rendering: N/A",
        plain[0].replace("A red hat.", "Text Faithfulness: is the hat red? Text Rendering: none."),
        plain[0].replace("1. Text Faithfulness:", "**1. Text Faithfulness:**"),
        plain[0].replace("It looks as asked.", "3 of 4 hats are red, 2.5 at most."),
        "# Detailed Judgement\nAll four aspects are fine, 3.5 each.",
        "I'm sorry, but I can't assist with that request.",
        "",
    ]


def lines(labels: Sequence[str]) -> list[str]:
    """Answers with a number from 1 to 5 on the line of each of three labels."""

    def answer(
        *values: str, template: str = "{label}: {value}", before: str = "Brief reasoning: fine.\n"
    ) -> str:
        return before + "\n".join(
            template.format(label=label, value=value) for label, value in zip(labels, values, strict=False)
        )

    return [
        *(answer(str(a), str(b), str(c)) for a in (5, 3, 1) for b in (4, 2) for c in (5, 3, 1)),
        answer("4", "3", "3", before=""),
        answer("4", "3", "3") + "\n",
        answer("4", "3", "3").upper(),
        answer("4", "3", "3").lower(),
        answer("4.", "3.", "3."),
        answer("4.5", "3", "3"),
        answer("4/5", "3/5", "3/5"),
        answer("4 (good)", "3", "3"),
        answer("**4**", "**3**", "**3**"),
        answer("4", "3", "3", template="**{label}**: {value}"),
        answer("4", "3", "3", template="**{label}:** {value}"),
        answer("4", "3", "3", template="- {label}: {value}"),
        answer("4", "3", "3", template="{label}:{value}"),
        answer("4", "3", "3", template="{label} - {value}"),
        answer("4", "3", "3", template="## {label}\n{value}"),
        answer("4", "3", "3", before="Brief reasoning: 3 hats: red.\n"),
        answer("4", "3", "3", before="Brief reasoning: 5\n"),
        answer("4", "3", "3", before="Number of hats: 5\n"),
        answer("4", "3"),
        answer("4"),
        answer("4", "3", "N/A"),
        answer("6", "3", "3"),
        answer("0", "3", "3"),
        answer("10", "10", "10"),
        answer("four", "three", "three"),
        answer("4", "3", "3") + "\n" + answer("4", "3", "3", before=""),
        answer("4", "3", "3") + "\n" + answer("2", "2", "2", before=""),
        answer("4", "3", "3") + "\nOverall: 5",
        answer("3-4", "3", "3"),
        "A good edit. I would say 4, 3 and 3.",
        "",
    ]


def digit_probabilities() -> list[dict[str, float]]:
    """Probabilities of the first token: the digits 0 to 5 and, where they are not all, of other words."""
    found = [{str(digit): 1.0} for digit in range(6)]
    found += [{str(digit): 0.7, str((digit + 1) % 6): 0.3} for digit in range(6)]
    found += [{str(digit): 1 / 6 for digit in range(6)}]
    for sharpness in (0.2, 0.5, 1.0, 2.0, 4.0):
        for centre in (0.0, 1.7, 3.3, 5.0):
            weights = {str(digit): math.exp(-sharpness * (digit - centre) ** 2) for digit in range(6)}
            found.append({digit: weight / sum(weights.values()) for digit, weight in weights.items()})
    for share in (0.9, 0.6, 0.51, 0.49, 0.2, 0.01):
        found.append({"4": share * 0.75, "5": share * 0.25, "The": 1 - share})
    found += [{"5": 0.05, "6": 0.95}, {"0": 0.4, "1": 0.2, "10": 0.4}, {"3": 0.5000001, "**": 0.4999999}]
    return found
