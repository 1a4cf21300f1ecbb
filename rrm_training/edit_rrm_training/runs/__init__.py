"""What every training run has: settings, the run directory, resuming, a servable checkpoint at its end.

It must know nothing of what is trained.
"""
