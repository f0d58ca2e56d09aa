"""The decorator that makes a flow of a door: Prefect's own, but for how its parameters are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prefect import Flow
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

PLAIN = (str, int, float, tuple, type(None))


class PlainFlow(Flow[P, R]):
    """A flow whose parameters are plain values, as those of all our flows are."""

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters as JSON can hold them; Prefect imports FastAPI for that, whatever they are.

        That is 6 % of the processor time until a command's first request, and 20 MiB.
        """
        if all(isinstance(value, PLAIN) for value in parameters.values()):
            plain: dict[str, Any] = to_jsonable_python(parameters)
            return plain
        return super().serialize_parameters(parameters)


def flow(**options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Return a decorator that makes a flow of a function.

    Args:
        options: as Prefect's decorator of the same name takes them; Prefect reads them from the source as well.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        return PlainFlow(function, **options)

    return decorate
