"""Compiled programs are kept in the user's cache folder."""

import jax
import pytest

from egmt_jax.compile_cache import keep_compiled

FOLDER = "jax_compilation_cache_dir"


@pytest.fixture(autouse=True)
def unset():
    names = FOLDER, "jax_persistent_cache_min_compile_time_secs"
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update(FOLDER, None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_folder_is_created_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    keep_compiled()
    assert getattr(jax.config, FOLDER) == str(tmp_path / "caches" / "egmt-jax")
    assert (tmp_path / "caches" / "egmt-jax").is_dir()


def test_a_configured_folder_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update(FOLDER, "mine")
    keep_compiled()
    assert getattr(jax.config, FOLDER) == "mine"
    assert list(tmp_path.iterdir()) == []


def test_without_a_writable_folder_nothing_is_kept(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep_compiled()
    assert getattr(jax.config, FOLDER) is None
