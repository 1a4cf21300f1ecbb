"""The ways to learn from a scored group, GRPO and DiffusionNFT: pure arithmetic and one small class each.

It must know no editor by name and nothing of HTTP.
"""
