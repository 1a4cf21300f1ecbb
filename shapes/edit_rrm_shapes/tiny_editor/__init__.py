"""Pre-training of the shapes editor by flow matching, so that GRPO has an editor to improve."""
