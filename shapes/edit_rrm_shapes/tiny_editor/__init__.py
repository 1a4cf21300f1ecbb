"""The tiny editor: a FluxKontextPipeline of small parts, and its pre-training by flow matching."""
