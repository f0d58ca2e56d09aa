"""What signs RealtimeKit's webhooks: a real key pair, and the address where the public key is published."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.standins.loopback import Delivery, Incoming, LoopbackServer
from tests.standins.recordings import timestamp
from tests.standins.wire import Reply

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PUBLISHED_AT = "/.well-known/webhooks.json"


ORGANIZATION = "3f6f4b1e-0000-4000-8000-000000000001"
"""Of recordings, and of those who organize meetings."""


class KeyPair:
    """An RSA key that signs as RealtimeKit does."""

    def __init__(self, bits: int = 2048) -> None:
        self._private: RSAPrivateKey = generate_private_key(65_537, bits)

    @property
    def pem(self) -> str:
        """The public key."""
        public = self._private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, body: bytes) -> str:
        """Return the signature of a body, as it comes in `rtk-signature`."""
        return base64.b64encode(self._private.sign(body, PKCS1v15(), SHA256())).decode()


def status_update(recording_id: str, status: str = "UPLOADED", **of_recording: Any) -> dict[str, Any]:
    """Return the body of the event, as documented, of a recording that stopped a minute ago."""
    stopped = datetime.now(UTC) - timedelta(minutes=1)
    recording = {
        "id": recording_id,
        "recordingId": recording_id,
        "status": status,
        "downloadUrl": f"https://bucket.example/{recording_id}.mp4?X-Amz-Signature=leak-canary",
        "audioDownloadUrl": None,
        "downloadUrlExpiry": timestamp(stopped + timedelta(days=7)),
        "startedTime": timestamp(stopped - timedelta(minutes=30)),
        "stoppedTime": timestamp(stopped),
        "fileSize": "2044680",
        "outputFileName": "meeting.mp4",
        "meetingId": "bbb0",
        "recordingDuration": 1800,
        "organizationId": ORGANIZATION,
        "roomUUID": "bbb1",
    }
    meeting = {
        "id": "bbb0",
        "sessionId": "bbb2",
        "title": "Weekly 🎥",
        "roomName": "abcdef-ghijkl",
        "status": "LIVE",
        "createdAt": "2026-11-20T09:55:00.000Z",
        "startedAt": "2026-11-20T10:00:00.000Z",
        "endedAt": None,
        "organizedBy": {"id": ORGANIZATION, "name": "my-first-app"},
    }
    return {"event": "recording.statusUpdate", "recording": recording | of_recording, "meeting": meeting}


def session_event(event: str, session_id: str, **more: Any) -> dict[str, Any]:
    """Return the body of an event about a session, as documented, of a session that ended a minute ago."""
    ended = datetime.now(UTC) - timedelta(minutes=1)
    organizer = {"id": ORGANIZATION, "name": "my-first-app"}
    times = {
        "createdAt": timestamp(ended - timedelta(minutes=31)),
        "startedAt": timestamp(ended - timedelta(minutes=30)),
        "endedAt": timestamp(ended),
    }
    kind = {"meeting.transcript": "transcript", "meeting.summary": "summary", "meeting.chatSynced": "chat"}.get(event)
    document = {
        f"{kind}DownloadUrl": f"https://bucket.example/{kind}.csv?X-Amz-Signature=leak-canary",
        f"{kind}DownloadUrlExpiry": timestamp(ended + timedelta(days=7)),
    }
    of_event = document if kind else {"reason": "ALL_PARTICIPANTS_LEFT"}
    if kind == "chat":  # the one event that is flat
        flat = {"sessionId": session_id, "meetingId": "bbb0", "title": "Weekly 🎥"}
        return {"event": event, **flat, **times, "organizedBy": organizer, **of_event, **more}
    named = {"id": "bbb0", "sessionId": session_id, "title": "Weekly 🎥", "roomName": "abcdef-ghijkl"}
    return {
        "event": event,
        "meeting": {**named, "status": "LIVE", **times, "organizedBy": organizer},
        **of_event,
        **more,
    }


class Signer:
    """RealtimeKit's side of webhooks, for as long as the `with` lasts.

    `published` is what its address answers with, `keys` signs: a rotation is another pair in both.
    """

    def __init__(self) -> None:
        self.keys = KeyPair()
        self.published = self.document(self.keys)
        self.fetches = 0
        self._server = LoopbackServer(self._answer)

    @property
    def url(self) -> str:
        """Where the public key is published."""
        return f"{self._server.origin}{PUBLISHED_AT}"

    @staticmethod
    def document(keys: KeyPair) -> Reply:
        """Return the answer that publishes a key."""
        return Reply.of(200, json.dumps({"success": True, "message": "", "data": {"publicKey": keys.pem}}).encode())

    def rotate(self) -> KeyPair:
        """Sign with another key from now on, publish it, and return the old one."""
        old, self.keys = self.keys, KeyPair()
        self.published = self.document(self.keys)
        return old

    def delivery(self, payload: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers of a webhook."""
        body = json.dumps(payload, ensure_ascii=False).encode()
        return body, {
            "content-type": "application/json",
            "rtk-signature": self.keys.sign(body),
            "rtk-uuid": str(uuid.uuid4()),
            "rtk-webhook-id": "0d1f069d-43bb-489a-ad8c-7eb95592ba8e",
        }

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.close()

    def close(self) -> None:
        """Be away: connections are refused from now on."""
        self._server.stop()

    def _answer(self, incoming: Incoming) -> Delivery:
        self.fetches += 1
        return Delivery(self.published if incoming.target == PUBLISHED_AT else Reply.of(404))
