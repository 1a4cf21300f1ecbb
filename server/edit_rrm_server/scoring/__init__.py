"""The order of a score: images, guards, principles, verification, judgement, what is kept.

It must know no HTTP and no engine but by `engines.engine.Engine`.
"""
