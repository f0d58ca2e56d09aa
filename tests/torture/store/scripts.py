"""Which requests to a store meet which faults: rules, made anew for each run as some of them count."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.torture.store.proxy import Fault
    from tests.torture.store.requests import StoreRequest

Rule: TypeAlias = "Callable[[StoreRequest], Fault | None]"
Where: TypeAlias = "Callable[[StoreRequest], bool]"


def at(operation: str, ending: str = "", within: str = "", part: int | None = None) -> Where:
    """Tell requests of an operation, to keys that end so and hold that, maybe of one part."""
    return lambda its: (
        its.operation == operation
        and its.key.endswith(ending)
        and within in its.key
        and (part is None or its.query.get("partNumber") == str(part))
    )


def everything(_: StoreRequest) -> bool:
    """Tell of any request that it is meant."""
    return True


def headed(name: str) -> Where:
    """Tell requests that have a header."""
    return lambda its: name in its.headers


def in_turn(where: Where, *faults: Fault | None) -> Callable[[], Rule]:
    """Let the first such requests meet these faults."""

    def script() -> Rule:
        left = list(faults)
        return lambda request: left.pop(0) if left and where(request) else None

    return script


def once(where: Where, fault: Fault, times: int = 1) -> Callable[[], Rule]:
    """Let the first such requests meet a fault."""
    return in_turn(where, *[fault] * times)


def always(where: Where, fault: Fault) -> Callable[[], Rule]:
    """Let all such requests meet a fault."""
    return lambda: lambda request: fault if where(request) else None


def from_then_on(where: Where, fault: Fault) -> Callable[[], Rule]:
    """Let all requests meet a fault, from the first such one on."""

    def script() -> Rule:
        begun: list[bool] = []

        def rule(request: StoreRequest) -> Fault | None:
            if where(request):
                begun.append(True)
            return fault if begun else None

        return rule

    return script
