"""What people, deployments and other flows rely on, collected from the code, to be compared with what is recorded.

    uv run python -m tests.flows.surface.surface

records it anew, in `surface.json`. That is a decision: whatever changes there changes for everybody who uses the
project, and belongs into the changelog.

All is reached through the modules of `flows/`, whatever lies behind them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import prefect.artifacts
import prefect.events.utilities
import pytest
import yaml
from prefect import Flow
from prefect.events.clients import AssertingEventsClient
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.orchestration import webhook_receiver
from tasks.orchestration.engine import PrefectEngine
from tasks.settings import WebhookSettings
from tests.flows.surface.examples import example, plain, plain_schema, result_of
from tests.flows.surface.usage import ID, USAGES, set_up, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_settings import BaseSettings

PROJECT = Path(__file__).parents[3]
RECORDED = Path(__file__).with_suffix(".json")
FLOWS = (
    "archive_recording",
    "sweep_recordings",
    "audit_archive",
    "describe_recording",
    "doctor",
    "update_catalog",
    "archive_session",
    "restore_recording",
    "expire_archive",
    "copy_archive",
)
SETTINGS = {
    "archive_recording": "Settings",
    "archive_session": "Settings",
    "sweep_recordings": "Settings",
    "audit_archive": "AuditSettings",
    "describe_recording": "ArchiveSettings",
    "doctor": "Settings",
    "webhook": "WebhookSettings",
    "update_catalog": "ArchiveSettings",
    "find_recordings": "ArchiveSettings",
    "restore_recording": "RestoreSettings",
    "expire_archive": "ArchiveSettings",
    "copy_archive": "CopySettings",
    "library": "LibrarySettings",
}
"""Which settings each command reads, by what its module calls them."""
VALUES = {
    "ARCHIVE_URL": (
        "s3://bucket", "s3://bucket/", "s3://bucket/a/b/", "s3://bucket/a b!_.*'()-", " s3://bucket/a ", "", "bucket/a",
        "s3://b", "s3://bucket/a//b", "s3://bucket/../a", "s3://bucket/a?b", "https://bucket/a",
    ),
    "CLOUDFLARE_API_TOKEN": ("token", " token ", "", "Bearer token"),
    "CLOUDFLARE_ACCOUNT_ID": ("a", "a" * 32, "a" * 33, "a/b"),
    "REALTIMEKIT_APP_ID": ("a", "a" * 64, "a" * 65, "a/b"),
    "CLOUDFLARE_BASE_URL": ("http://127.0.0.1:9/v4/", "", "api.cloudflare.com", "https://a:b@c", "https://a?b"),
    "TRANSFER_PART_SIZE": ("8MiB", "5 MiB", "10MB", "8388608", "5GiB", "", "4MiB", "6GiB", "large"),
    "TRANSFER_CONCURRENCY": ("1", "64", "", "0", "65", "1.5"),
    "TRANSFER_PATIENCE": ("0.1", "86400", "", "0", "86401", "long"),
    "STALL_TIMEOUT": ("0.1", "86400", "", "0", "86401", "long"),
    "POLL_INTERVAL": ("0.1", "86400", "", "0", "86401", "long"),
    "TASK_RETRIES": ("0", "20", "", "-1", "21"),
}  # fmt: skip
NOWHERE = "http://127.0.0.1:9/api"
LOG = logging.getLogger(__name__)


def flow_of(name: str) -> Flow[..., Any]:
    """Return the flow of one of the modules."""
    flow = getattr(_module(name), name)
    assert isinstance(flow, Flow)
    return flow


def _module(name: str) -> Any:
    return import_module(f"flows.{name}")


def parameters_of(name: str) -> dict[str, Any]:
    """Return what is known of a flow by its name: the name, and the form of its parameters."""
    flow = flow_of(name)
    schema = flow.parameters.model_dump()
    undescribed = [name for name, its in schema["properties"].items() if not its.get("description")]
    return {"name": flow.name, "parameters": plain(schema), "undescribed": undescribed}


def printed_by(name: str) -> dict[str, Any]:
    """Return the schema of what a flow returns, which its command prints."""
    return plain_schema(result_of(flow_of(name)))


def deployments() -> dict[str, Any]:
    """Return what `prefect deploy --all` is told, but for descriptions."""
    file = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
    deployed = [
        {key: value for key, value in deployment.items() if key != "description"} for deployment in file["deployments"]
    ]
    return {"name": file["name"], "pull": file["pull"], "deployments": {its["entrypoint"]: its for its in deployed}}


def settings_of(name: str) -> dict[str, Any]:
    """Return the environment variables that a command reads, with their defaults and bounds."""
    place = webhook_receiver if name == "webhook" else _module(name)
    kind: type[BaseSettings] = getattr(place, SETTINGS[name])
    schema = plain(kind.model_json_schema())
    required = schema.get("required", ())
    return {field.upper(): its | {"required": field in required} for field, its in schema["properties"].items()}


def values() -> dict[str, dict[str, Any]]:
    """Return what becomes of texts in environment variables: values, or refusals of that variable alone."""
    door, invalid = _module("archive_recording"), _module("doctor").SettingsInvalid
    came: dict[str, dict[str, Any]] = {name: {} for name in VALUES}
    for name, text in ((name, text) for name, texts in VALUES.items() for text in texts):
        with pytest.MonkeyPatch.context() as patch:
            set_up(patch, **{name: text})
            try:
                came[name][text] = door.load_settings(door.Settings, None).model_dump(mode="json")[name.lower()]
            except invalid as refused:
                (problem,) = refused.problems
                came[name][text] = {"refused": problem.partition(":")[0]}
    return came


def events() -> dict[str, Any]:
    """Return the events that are emitted, with their resource and the keys of their payload."""
    audit = _module("audit_archive")
    archived = example(result_of(flow_of("archive_recording")), recording_id=ID)
    (of_damage, *_) = get_args(result_of(flow_of("audit_archive")).model_fields["damaged"].annotation)
    damaged = example(of_damage, recording_id=ID)
    emitted: list[Any] = []
    worker = SimpleNamespace(client_type=AssertingEventsClient, send=emitted.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefect.events.utilities, "should_emit_events", lambda: True)
        patch.setattr(prefect.events.utilities, "EventsWorker", SimpleNamespace(instance=lambda: worker))
        engine = PrefectEngine(LOG)
        engine.emit_archived(archived)
        audit.emit_damaged(engine, damaged)
        engine.emit_session_archived(example(result_of(flow_of("archive_session")), session_id=ID))
        _emit_events_of_sweep(engine)
        with pytest.MonkeyPatch.context() as settings:
            set_up(settings)
            _publish_figures(engine)
            _emit_events_of_expiry(engine)
    return {
        event.event: {
            "resource": dict(event.resource),
            "related": [dict(related) for related in event.related],
            "payload": sorted(event.payload),
        }
        for event in emitted
    }


def _emit_events_of_sweep(engine: PrefectEngine) -> None:
    """Emit what a sweep emits that found a recording at risk and a lost one."""
    sweep, model = _module("sweep_recordings"), result_of(flow_of("sweep_recordings"))
    (of_recording, *_) = get_args(model.model_fields["lost"].annotation)
    recording = example(of_recording, recording_id=ID)
    sweep.emit_events(engine, example(model, at_risk=(recording,), lost=(recording,)), sweep.Scope(datetime.now(UTC)))


def _emit_events_of_expiry(engine: PrefectEngine) -> None:
    """Emit what a deletion emits, of a recording and of a session, and what the run emits."""
    expire, model = _module("expire_archive"), result_of(flow_of("expire_archive"))
    (of_deletion, *_) = get_args(model.model_fields["deleted"].annotation)
    for kind in ("recording", "session"):
        expire.emit_deleted(engine, example(of_deletion, id=ID, kind=kind, cause="policy"))
    expire.emit_completed(engine, expire.load_settings(expire.ArchiveSettings, None), example(model))


def _publish_figures(engine: PrefectEngine) -> None:
    sweep, audit = _module("sweep_recordings"), _module("audit_archive")
    swept, audited = (example(result_of(flow_of(name))) for name in ("sweep_recordings", "audit_archive"))
    of_sweep, of_audit = sweep.load_settings(sweep.Settings, None), audit.load_settings(audit.AuditSettings, None)
    sweep.publish_figures(engine, of_sweep, sweep.figures_of(swept, ["app"], looked_at_all=True))
    audit.publish_figures(engine, of_audit, audit.figures_of(audited, looked_at_all=True))
    copy = _module("copy_archive")
    copy.emit_copied(engine, example(result_of(flow_of("copy_archive"))))


def artifacts() -> list[dict[str, str]]:
    """Return the type and the key of each artifact that is left once a flow is done."""
    left: list[dict[str, str]] = []

    def create(artifact: prefect.artifacts.Artifact, **_: Any) -> Any:
        left.append({"type": str(artifact.type), "key": str(artifact.key)})
        return SimpleNamespace(id=uuid.uuid4())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefect.artifacts.Artifact, "create", create)
        for publish in _publishing(patch):
            publish()
    return left


def _publishing(patch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    archive, sweep, audit, describe, doctor, *_ = map(_module, FLOWS)
    engine = PrefectEngine(LOG)
    patch.setattr(doctor, "PrefectEngine", lambda: engine)
    sound = example(result_of(doctor.doctor), ok=True)
    patch.setattr(doctor, "examine", lambda *_: sound)
    swept, audited = result_of(sweep.sweep_recordings), result_of(audit.audit_archive)
    described = example(result_of(describe.describe_recording), recording_id=ID)
    restore, expire = _module("restore_recording"), _module("expire_archive")
    expired = result_of(expire.expire_archive)
    brought = example(result_of(restore.restore_recording))
    copy = _module("copy_archive")
    copied = example(result_of(copy.copy_archive))
    return [
        lambda: archive.publish_report(engine, ID, "report"),
        lambda: engine.publish_session(example(result_of(flow_of("archive_session")), session_id=ID)),
        lambda: sweep.publish_table(engine, example(swept)),
        lambda: sweep.publish_table(engine, example(swept, dry_run=True)),
        lambda: audit.publish_table(engine, example(audited)),
        lambda: describe.publish_description(engine, described, b""),
        doctor.doctor.fn,
        lambda: restore.publish_table(engine, brought),
        lambda: expire.publish_table(engine, example(expired)),
        lambda: expire.publish_table(engine, example(expired, dry_run=True)),
        lambda: copy.publish_table(engine, copied),
    ]


def webhook() -> list[str]:
    """Return the paths that the webhook's receiver answers at."""
    settings = WebhookSettings(realtimekit_app_id="app", realtimekit_webhook_key_url=NOWHERE)

    async def routes() -> list[str]:
        app: Any = webhook_receiver.new_app(settings)
        async with app.router.lifespan_context(app):
            served = [route for route in app.routes if route.path.count("/") == 1]
            return sorted(f"{method} {route.path}" for route in served for method in route.methods)

    with temporary_settings({PREFECT_API_URL: NOWHERE}):
        return asyncio.run(routes())


