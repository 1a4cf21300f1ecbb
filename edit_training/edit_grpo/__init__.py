"""Trains an editor with GRPO against a running edit-rrm service, over HTTP only."""
