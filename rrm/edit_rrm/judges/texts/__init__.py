"""Φ for what foreign models write: where an answer begins, its JSON, its verdicts, its score, its principles.

Tolerant about form, never about substance. It knows no judge, no prompt and no token.
"""
