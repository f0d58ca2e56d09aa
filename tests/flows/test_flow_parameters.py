"""Parameters of a flow become JSON as Prefect makes it, without what Prefect imports for that."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from prefect import Flow

from tasks.orchestration.flow import flow


def function(**parameters: Any) -> None:
    pass


PLAIN = {"recording_id": "é", "wait_timeout": 5, "share": 0.5, "overwrite": True, "app_ids": ("a", "*"), "none": None}


@pytest.mark.parametrize("parameters", [PLAIN, PLAIN | {"other": object()}, PLAIN | {"call": len}])
def test_parameters_are_what_prefect_makes_of_them(parameters: dict[str, Any]) -> None:
    theirs: Flow[..., None] = Flow(function)
    assert flow()(function).serialize_parameters(parameters) == theirs.serialize_parameters(parameters)


def test_plain_parameters_need_no_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi.encoders", None)
    assert flow()(function).serialize_parameters(PLAIN) == PLAIN | {"app_ids": ["a", "*"]}
