"""Editors that can be trained, a module a family, on diffusers' own parts.

They must know no algorithm and no reward.
"""
