"""Models elsewhere, asked over HTTP (or brought by a package): calls, retries, what they cost.

It must know no step of the pipeline.
"""
