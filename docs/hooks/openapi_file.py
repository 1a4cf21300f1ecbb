"""Puts the service's OpenAPI description into the site, made from the application itself."""

import json
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from edit_rrm_server.api.app import create_app
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.life.service import Service
from edit_rrm_server.settings.server import ServerSettings


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds `openapi.json`; no model is loaded for it."""

    async def never(checkpoint: Path) -> LoadedModel:
        raise RuntimeError("the documentation loads no model")

    description = create_app(Service(ServerSettings(), never)).openapi()
    files.append(File.generated(config, "openapi.json", content=json.dumps(description)))
    return files
