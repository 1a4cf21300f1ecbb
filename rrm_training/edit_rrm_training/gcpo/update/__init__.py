"""An update that reads less and has the same gradient: shared prompts, no traces without advantage."""
