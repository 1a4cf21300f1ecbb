"""The command line of the service: `edit-rrm-server serve`, `settings` to see what can be set, `openapi`."""

import json
import time

STARTED_AT = time.monotonic()

from pathlib import Path  # noqa: E402
from typing import Annotated, Any  # noqa: E402

import typer  # noqa: E402
from pydantic import ValidationError  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.padding import Padding  # noqa: E402
from rich.text import Text  # noqa: E402

from edit_rrm.errors import CheckpointError, SettingsFileError  # noqa: E402
from edit_rrm.program import program  # noqa: E402
from edit_rrm.setting_problems import problems  # noqa: E402
from edit_rrm.settings_files import settings_rows  # noqa: E402
from edit_rrm_server.engines.ending_with_service import end_with_service  # noqa: E402
from edit_rrm_server.errors import EngineStartError  # noqa: E402
from edit_rrm_server.settings.server import (  # noqa: E402
    ServerSettings,
    load_settings,
    variable_of,
)

end_with_service()  # Python imports this module in each process that it starts for the service, vLLM's too

app = program("edit-rrm-server", "Serves a reasoning reward model for image editing over HTTP.")


@app.command()
def serve(
    model: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint or LoRA adapter: a directory, a name, or a hub id such as org/name@revision. "
            "Default: the bundled edit-rrm-tiny."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Checkpoint an adapter belongs to. Default: what its configuration names."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Who judges: a name (edit-rrm judges list) or a judge file. Default: the checkpoint's own."
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one. Default: 8000.")] = None,
    allow_open: Annotated[
        bool | None,
        typer.Option("--allow-open", help="Without keys, listen where other machines reach it all the same."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML, TOML or JSON file of settings, below environment and options.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, float32, float16 or bfloat16.")] = None,
    max_model_len: Annotated[int | None, typer.Option(help="Longest prompt plus trace, in tokens.")] = None,
    tensor_parallel_size: Annotated[int | None, typer.Option(help="Devices that share each layer.")] = None,
    pipeline_parallel_size: Annotated[
        int | None, typer.Option(help="Devices that share the stack of layers.")
    ] = None,
    data_parallel_size: Annotated[int | None, typer.Option(help="Whole copies of the model.")] = None,
    gpu_memory_utilization: Annotated[
        float | None, typer.Option(help="Share of a GPU's memory to use.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any other setting; see `edit-rrm-server settings`."
        ),
    ] = None,
) -> None:
    """Serves a checkpoint. Probes answer at once, scores as soon as the model is loaded.

    The bundled edit-rrm-tiny needs nothing but this command:

        edit-rrm-server serve

    A checkpoint trained by edit-rrm-train, on all addresses and with a key:

        EDIT_RRM_API_KEYS=secret edit-rrm-server serve --model runs/gcpo --host 0.0.0.0

    Any vision-language model of the hub, or an adapter, downloaded once; vLLM's own arguments where needed:

        edit-rrm-server serve --model Qwen/Qwen3-VL-8B-Instruct --set engine_args.quantization=fp8

    Ask it whether it is ready, and what it serves:

        curl http://127.0.0.1:8000/ready
        curl http://127.0.0.1:8000/v1/models

    End it with SIGTERM or Ctrl-C: running calls finish first.
    """
    given = {
        "model": model,
        "base": base,
        "judge": judge,
        "host": host,
        "port": port,
        "allow_open": allow_open,
        "dtype": dtype,
        "max_model_len": max_model_len,
        "tensor_parallel_size": tensor_parallel_size,
        "pipeline_parallel_size": pipeline_parallel_size,
        "data_parallel_size": data_parallel_size,
        "gpu_memory_utilization": gpu_memory_utilization,
        "log_level": log_level,
    }
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        settings = load_settings({**overrides, **_pairs(set_ or [])}, config)
    except (ValidationError, SettingsFileError) as error:
        raise typer.BadParameter(_explained(error)) from None

    if settings.engine == "vllm":
        _check_checkpoints(settings)
        from edit_rrm_server.engines.vllm.start import prepare_environment

        try:
            prepare_environment(settings)  # first: what it starts works while this process goes on importing
        except EngineStartError as error:
            raise typer.BadParameter(str(error)) from None

    from edit_rrm_server.process import serving

    raise typer.Exit(serving.serve(settings, STARTED_AT))


@app.command("settings")
def show_settings(
    as_json: Annotated[
        bool, typer.Option("--json", help="As a JSON list: name, variable, default, description.")
    ] = False,
) -> None:
    """Shows every setting: its name, its variable, its default, and what it is.

    The name is what a file and `--set` take; the same list is docs/reference/server-settings.md.

        edit-rrm-server settings --json | jq -r '.[].variable'
    """
    listed = [
        {"name": name, "variable": variable_of(name), "default": default, "description": text}
        for name, default, text in settings_rows(ServerSettings)
    ]
    if as_json:
        typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for one in listed:
        default = f" = {one['default']}" if one["default"] else ""
        heading = Text.assemble((one["name"], "bold"), default, "  ", (one["variable"], "dim"))
        console.print(heading, soft_wrap=True)
        console.print(Padding(Text(one["description"]), (0, 0, 0, 4)))


def _check_checkpoints(settings: ServerSettings) -> None:
    """What is nowhere is said before seconds of imports; whether the hub has it shows when it is asked."""
    from edit_rrm_server.engines.checkpoints.locating import check_named

    named = {"--model": str(settings.model), "--base": settings.base}
    named |= {f"adapters.{name}": adapter for name, adapter in settings.adapters.items()}
    for option, checkpoint in named.items():
        try:
            if checkpoint is not None:
                check_named(checkpoint)
        except CheckpointError as error:
            raise typer.BadParameter(str(error), param_hint=option) from None


@app.command()
def openapi(
    out: Annotated[
        Path | None, typer.Option(help="File to write. Default: standard output.", dir_okay=False)
    ] = None,
) -> None:
    """Writes the OpenAPI document of the whole API: dialects and administration too.

    For a generator of clients, or a proxy that checks requests:

        edit-rrm-server openapi --out openapi.json

    A running service describes what it serves itself at /openapi.json.
    """
    from edit_rrm_server.api.description import whole_api, written

    text = written(whole_api())
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set takes NAME=VALUE, got {text!r}")
        pairs[name.strip()] = value
    return pairs


def _explained(error: Exception) -> str:
    return "; ".join(problems(error, ServerSettings)) if isinstance(error, ValidationError) else str(error)
