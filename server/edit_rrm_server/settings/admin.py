"""The settings of `edit-rrm-server` that open its administration: who may replace the weights, with which."""

from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import DirectoryPath, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from edit_rrm_server.settings.api_keys import Keys, read_keys_file


class AdminSettings(BaseSettings):
    """Part of `ServerSettings`."""

    admin_api_keys: Keys = Field(
        default=(), description="keys that may administer (/v1/admin) and nothing else, separated by commas"
    )
    admin_api_keys_file: Path | None = Field(
        default=None, description="file of further such keys, one a line"
    )
    reload_root: DirectoryPath | None = Field(
        default=None, description="directory below which checkpoints may be loaded by POST /v1/admin/reload"
    )

    @model_validator(mode="after")
    def _check_admin(self) -> Self:
        """Reads the file of admin keys. Both halves of the administration or none of it."""
        if self.reload_root is not None and not self.all_admin_keys:
            raise ValueError("reload_root needs admin_api_keys or admin_api_keys_file")
        if self.reload_root is None and self.all_admin_keys:
            raise ValueError("admin keys have no effect without reload_root")
        return self

    @cached_property
    def all_admin_keys(self) -> tuple[SecretStr, ...]:
        """The keys that may administer, from the setting and from the file, which is read once."""
        file = self.admin_api_keys_file
        from_file = () if file is None else read_keys_file(file)
        return self.admin_api_keys + tuple(owner.key for owner in from_file)
