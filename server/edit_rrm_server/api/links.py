"""Which answer feeds which request: a model by its id, the principles of an edit."""

from edit_rrm_server.http.openapi import Link

_MODEL = {"model": "$response.body#/models/0/id"}
OF_MODELS = (
    Link("scoreWithModel", "/v1/score", "a model by its id", _MODEL),
    Link("streamWithModel", "/v1/score/stream", "a model by its id", _MODEL),
    Link("decomposeWithModel", "/v1/decompose", "a model by its id", _MODEL),
)
_EDIT = {
    "model": "$response.body#/model",
    "principles": "$response.body#/principles",
    "instruction": "$request.body#/instruction",
    "source": "$request.body#/source",
}
OF_DECOMPOSITION = (
    Link("scoreByPrinciples", "/v1/score", "the same edit by these principles", _EDIT),
    Link("streamByPrinciples", "/v1/score/stream", "the same edit by these principles", _EDIT),
)
