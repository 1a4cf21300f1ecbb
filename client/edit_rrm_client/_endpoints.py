"""Where a service listens and what every request to it carries."""

from dataclasses import dataclass

import httpx

from edit_rrm_client.errors import InvalidRequestError


@dataclass(frozen=True)
class Endpoint:
    """The address of one service, without a slash at its end, and the headers of its requests."""

    base_url: str
    headers: dict[str, str]

    @classmethod
    def at(cls, base_url: str, *, api_key: str | None, user_agent: str) -> "Endpoint":
        """Raises InvalidRequestError for what is no http(s) URL, or a key that no header can hold."""
        try:
            url = httpx.URL(base_url)
        except (httpx.InvalidURL, TypeError) as error:
            raise InvalidRequestError(
                f"not a usable address: {base_url!r}: {error}", code="bad_url"
            ) from error
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidRequestError(
                f"expected an address such as http://127.0.0.1:8000, got {base_url!r}", code="bad_url"
            )
        headers = {"User-Agent": user_agent, "Accept": "application/json, application/problem+json"}
        if api_key:
            if not (api_key.isascii() and api_key.isprintable()) or api_key != api_key.strip():
                raise InvalidRequestError(
                    "the API key holds characters that no header can carry (a line break?)", code="bad_key"
                )
            headers["Authorization"] = f"Bearer {api_key}"
        return cls(base_url.rstrip("/"), headers)
