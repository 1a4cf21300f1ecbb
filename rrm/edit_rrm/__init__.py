"""The reward model's language: principles, prompts, traces, verdicts, guards, rewards. No torch, no HTTP."""
