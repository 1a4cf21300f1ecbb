"""The reward model's language: principles, prompts, traces, verdicts, guards and rewards. No torch, no HTTP."""
