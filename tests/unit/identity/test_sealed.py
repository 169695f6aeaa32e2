# SPDX-License-Identifier: Apache-2.0
import stat

import pytest

from toono.identity.sealed import NAME, Seal, node_seal


def test_what_is_sealed_opens_in_its_own_place_alone() -> None:
    seal = Seal.fleeting()
    sealed = seal.close(b"secret", place=b"a")
    assert b"secret" not in sealed
    assert seal.open(sealed, place=b"a") == b"secret"
    assert seal.open(sealed, place=b"b") is None
    assert Seal.fleeting().open(sealed, place=b"a") is None


@pytest.mark.parametrize("length", [0, 1, 12, 20])
def test_cut_bytes_open_nothing(length: int) -> None:
    seal = Seal.fleeting()
    assert seal.open(seal.close(b"secret", place=b"a")[:length], place=b"a") is None


def test_a_digest_is_the_keys_own() -> None:
    one, other = Seal(b"1" * 32), Seal(b"2" * 32)
    assert one.digest(b"x") == Seal(b"1" * 32).digest(b"x")
    assert one.digest(b"x") not in (other.digest(b"x"), one.digest(b"y"))
    with pytest.raises(ValueError, match="31 bytes"):
        Seal(b"1" * 31)


def test_the_nodes_key_is_made_once_for_the_owner_alone(tmp_path) -> None:
    sealed = node_seal(tmp_path).close(b"secret", place=b"a")
    assert node_seal(tmp_path).open(sealed, place=b"a") == b"secret"
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_key_that_others_can_read_is_closed_to_them(tmp_path) -> None:
    node_seal(tmp_path)
    (tmp_path / NAME).chmod(0o644)
    node_seal(tmp_path)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_a_cut_key_is_replaced(tmp_path) -> None:
    (tmp_path / NAME).write_bytes(b"short")
    (tmp_path / (NAME + ".part")).write_bytes(b"left by a crash")
    seal = node_seal(tmp_path)
    assert len((tmp_path / NAME).read_bytes()) == 32
    assert node_seal(tmp_path).digest(b"x") == seal.digest(b"x")


def test_where_no_key_can_be_kept_tokens_live_as_long_as_the_process(
    tmp_path, caplog
) -> None:
    seal = node_seal(tmp_path / "missing")
    assert seal.open(seal.close(b"x", place=b""), place=b"") == b"x"
    assert "will not outlive a restart" in caplog.text
    (tmp_path / "secret").write_bytes(b"k" * 32)
    (tmp_path / NAME).symlink_to(tmp_path / "secret")
    assert node_seal(tmp_path).digest(b"x") != Seal(b"k" * 32).digest(b"x")
