"""What can be asked: the application, /v1, the stream, probes, administration, the page, dialects.

A route reads, asks admission for room, and hands on. It must know no rule of scoring and no engine.
"""
