"""A flag over the environment over the file over the default, and each knows its origin."""

from __future__ import annotations

from pathlib import Path

import pytest
from terramend.backend import settings
from terramend.backend.errors import TerramendError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('jobs = 3\ndevice = "cpu"\nmemory_limit = 2\n')
    return path


def test_precedence_and_origins(file):
    environment = {"TERRAMEND_CONFIG": str(file), "TERRAMEND_JOBS": "5", "TERRAMEND_MEMORY_LIMIT": "0.5"}
    held = settings.resolve({"jobs": 7, "quality": None}, environment)
    assert held["jobs"] == settings.Value(7, "--jobs")
    assert held["memory_limit"] == settings.Value(0.5, "TERRAMEND_MEMORY_LIMIT")
    assert held["device"] == settings.Value("cpu", str(file))
    assert held["quality"] == settings.Value("default", "default")
    assert settings.resolve(environment={**environment, "TERRAMEND_JOBS": ""})["jobs"].value == 3


def test_a_request_gets_only_what_was_set(file):
    environment = {"TERRAMEND_CONFIG": str(file), "TERRAMEND_WEIGHTS": "/w"}
    assert settings.for_request(environment) == {"jobs": 3, "device": "cpu", "memory_limit": 2.0}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TERRAMEND_JOBS": "many"}, ["jobs", "TERRAMEND_JOBS", "many", "whole number"]),
        ({"TERRAMEND_JOBS": "-1"}, ["whole number from 0"]),
        ({"TERRAMEND_DEVICE": "gpu"}, ["device", "'gpu'", "cuda"]),
        ({"TERRAMEND_MEMORY_LIMIT": "nan"}, ["memory_limit", "gigabytes above 0"]),
        ({"TERRAMEND_QUALITY": "BEST"}, ["quality", "fast, default, best"]),
    ],
)
def test_wrong_values_name_their_origin(environment, words, tmp_path):
    with pytest.raises(TerramendError) as caught:
        settings.resolve(environment={"XDG_CONFIG_HOME": str(tmp_path), **environment})
    assert caught.value.exit_status == 2
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("jobs = ", "setting.file"),
        ("jobz = 3", "setting.unknown"),
        ("jobs = true", "setting.value"),
        ("jobs = 1.5", "setting.value"),
        ("device = 1", "setting.value"),
        ("memory_limit = true", "setting.value"),
        ("memory_limit = 1" + "0" * 400, "setting.value"),
        ("\ufffe", "setting.file"),
        ("jobs = " + "[" * 100_000, "setting.file"),
    ],
)
def test_wrong_files(text, code, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(TerramendError) as caught:
        settings.resolve(environment={"TERRAMEND_CONFIG": str(path)})
    assert caught.value.code == code
    assert str(path) in str(caught.value)


def test_a_setting_that_is_none_is_told_those_that_are(tmp_path):
    """`terramend doctor` cannot show them while the file stands."""
    path = tmp_path / "config.toml"
    path.write_text("jobz = 3\n")
    with pytest.raises(
        TerramendError, match=r"sets jobz, which .*there are model, quality, .*, jobs, tmp, weights\."
    ):
        settings.resolve(environment={"TERRAMEND_CONFIG": str(path)})


def test_a_file_may_begin_with_the_mark_of_windows_editors(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("jobs = 3\n", "utf-8-sig")
    assert settings.resolve(environment={"TERRAMEND_CONFIG": str(path)})["jobs"].value == 3


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(TerramendError, match="no such file, though TERRAMEND_CONFIG names it"):
        settings.resolve(environment={"TERRAMEND_CONFIG": str(tmp_path / "none.toml")})
    assert settings.resolve(environment={"XDG_CONFIG_HOME": str(tmp_path)})["jobs"].origin == "default"


def test_networks_lie_outside_the_plugin(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("TERRAMEND_WEIGHTS", raising=False)
    assert Path(settings.__file__).parents[1] not in settings.weights_folder().parents
    monkeypatch.setenv("TERRAMEND_WEIGHTS", str(tmp_path / "w"))
    assert settings.weights_folder() == tmp_path / "w"


@pytest.fixture
def home(monkeypatch):
    """Sets HOME and none of the variables that name folders below it."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "TERRAMEND_CONFIG", "TERRAMEND_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    return lambda path: monkeypatch.setenv("HOME", str(path))


@pytest.mark.posix("HOME")
def test_a_home_that_cannot_be_entered_has_no_settings(home, tmp_path):
    """A file in its place is as closed as one without rights, which do not bind every tester."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "none", tmp_path / ("x" * 5000)):
        home(path)
        assert {value.origin for value in settings.resolve().values()} == {"default"}
        assert path in settings.weights_folder().parents


@pytest.mark.posix("HOME")
def test_settings_that_are_there_and_cannot_be_read_are_said(home, tmp_path):
    home(tmp_path)
    (tmp_path / ".config" / "terramend" / "config.toml").mkdir(parents=True)
    with pytest.raises(TerramendError) as caught:
        settings.resolve()
    assert caught.value.code == "setting.file"


@pytest.mark.posix("users")
def test_a_user_whom_the_system_does_not_know_needs_no_home(home, monkeypatch):
    """A container may run as a number that stands in no table of users."""

    def unknown(user):
        raise KeyError(user)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert settings.resolve()["jobs"].origin == "default"
    assert (settings.config_path(), settings.weights_folder()) == (None, None)


@pytest.mark.posix("users")
def test_a_home_of_nobody_is_a_folder_like_others():
    assert settings.resolve(environment={"TERRAMEND_TMP": "~nobody-here/x"})["tmp"].value == "~nobody-here/x"
