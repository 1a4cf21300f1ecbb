"""What runs a prompt: the `Engine` protocol, what all engines share, and one room an engine.

An engine knows token ids. It must know no principles, verdicts and rewards.
"""
