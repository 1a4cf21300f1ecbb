"""Protocols of other trainers' remote rewards, served beside /v1 where the setting `dialects` names them.

Each module is one protocol: its JSON, and what its client makes of an answer. None of them scores: that is
`Holding`'s business, by way of the same rooms as /v1.
"""

from collections.abc import Iterator

from fastapi import APIRouter

from edit_rrm_server.api.dialects import flow_factory, unirl
from edit_rrm_server.api.dialects.holding import Holding
from edit_rrm_server.life.service import Service

_PROTOCOLS = {"flow_factory": flow_factory, "unirl": unirl}
ACCEPTED = flow_factory.ACCEPTED + unirl.ACCEPTED
ANSWERED = flow_factory.ANSWERED + unirl.ANSWERED


def routers(service: Service) -> Iterator[APIRouter]:
    """The routes of the dialects that the settings switch on."""
    holding = Holding(service)
    for name in service.settings.dialects:
        yield _PROTOCOLS[name].router(holding)
