"""How a command runs: as a flow where a Prefect server is configured, else plainly in this process, without Prefect."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from tasks import cli, prefect_settings
from tasks.arguments import parse
from tasks.engine import Engine, logging_on_stderr
from tasks.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel
    from pydantic_settings import BaseSettings

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="BaseSettings")


def parameters_of(body: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a command: all of its body's but the first, the engine."""
    return list(inspect.signature(body, eval_str=True).parameters.values())[1:]


def with_signature_of(body: Callable[Concatenate[Engine, P], Any]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Return a decorator that gives a flow's function the parameters and the docstring of its body.

    Args:
        body: what the command does, given an engine and parameters.
    """

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        function.__signature__ = inspect.Signature(parameters_of(body))  # type: ignore[attr-defined]
        function.__doc__ = body.__doc__
        return function

    return decorate


def main(
    body: Callable[Concatenate[Engine, P], BaseModel],
    flow: str,
    settings: type[BaseSettings],
    arguments: list[str] | None = None,
) -> int:
    """Run a command to its end, and return the process's exit code.

    Args:
        body: what the command does, given an engine and parameters.
        flow: the place of the flow with the same parameters, as `module:name`.
        settings: what the command needs; checked before Prefect begins a run.
        arguments: the command line without the program's name; None for this process's.
    """
    prog = f"python -m {flow.partition(':')[0]}"
    return run(body, flow, settings, parse(parameters_of(body), body.__doc__ or "", prog, arguments))


def run(body: Callable[..., BaseModel], flow: str, settings: type[BaseSettings], parameters: dict[str, Any]) -> int:
    """Run a command whose parameters are known; see `main`."""

    def call() -> BaseModel:
        prefect_settings.choose_client_retries()
        if is_server_configured():
            return _run_flow(flow, settings, parameters)
        with logging_on_stderr():
            return body(Engine(), **parameters)

    return cli.run(call)


def is_server_configured() -> bool:
    """Return whether Prefect knows a server; it is imported only if one of its settings' sources may name one."""
    return prefect_settings.may_name_a_server() and import_module("tasks.orchestration.server").is_configured()


def load_settings_and_prefects(kind: type[S]) -> S:
    """Return settings as `load_settings` does; where a server is configured, Prefect's own are checked with them.

    Raises:
        SettingsInvalid: names every problem of both.
    """
    if not is_server_configured():
        return load_settings(kind)
    settings: S = import_module("tasks.orchestration.server").settings_of(kind)
    return settings


def _run_flow(flow: str, settings: type[BaseSettings], parameters: dict[str, Any]) -> BaseModel:
    server: Any = import_module("tasks.orchestration.server")
    server.settings_of(settings)  # what is wrong is reported before Prefect begins a run
    module, _, name = flow.partition(":")
    with server.prefect_at_hand():
        result: BaseModel = getattr(import_module(module), name)(**parameters)
        return result
