from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from sample.settings import Settings

import mlapi
from mlapi.settings import describe
from mlapi.values import Unreadable, is_loopback

from rig.names import PACKAGE, PREFIX


def test_the_defaults_are_for_one_machine() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8443)
    assert not settings.is_public
    assert settings.database_url is None


def test_the_environment_and_a_file_set_what_is_not_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{PREFIX}PORT=1\n{PREFIX}WORKERS=3\n{PREFIX}HOST=::1\n")
    monkeypatch.setenv(f"{PREFIX}PORT", "2")
    settings = Settings(host="localhost")
    assert (settings.host, settings.port, settings.workers) == ("localhost", 2, 3)


def test_a_setting_cannot_be_changed_later() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "x"),
        ("WORKERS", "0"),
        ("PROMOTE", "maybe"),
        ("PROMOTE_TOLERANCE", "nan"),
        ("MAX_ROWS", "0"),
        ("DATASET_SHA256", "abc"),
        ("DATASET_URL", "file:///etc/passwd"),
        ("HOST", " "),
        ("RATE_LIMIT", "0/second"),
        ("RATE_LIMIT", "10/fortnight"),
        ("QUOTA", "many"),
        ("RATE_LIMIT_URL", "http://passwd"),
        ("TRUSTED_PROXIES", "passwd.example"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example/passwd"),
        ("OIDC_SCOPES", '{"team": "passwd"}'),
        ("LOG_LEVEL", "loud"),
        ("COMPRESS_OVER_BYTES", "0"),
        ("DATABASE_URL", "nonsense"),
        ("MLFLOW_URL", "file:///etc/passwd"),
        ("CACHE_URL", "redis://:passwd@localhost:99999/0"),
        ("RATE_LIMIT_URL", "redis://:passwd@localhost:abc"),
        ("DATABASE_URL", "postgresql://me:passwd@host:abc/x"),
        ("DATABASE_URL", "postgresql://me:passwd@[::1/x"),
        ("CLUSTER_URL", "tcp://scheduler:passwd"),
        ("OIDC_SCOPES", '{"passwd":'),
        ("KEEP_RESULTS_SECONDS", "1e11"),
        ("KEEP_RESULTS_SECONDS", "inf"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert describe(refused.value, PREFIX).startswith(f"{PREFIX}{name}: ")
    assert "Value error" not in describe(refused.value, PREFIX)
    assert "passwd" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://me:a#b/c?:d@host:5432/x"),  # as the library takes it
        ("DATABASE_URL", "postgresql://me@[::1]:5432/x"),
        ("DATABASE_URL", "sqlite:////data/a@b:c.sqlite"),
        ("STORAGE_URL", "s3://bucket/a@b:c"),
        ("CACHE_URL", "memory://"),
        ("RATE_LIMIT_URL", "redis+unix:///run/redis.sock"),
    ],
)
def test_an_address_with_a_good_port_or_none_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", url)
    assert getattr(Settings(), name.lower()) == SecretStr(url)


@pytest.mark.parametrize("password", ["password", "changeme", "CHANGE_ME"])
@pytest.mark.parametrize(("name", "scheme"), [("DATABASE_URL", "postgresql"), ("RATE_LIMIT_URL", "redis")])
def test_a_placeholder_is_no_password(monkeypatch: pytest.MonkeyPatch, name: str, scheme: str, password: str) -> None:
    """Checklist 27."""
    monkeypatch.setenv(f"{PREFIX}{name}", f"{scheme}://me:{password}@host/0")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "choose a real one" in describe(refused.value, PREFIX)


def test_a_limit_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}RATE_LIMIT", "none")
    assert Settings().rate_limit is None


def test_names_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}ALLOWED_HOSTS", " a.example, *.b.example ,")
    assert Settings().allowed_hosts == ("a.example", "*.b.example")


def test_who_trusts_a_proxy_or_an_issuer_asks_everybody_who_they_are() -> None:
    assert not Settings().needs_key
    assert Settings(trusted_proxies=("10.0.0.1",)).needs_key
    assert Settings(oidc_issuer="https://login.example.com", oidc_audience="x").needs_key


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_name_with_a_typo_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    if place == "file":
        (tmp_path / ".env").write_text(f"OTHER=1\n{PREFIX}REQUIRE_KEYS=true\n")
    else:
        monkeypatch.setenv(f"{PREFIX}REQUIRE_KEYS", "true")
    with pytest.raises(ValidationError, match=f"{PREFIX}REQUIRE_KEYS; did you mean {PREFIX}REQUIRE_KEY\\?"):
        Settings()