def demo() -> dict[str, str]:
    """Return where the demo leaves its archive."""
    module = _module("demo")
    return {"folder": str(module.FOLDER), "bucket": module.BUCKET, "recording_id": module.RECORDING_ID}


def event_fields_of_triggers() -> set[tuple[str, str]]:
    """Return which fields of which event's payload the deployments' triggers fill their parameters from."""
    found = set()
    for deployment in deployments()["deployments"].values():
        for trigger in deployment.get("triggers", ()):
            fields = re.findall(r"event\.payload\.(\w+)", json.dumps(trigger["parameters"]))
            found |= {(event, field) for event in trigger["expect"] for field in fields}
    return found


SECTIONS: dict[str, Callable[[], Any]] = {
    **{f"flow {name}": partial(parameters_of, name) for name in FLOWS},
    **{f"result {name}": partial(printed_by, name) for name in FLOWS},
    **{f"settings {name}": partial(settings_of, name) for name in SETTINGS},
    **{f"usage {name}": partial(usage_of, name) for name in USAGES},
    "values of settings": values,
    "deployments": deployments,
    "events": events,
    "artifacts": artifacts,
    "webhook": webhook,
    "demo": demo,
}


def collected(section: str) -> Any:
    """Return a section as it is now, as JSON has it."""
    return json.loads(json.dumps(SECTIONS[section]()))


def recorded() -> dict[str, Any]:
    """Return all sections as they are recorded."""
    surface: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return surface


if __name__ == "__main__":
    RECORDED.write_text(
        json.dumps({name: collected(name) for name in SECTIONS}, indent=1, sort_keys=True) + "\n", "utf-8"
    )
