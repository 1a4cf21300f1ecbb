"""The service's life: its state, the engine kept up, weights replaced.

It must know nothing of HTTP and of what a model says.
"""
