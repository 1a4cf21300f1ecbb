"""The tiny editor: a FluxKontextPipeline of small parts, and its pre-training by flow matching.

It must not know any reward: it learns from drawn edits alone.
"""
