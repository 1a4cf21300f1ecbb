"""Property tests here are bounded by examples, not by the clock: the machine may be busy."""

from hypothesis import settings

settings.register_profile("rrm", deadline=None, max_examples=80)
settings.load_profile("rrm")
