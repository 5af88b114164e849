"""`tidegate model`: the network of a model folder for an inference server, and such a server on this machine."""

import json
import os
from pathlib import Path

import click

from deploy.local.ports import free_ports
from deploy.local.triton import TritonError, TritonPorts, command_of
from models.model_files import ModelError
from models.serving.interface import ServingError
from models.serving.network import read_network
from models.serving.triton import BACK_ENDS, KINDS, TritonOptions, write_repository

FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.group()
def command() -> None:
    """Export a model's network for Triton, and serve it here."""


@command.command()
@click.argument("model_folder", type=FOLDER)
@click.option("--triton", "repository", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR")
@click.option("--back-end", type=click.Choice(BACK_ENDS), default="onnxruntime", show_default=True)
@click.option("--kind", type=click.Choice(KINDS), default="gpu", show_default=True, help="Device of the instances.")
@click.option("--version", type=click.IntRange(min=1), default=1, show_default=True, help="Number of the folder.")
@click.option("--rows-max", type=click.IntRange(min=1), default=8_192, show_default=True, help="Windows of a batch.")
@click.option("--queue-delay-us", type=click.IntRange(min=0), default=200, show_default=True)
def export(
    model_folder: Path, repository: Path, *, back_end: str, kind: str, version: int, rows_max: int, queue_delay_us: int
) -> None:
    """Write the network of MODEL_FOLDER into the Triton model repository DIR; JSON last.

    The back end `onnxruntime` is the one of NVIDIA's container; `python` is the one of the nvidia-pytriton wheel.
    """
    try:
        network = read_network(model_folder)
        if network is None:
            raise click.ClickException(f"{model_folder}: the model has no window network, there is nothing to serve")
        options = TritonOptions(back_end, kind, version, rows_max, queue_delay_us)
        written = write_repository(repository, network, options)
    except (ModelError, ServingError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps({"folder": str(written), "served_name": network.served_name, "version": version}))


@command.command()
@click.argument("repository", type=FOLDER)
@click.option("--http-port", type=click.IntRange(0, 65_535), default=0, help="0: any free one.")
def serve(repository: Path, http_port: int) -> None:
    """Serve the Triton model repository REPOSITORY on this machine until interrupted (after `make serving-env`)."""
    http, grpc, metrics = free_ports(3)
    ports = TritonPorts(http_port or http, grpc, metrics)
    try:
        found = command_of(repository.absolute(), ports)
    except TritonError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"[tidegate] http://127.0.0.1:{ports.http}, gRPC {ports.grpc}, metrics {ports.metrics}", err=True)
    os.execve(found.argv[0], found.argv, found.env)  # noqa: S606 - the server takes this process, so Ctrl-C reaches it
