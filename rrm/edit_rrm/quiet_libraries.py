"""Libraries that say on import or while loading what nobody who runs a command can act on.

To be called before they are imported. What an operator has set himself is left as it is.
"""

import logging
import os
import warnings

_TALKATIVE = ("vllm", "torch.utils.cpp_extension", "torch.utils.flop_counter", "transformers")
_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # transformers' bars over weights follow it
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}


def quieten() -> None:
    """Lets only errors of those libraries through; what they warn of is as intended here."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"vllm\.")


def quieten_loading() -> None:
    """`quieten`, and no bars over the weights of a model or the rows of a table."""
    quieten()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def bars_are_hidden() -> bool:
    """Whether bars over weights were switched off: for diffusers, whose bars follow no variable."""
    return os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS", "").lower() in ("1", "true", "yes", "on")
