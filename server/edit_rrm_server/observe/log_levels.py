"""Loggers that speak while vLLM is imported, before it has configured its own logging."""

import logging

_TALKATIVE = ("vllm", "torch.utils.cpp_extension", "transformers")


def quieten() -> None:
    """Lets only errors of those libraries through; what they warn of on import is as intended here."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
