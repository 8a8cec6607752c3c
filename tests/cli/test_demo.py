"""The project of the demo, and the git repository around it."""

import logging
import os
import subprocess

import pytest

from runner.demo import API_JOB, build_project
from runner.errors import RunnerError

URL = "http://127.0.0.1:1/sales"


def git(*arguments, cwd):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "core.hooksPath=/dev/null")
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=cwd,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "demo"
    made.mkdir()
    return made


def test_the_project_is_committed_in_a_repository_of_its_own(folder):
    build_project(folder, URL)
    assert git("log", "--format=%s", cwd=folder) == "The demo's jobs"
    assert git("status", "--porcelain", cwd=folder) == ""
    assert f"location: {URL}" in (folder / "jobs.d" / f"{API_JOB}.yaml").read_text()


def test_sources_that_lie_beside_the_state_are_not_ignored(folder):
    build_project(folder, URL)
    (folder / "data" / "runs").mkdir(parents=True)
    for name in (".env", "data/orders.csv", "data/runner.db", "data/runs/result.csv"):
        (folder / name).write_text("a\n")
    assert git("ls-files", "--others", "--exclude-standard", cwd=folder) == "data/orders.csv"


def test_the_repository_of_a_hook_is_left_alone(folder, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    git("init", "-q", cwd=mine)
    git("commit", "-q", "--allow-empty", "-m", "mine", cwd=mine)
    monkeypatch.setenv("GIT_DIR", str(mine / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(mine))
    monkeypatch.setenv("GIT_INDEX_FILE", str(mine / ".git" / "index"))
    build_project(folder, URL)
    assert git("log", "--format=%s", cwd=mine) == "mine"
    assert git("log", "--format=%s", cwd=folder) == "The demo's jobs"


def test_settings_and_hooks_of_the_user_take_no_part(folder, tmp_path, monkeypatch):
    hooks = tmp_path / "home" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    settings = f"[core]\n\thooksPath = {hooks}\n[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = /bin/false\n"
    (tmp_path / "home" / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    build_project(folder, URL)
    assert git("log", "--format=%s", cwd=folder) == "The demo's jobs"


def test_where_git_fails_the_demo_goes_on_without(folder, tmp_path, monkeypatch, caplog):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text("#!/bin/sh\nmkdir -p .git\necho no such luck >&2\nexit 1\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with caplog.at_level(logging.WARNING, "runner.demo"):
        build_project(folder, URL)
    assert "no such luck" in caplog.text
    assert (folder / "jobs.d").is_dir()
    assert not (folder / ".git").exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunnerError, match="cannot be written") as refused:
        build_project(tmp_path / "file", URL)
    assert refused.value.hint
