"""Rewards over HTTP: groups scored beside the training, answers made scalars, the check before a run.

It must know no policy; a failure is None here, never a number.
"""
