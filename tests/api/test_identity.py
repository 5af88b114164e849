"""Tokens: hashed at rest, forgotten when the file changes; wrong ones wait."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.identity import Role, TokenFile, TokenFileError, issue
from api.settings import ApiSettings
from api.throttle import Throttle
from schemas.settings import SettingsError
from tests.api.worlds import world_in

SECOND = 1_000_000_000


def test_token_is_let_in_and_its_secret_is_nowhere_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    token = issue(path, "Ada Lovelace", [Role.MAKER])
    assert token.split("_", 2)[2] not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    known = TokenFile(path)
    assert known.remembered(token) is None
    identity = known.identify(token)
    assert identity is not None
    assert (identity.name, identity.may(Role.VIEWER), identity.may(Role.CHECKER)) == ("Ada Lovelace", True, False)
    assert known.remembered(token) == identity


@pytest.mark.parametrize("wrong", ["", "x", "tg_00000000_" + "a" * 43, "Bearer", "tg_", "é" * 50])
def test_what_is_no_token_is_nobody(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "tokens.toml"
    token = issue(path, "ada", [Role.VIEWER])
    assert TokenFile(path).identify(wrong) is None
    assert TokenFile(path).identify(token[:-1] + ("a" if token[-1] != "a" else "b")) is None


def test_token_taken_out_of_the_file_is_nobody_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    token = issue(path, "ada", [Role.VIEWER])
    known = TokenFile(path)
    assert known.identify(token)
    path.write_text("")
    assert known.remembered(token) is None
    assert known.identify(token) is None


@pytest.mark.parametrize("name", ["", " ada", "a  b", 'x"y', "a\nb", "x" * 65])
def test_name_that_could_be_taken_for_another_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TokenFileError):
        issue(tmp_path / "t.toml", name, [Role.VIEWER])


def test_token_file_that_makes_no_sense_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text('[abcd1234]\nname = "x"\nroles = ["king"]\nhash = "scrypt$"\n')
    with pytest.raises(TokenFileError, match=r"abcd1234: unknown role king"):
        TokenFile(path).identify("x")


def test_wrong_tokens_of_one_address_have_to_wait(tmp_path: Path) -> None:
    with world_in(tmp_path, history=False, failures_per_min=2) as world, TestClient(world.app) as http:
        wrong = {"Authorization": "Bearer tg_00000000_" + "x" * 40}
        answers = [http.get("/v1/me", headers=wrong).status_code for _ in range(4)]
        assert answers == [401, 401, 429, 429]
        assert http.get("/v1/me").status_code == 401
        assert http.get("/v1/health").status_code == 200


def test_me_says_who_asks_and_what_he_may(tmp_path: Path) -> None:
    with world_in(tmp_path, history=False) as world, TestClient(world.app) as http:
        assert http.get("/v1/me", headers=world.headers("max")).json() == {"name": "max", "roles": ["viewer", "maker"]}


def test_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    throttle = Throttle(per_s=2, burst=3, keys_max=2)
    assert [throttle.wait_s("a", 0) == 0 for _ in range(4)] == [True, True, True, False]
    assert throttle.wait_s("a", 0) == pytest.approx(0.5)
    assert throttle.wait_s("a", SECOND // 2) == 0
    assert throttle.wait_s("a", SECOND // 2) > 0
    assert throttle.wait_s("b", SECOND) == 0
    assert throttle.wait_s("c", SECOND) == 0
    assert throttle.level("a", SECOND) == 3  # idle longest: forgotten


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"host": "0.0.0.0"}, "host"),
        ({"tls_cert": "c.pem"}, "tls_key"),
        ({"clock": "sundial"}, "clock"),
        ({"page_max": 0}, "page_max"),
    ],
)
def test_settings_that_expose_or_make_no_sense_stop_the_process(settings: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        ApiSettings(**settings)  # type: ignore[arg-type]
    ApiSettings(host="0.0.0.0", behind_tls_proxy=True)
