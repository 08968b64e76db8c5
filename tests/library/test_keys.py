from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlapi.errors import KeysUnavailable
from mlapi.keys import LOCAL, KeyStore


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "var" / "keys.json")


def test_a_key_is_found_by_its_secret_alone(store: KeyStore) -> None:
    key, secret = store.create("ann", ["predict"])
    store.create("bob", ["admin"])
    assert store.find(secret) == key
    assert store.find(secret[:-1]) is None
    assert store.find("") is None


def test_secrets_are_random_and_not_stored(store: KeyStore, tmp_path: Path) -> None:
    """Checklist 26."""
    secrets = {store.create("ann", ["predict"])[1] for _ in range(20)}
    stored = (tmp_path / "var" / "keys.json").read_text()
    assert len(secrets) == 20
    assert not any(secret in stored for secret in secrets)
    assert (tmp_path / "var" / "keys.json").stat().st_mode & 0o777 == 0o600


def test_a_file_keeps_the_permissions_that_its_owner_gave_it(store: KeyStore, tmp_path: Path) -> None:
    store.create("ann", ["predict"])
    (tmp_path / "var" / "keys.json").chmod(0o644)
    store.create("bob", ["predict"])
    assert (tmp_path / "var" / "keys.json").stat().st_mode & 0o777 == 0o644


def test_keys_are_listed_oldest_first_and_revoked_by_id(store: KeyStore) -> None:
    keys = [store.create(owner, ["train"])[0] for owner in ("a", "b", "c")]
    assert store.list() == keys
    assert store.revoke(keys[1].id)
    assert not store.revoke(keys[1].id)
    assert store.list() == [keys[0], keys[2]]


def test_of_changes_at_once_none_is_lost(tmp_path: Path) -> None:
    def create(number: int) -> str:
        return KeyStore(tmp_path / "keys.json").create(f"user{number}", ["predict"])[0].id

    with ThreadPoolExecutor(8) as changes:
        made = set(changes.map(create, range(24)))
    assert {key.id for key in KeyStore(tmp_path / "keys.json").list()} == made


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"id": "x"}]'])
def test_a_file_that_cannot_be_read_is_named_and_not_overwritten(store: KeyStore, tmp_path: Path, content: str) -> None:
    store.create("ann", ["admin"])
    (tmp_path / "var" / "keys.json").write_text(content)
    for call in (store.list, lambda: store.find("x"), lambda: store.create("bob", ["admin"])):
        with pytest.raises(KeysUnavailable, match=r"keys\.json cannot be read"):
            call()
    assert (tmp_path / "var" / "keys.json").read_text() == content


def test_another_process_sees_a_change_at_once(store: KeyStore, tmp_path: Path) -> None:
    other = KeyStore(tmp_path / "var" / "keys.json")
    key, secret = store.create("ann", ["predict"])
    assert other.find(secret) == key
    store.revoke(key.id)
    assert other.find(secret) is None


def test_admin_is_good_for_everything_and_others_for_themselves(store: KeyStore) -> None:
    admin, _ = store.create("ann", ["admin"])
    train, _ = store.create("bob", ["train"])
    assert admin.caller.allows("predict")
    assert admin.caller.allows("train")
    assert train.caller.allows("train")
    assert not train.caller.allows("predict")


def test_keys_of_one_owner_are_one_caller_that_owns_its_things_alone(store: KeyStore) -> None:
    (first, _), (second, _), (other, _) = (store.create(owner, ["train"]) for owner in ("ann", "ann", "bob"))
    assert first.caller.name == second.caller.name != other.caller.name
    assert first.caller.credential != second.caller.credential
    assert first.caller.owns(second.caller.name)
    assert not first.caller.owns(other.caller.name)
    assert not first.caller.owns(None)
    assert LOCAL.owns(other.caller.name)
    assert LOCAL.owns(None)