def test_a_name_that_is_like_no_setting_is_refused_without_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}FOO", "1")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert describe(refused.value, PREFIX) == f"there is no setting {PREFIX}FOO"


def test_half_a_pair_is_refused() -> None:
    with pytest.raises(ValidationError, match="tls_certfile and tls_keyfile go together"):
        Settings(tls_certfile=Path("x"))
    with pytest.raises(ValidationError, match="tls_certfile and tls_keyfile go together"):
        Settings(tls_keyfile=Path("x"))
    with pytest.raises(ValidationError, match="dataset_url and dataset_sha256 go together"):
        Settings(dataset_sha256="0" * 64)


def test_the_database_is_a_file_unless_a_url_is_set_and_a_password_is_not_shown(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).jobs_url() == f"sqlite:///{tmp_path}/jobs.sqlite"
    settings = Settings(database_url=SecretStr("postgresql://me:s3cret@db/jobs"))
    assert settings.jobs_url() == "postgresql://me:s3cret@db/jobs"
    assert "s3cret" not in repr(settings)


def test_every_setting_says_what_it_means() -> None:
    undocumented = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undocumented == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_addresses_of_this_machine_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "", "localhost.example.com"])
def test_all_other_addresses_are_public(host: str) -> None:
    assert not is_loopback(host)


def test_a_file_of_a_secret_sets_what_the_environment_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / f"{PREFIX}CACHE_URL").write_text("redis://:from-file@host/0\n")
    (secrets / f"{PREFIX}PORT").write_text("1")
    (secrets / "other").write_text("no setting")
    monkeypatch.setenv(f"{PREFIX}SECRETS_DIR", str(secrets))
    monkeypatch.setenv(f"{PREFIX}PORT", "2")
    settings = Settings()
    assert settings.cache_url == SecretStr("redis://:from-file@host/0")
    assert settings.port == 2


def test_a_file_of_a_secret_with_a_typo_in_its_name_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}DATABASE_UR").write_text("postgresql://user:s3cret@host/name")
    monkeypatch.setenv(f"{PREFIX}SECRETS_DIR", str(tmp_path))
    with pytest.raises(ValidationError) as refused:
        Settings()
    said = describe(refused.value, PREFIX)
    assert f"there is no setting {PREFIX}DATABASE_UR; did you mean {PREFIX}DATABASE_URL?" in said
    assert "s3cret" not in said


def test_a_directory_of_secrets_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"{PREFIX}SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert describe(refused.value, PREFIX) == f"{PREFIX}SECRETS_DIR: there is no such directory"


def test_a_file_of_a_secret_that_is_not_text_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"\xff is no setting")
    monkeypatch.setenv(f"{PREFIX}SECRETS_DIR", str(tmp_path))
    assert Settings().cache_url is None
    (tmp_path / f"{PREFIX}CACHE_URL").write_bytes(b"redis://\xff")
    with pytest.raises(Unreadable, match="CACHE_URL is not UTF-8 text"):
        Settings()


def test_the_keys_are_beside_the_data_unless_their_file_is_named(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).keys_path == tmp_path / "keys.json"
    assert Settings(data_dir=tmp_path, keys_file=Path("/run/keys.json")).keys_path == Path("/run/keys.json")


def test_settings_of_another_package_have_its_name_and_are_read_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(mlapi.Settings):
        __module__ = "their_api.settings"
        greeting: str = "hello"

    class More(Theirs):
        __module__ = "elsewhere.more"

    monkeypatch.setenv("THEIR_API_PORT", "1234")
    monkeypatch.setenv("THEIR_API_GREETING", "good day")
    for kind in (Theirs, More):
        assert (kind.package, kind.prefix) == ("their_api", "THEIR_API_")
        assert (kind().port, kind().model_dump()["greeting"]) == (1234, "good day")
    assert (Settings.package, Settings.prefix) == (PACKAGE, PREFIX)
    assert Settings().port == Settings.model_fields["port"].default
    monkeypatch.setenv("THEIR_API_PROT", "1")
    with pytest.raises(ValidationError, match=r"no setting THEIR_API_PROT; did you mean THEIR_API_PORT\?"):
        Theirs()
