"""`python -m flows.deploy` without a Prefect server; test_on_duty_composed.py tries it with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows import deploy

if TYPE_CHECKING:
    import pytest

    from tests.flows.world import World


def test_without_a_server_it_starts_none_and_says_what_is_missing(
    plain_here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plain_here
    assert deploy.main([]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert "PREFECT_API_URL: is missing" in stderr
