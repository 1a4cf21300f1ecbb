"""Trains an editor against a running edit-rrm service, over HTTP only.

Rooms, each importing only those below it: cli, trained, run, algorithms, rollout, reward, policies, data,
errors.
"""
