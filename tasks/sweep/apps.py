"""The apps of a sweep: those that are named, or all of the account; one that cannot be looked at stops no other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.app_ids import ALL_APPS, APP_ID, same_app
from tasks.errors import ArchiverError, TransferStopped
from tasks.sweep.plan import merge_plans
from tasks.sweep.report import SweptApp
from tasks.sweep.stages import find_unarchived

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.engine import Engine
    from tasks.session import Session
    from tasks.sweep.plan import Plan
    from tasks.sweep.scope import Scope

REASON = 500
"""Characters of a reason that are kept."""


@dataclass(frozen=True)
class AppPlans:
    """What a sweep found in its apps."""

    plan: Plan
    app_ids: tuple[str, ...]  # of the apps that could be looked at
    failed: tuple[SweptApp, ...]


def plan_apps(engine: Engine, session: Session, named: Sequence[str], scope: Scope) -> AppPlans:
    """Find what is not archived of some apps; those that cannot be looked at are named in the result.

    Args:
        engine: runs the stages.
        session: the clients.
        named: ids of apps, and `ALL_APPS` for all that the account lists; none for the app of the settings.
        scope: of the sweep.

    Raises:
        ArchiverError: no app could be looked at.
    """
    app_ids, failed = _choose_apps(engine, session, named)
    plans: dict[str, Plan] = {}
    run, first = engine.with_retries(session.settings), None
    for app_id in app_ids:
        try:
            plans[app_id] = run(find_unarchived, session, (app_id,), scope)
        except TransferStopped:
            raise
        except engine.own_errors as error:
            if isinstance(error, ArchiverError) and error.retryable:
                run = engine.run_once  # it has been waited for: what is away for one app is away for the next
            first = first or error
            failed.append(_failed(session, app_id, error))
    if first is not None and not plans:
        raise first
    return AppPlans(merge_plans(list(plans.values())), tuple(plans), tuple(failed))


def _choose_apps(engine: Engine, session: Session, named: Sequence[str]) -> tuple[list[str], list[SweptApp]]:
    """Return the ids of the apps, each once, and what could not be chosen; the app of the settings is always in all."""
    own = session.settings.realtimekit_app_id
    if ALL_APPS not in named:
        return _each_once([own], named or (own,)), []
    chosen, failed = [own, *(app_id for app_id in named if app_id != ALL_APPS)], []
    try:
        listed = engine.with_retries(session.settings)(list_apps, session)
    except TransferStopped:
        raise
    except engine.own_errors as error:
        return _each_once([], chosen), [_failed(session, ALL_APPS, error)]
    for app_id in listed:
        if re.fullmatch(APP_ID, app_id):
            chosen.append(app_id)
        else:
            failed.append(
                SweptApp(app_id=app_id[:80], reason="The account lists an app with an id that none can have.")
            )
    return _each_once([], chosen), failed


def list_apps(session: Session) -> list[str]:
    """Return the ids of all apps of the account."""
    with session.attempt() as attempt:
        return [app.id for app in attempt.account_apps.all()]


def _each_once(spellings: Iterable[str], app_ids: Iterable[str]) -> list[str]:
    """Return apps each once, by the first spelling of an id that is known: the archive's folders have it."""
    known, chosen = list(spellings), list[str]()
    for app_id in app_ids:
        spelt = next((other for other in (*known, *chosen) if same_app(other, app_id)), app_id)
        if spelt not in chosen:
            chosen.append(spelt)
    return chosen


def _failed(session: Session, app_id: str, error: Exception) -> SweptApp:
    reason = str(error) if isinstance(error, ArchiverError) else type(error).__name__
    what = "The apps of the account could not be listed" if app_id == ALL_APPS else f"App {app_id} could not be swept"
    session.log.error("%s. %s", what, reason)
    return SweptApp(app_id=app_id, reason=reason[:REASON])
