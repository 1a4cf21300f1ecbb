"""The whole API as one OpenAPI document: every route that settings may switch on.

The committed copy is docs/reference/openapi.json; a running service describes what it serves itself.
"""

import json
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr

from edit_rrm_server.api.app import create_app
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.life.service import Service
from edit_rrm_server.settings.server import Dialect, ServerSettings


def whole_api() -> dict[str, Any]:
    """The document; no model is loaded for it."""

    async def never(checkpoint: Path) -> LoadedModel:
        raise RuntimeError(f"nothing is served here: {checkpoint}")

    settings = ServerSettings(
        dialects=get_args(Dialect), reload_root=Path("/"), admin_api_keys=(SecretStr("nobody's"),)
    )
    return create_app(Service(settings, never)).openapi()


def written(document: dict[str, Any]) -> str:
    """As it is committed."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
