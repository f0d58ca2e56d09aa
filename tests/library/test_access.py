"""Who may see the library: a password, a proxy that is trusted, or nobody but the machine itself."""

from __future__ import annotations

import base64

import pytest

from tasks.errors import SettingsInvalid
from tasks.library import LibrarySettings
from tasks.library.access import ATTEMPTS, WAIT_S, Access, WrongAttempts
from tasks.settings import load_settings

PASSWORD = "correct horse battery"
PROXY = "10.0.0.0/24, fd00::5"


def access(attempts: WrongAttempts | None = None, **settings: str) -> Access:
    return Access(LibrarySettings(archive_url="s3://bucket", **settings), attempts)  # type: ignore[arg-type]


def basic(password: str, user: str = "anybody") -> tuple[bytes, bytes]:
    return b"authorization", b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def status(door: Access, *headers: tuple[bytes, bytes], address: str = "192.0.2.7") -> int:
    refusal = door.refusal(address, headers)
    return refusal.status.value if refusal else 200


def test_without_any_setting_nobody_is_asked_but_nothing_comes_in_through_a_proxy() -> None:
    assert status(access()) == 200
    for name in (b"x-forwarded-for", b"forwarded", b"via"):
        assert status(access(), (name, b"192.0.2.9")) == 403


@pytest.mark.parametrize(
    "header",
    [
        basic(PASSWORD + "x"),
        basic(PASSWORD[:-1]),
        basic(""),
        (b"authorization", b"Bearer " + base64.b64encode(PASSWORD.encode())),
        (b"authorization", b"Basic \xff\xff"),
        (b"authorization", b"Basic"),
        (b"authorization", PASSWORD.encode()),
    ],
)
def test_a_wrong_password_is_asked_for_again(header: tuple[bytes, bytes]) -> None:
    refusal = access(library_password=PASSWORD).refusal("192.0.2.7", [header])
    assert refusal is not None
    assert (refusal.status, refusal.headers[0][0]) == (401, b"www-authenticate")
    assert PASSWORD not in str(refusal)


def test_the_right_password_is_enough_whoever_says_it() -> None:
    door = access(library_password=PASSWORD)
    assert status(door) == 401
    assert status(door, basic(PASSWORD)) == status(door, basic(PASSWORD, "")) == 200
    assert status(door, basic(PASSWORD), basic("wrong")) == 401
    assert status(access(library_password="Zoë's passwörd"), basic("Zoë's passwörd")) == 200


def test_after_some_wrong_passwords_an_address_has_to_wait_and_no_other() -> None:
    now = [1000.0]
    door = access(WrongAttempts(lambda: now[0]), library_password=PASSWORD)
    assert [status(door, basic("wrong")) for _ in range(ATTEMPTS)] == [401] * ATTEMPTS
    refusal = door.refusal("192.0.2.7", [basic(PASSWORD)])
    assert refusal is not None
    assert (refusal.status, refusal.headers) == (429, ((b"retry-after", b"%d" % WAIT_S),))
    assert status(door, basic(PASSWORD), address="192.0.2.8") == 200
    now[0] += WAIT_S
    assert status(door, basic(PASSWORD)) == 200


def test_all_addresses_of_a_network_of_ipv6_are_one() -> None:
    door = access(library_password=PASSWORD)
    for number in range(ATTEMPTS):
        status(door, basic("wrong"), address=f"2001:db8::{number:x}")
    assert status(door, basic(PASSWORD), address="2001:db8::ffff") == 429
    assert status(door, basic(PASSWORD), address="2001:db8:0:1::1") == 200


def test_attempts_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.library.access.ADDRESSES", 3)
    attempts = WrongAttempts()
    for number in range(10):
        attempts.note(f"192.0.2.{number}")
    assert len(attempts._counted) == 3


def test_a_trusted_proxy_names_the_user_and_nobody_else_can() -> None:
    door = access(library_trusted_proxy=PROXY)
    named = (b"x-forwarded-user", b"ann@example.com")
    assert status(door, named, address="10.0.0.9") == 200
    assert status(door, named, address="fd00::5") == 200
    assert status(door, named, address="::ffff:10.0.0.9") == 200
    assert status(door, named, address="10.0.1.9") == 403
    assert status(door, named, address="127.0.0.1") == 403
    assert status(door, address="10.0.0.9") == 403
    assert status(door, (b"x-forwarded-user", b" "), address="10.0.0.9") == 403
    assert status(door, named, (b"x-forwarded-user", b"eve"), address="10.0.0.9") == 403


def test_proxy_and_password_may_stand_side_by_side() -> None:
    door = access(library_trusted_proxy="10.0.0.5", library_password=PASSWORD, library_user_header="Remote-User")
    assert status(door, (b"remote-user", b"ann"), address="10.0.0.5") == 200
    assert status(door, (b"x-forwarded-user", b"ann"), address="10.0.0.5") == 401
    assert status(door, (b"remote-user", b"ann"), address="10.0.0.6") == 401
    assert status(door, basic(PASSWORD), address="10.0.0.6") == 200


def test_one_error_lists_all_that_is_wrong_with_the_settings_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "ARCHIVE_URL": "",
        "LIBRARY_PASSWORD": "too short",
        "LIBRARY_TRUSTED_PROXY": "10.0.0.5, proxy.example.com",
        "LIBRARY_USER_HEADER": "X Forwarded",
        "LIBRARY_HOSTS": "https://library.example.com",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(LibrarySettings, None)
    assert sorted(problem.partition(":")[0] for problem in refused.value.problems) == sorted(wrong)
    assert "too short" not in str(refused.value)
