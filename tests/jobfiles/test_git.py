import os
import shutil
import subprocess
import time

import pytest

from runner.jobfiles.git.repository import Repository, Revisions, clean_environment, find_root


@pytest.fixture
def git(tmp_path):
    def call(*arguments):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", tmp_path, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    call("init", "-q")
    return call


@pytest.fixture
def committed(git, tmp_path):
    project = tmp_path / "sub" / "project"
    (project / "jobs.d").mkdir(parents=True)
    (project / "jobs.d" / "a b.yaml").write_text("1")
    (project / "jobs.d" / "ü.yaml").write_text("1")
    (tmp_path / "other.txt").write_text("1")
    git("add", ".")
    git("commit", "-qm", "one")
    return project


def test_no_repository_has_no_revision(tmp_path):
    assert Repository(tmp_path / "x").revisions(files_changed=True) == Revisions()
    assert Revisions(dirty=frozenset({"a"})).of("a") == ""


def test_no_commit_has_no_revision(git, tmp_path):
    assert Repository(tmp_path).revisions(files_changed=True) == Revisions()


def test_changed_and_new_files_are_dirty(committed, git, tmp_path):
    (committed / "jobs.d" / "ü.yaml").write_text("2")
    (committed / "jobs.d" / "new.yaml").write_text("2")
    (committed / "extra").mkdir()
    (committed / "extra" / "x.py").write_text("2")
    (tmp_path / "other.txt").write_text("2")
    revisions = Repository(committed).revisions(files_changed=True)
    commit = git("rev-parse", "HEAD")
    assert revisions == Revisions(commit=commit, dirty=frozenset({"jobs.d/ü.yaml", "jobs.d/new.yaml", "extra/"}))
    assert revisions.of("jobs.d/a b.yaml") == commit
    assert revisions.of("jobs.d/a b.yaml", "extra/x.py") == f"{commit}+dirty"


AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.com")


@pytest.fixture
def submodule(committed, git):
    """The folder `shared` of the project, a repository of its own in the one around it."""
    inner = committed / "shared"
    inner.mkdir()
    (inner / "c.yaml").write_text("1")
    for arguments in (("init", "-q"), ("add", "."), (*AUTHOR, "commit", "-qm", "one")):
        subprocess.run(("git", "-C", inner, *arguments), check=True)
    git("-c", "advice.addEmbeddedRepo=false", "add", ".")
    git("commit", "-qm", "two")
    return inner


def test_what_is_changed_in_a_submodule_is_dirty(committed, git, submodule):
    repository = Repository(committed)
    assert repository.revisions(files_changed=True).dirty == frozenset()
    (submodule / "c.yaml").write_text("2")
    revisions = repository.revisions(files_changed=True)
    assert revisions.dirty == {"shared/"}
    assert revisions.of("shared/c.yaml") == f"{git('rev-parse', 'HEAD')}+dirty"
    assert "dirty" not in revisions.of("jobs.d/ü.yaml")
    subprocess.run(("git", "-C", submodule, *AUTHOR, "commit", "-qam", "two"), check=True)
    assert repository.revisions(files_changed=True).dirty == {"shared/"}, "the commit is not the one recorded"


def test_a_submodule_that_git_cannot_read_has_no_clean_revision_and_takes_none_from_others(
    committed, git, submodule, caplog
):
    shutil.rmtree(submodule / ".git")
    (submodule / ".git").write_text("gitdir: ../gone\n")
    (committed / "jobs.d" / "ü.yaml").write_text("2")
    revisions = Repository(committed).revisions(files_changed=True)
    commit = git("rev-parse", "HEAD")
    assert revisions == Revisions(commit=commit, dirty=frozenset({"shared/", "jobs.d/ü.yaml"}))
    assert revisions.of("jobs.d/a b.yaml") == commit
    (warning,) = caplog.messages
    assert "not a git repository" in warning


def test_staged_renames_and_conflicts_are_dirty(committed, git):
    git("mv", "sub/project/jobs.d/a b.yaml", "sub/project/jobs.d/c d.yaml")
    revisions = Repository(committed).revisions(files_changed=True)
    assert revisions.dirty == {"jobs.d/a b.yaml", "jobs.d/c d.yaml"}
    git("commit", "-qam", "two")
    git("checkout", "-qb", "side", "HEAD~")
    (committed / "jobs.d" / "ü.yaml").write_text("2")
    git("commit", "-qam", "three")
    git("checkout", "-q", "-")
    (committed / "jobs.d" / "ü.yaml").write_text("3")
    git("commit", "-qam", "four")
    with pytest.raises(subprocess.CalledProcessError):
        git("merge", "side")
    assert "jobs.d/ü.yaml" in Repository(committed).revisions(files_changed=True).dirty


def test_git_is_asked_again_only_when_something_changed(committed, git):
    repository = Repository(committed)
    before = repository.revisions(files_changed=True)
    (committed / "jobs.d" / "ü.yaml").write_text("2")
    assert repository.revisions(files_changed=False) is before
    assert repository.revisions(files_changed=True).dirty == {"jobs.d/ü.yaml"}
    git("commit", "-qam", "two")
    assert repository.revisions(files_changed=False) == Revisions(commit=git("rev-parse", "HEAD"))


def test_a_worktree_is_a_repository(committed, git, tmp_path):
    git("worktree", "add", "-q", str(tmp_path / "tree"), "HEAD")
    repository = Repository(tmp_path / "tree" / "sub" / "project")
    first = repository.revisions(files_changed=True)
    assert first.of("jobs.d/ü.yaml") == git("rev-parse", "HEAD")
    (tmp_path / "tree" / "other.txt").write_text("2")
    subprocess.run(
        [
            "git",
            "-C",
            tmp_path / "tree",
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "commit",
            "-qam",
            "x",
        ],
        check=True,
    )
    assert repository.revisions(files_changed=False).commit != first.commit


def test_without_git_there_is_no_revision(committed, tmp_path):
    assert Repository(committed, {"PATH": str(tmp_path)}).revisions(files_changed=True) == Revisions()


def test_a_git_that_fails_is_a_warning_and_no_revision(committed, tmp_path, caplog):
    (tmp_path / "git").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    (tmp_path / "git").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert Repository(committed, environ).revisions(files_changed=True) == Revisions()
    assert "broken" in caplog.text


def test_a_git_that_hangs_once_is_told_once_and_asked_again(committed, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("runner.jobfiles.git.repository.TIMEOUT_SECONDS", 0.2)
    (tmp_path / "bin").mkdir()
    git = tmp_path / "bin/git"
    git.write_text("#!/bin/sh\nexec sleep 5\n")
    git.chmod(0o755)
    environ, skipped = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}, 0.0
    repository = Repository(committed, environ, monotonic=lambda: time.monotonic() + skipped)
    for _ in range(2):
        assert repository.revisions(files_changed=True) == Revisions()
        skipped += 3600
    assert repository.revisions(files_changed=False) == Revisions()
    assert caplog.messages == [
        f"git does not tell the revision of {committed}: it takes longer than 0 s. Try git status in the same folder"
    ]
    git.unlink()
    skipped += 3600
    monkeypatch.setattr("runner.jobfiles.git.repository.TIMEOUT_SECONDS", 10)
    assert repository.revisions(files_changed=False).commit


@pytest.mark.long
def test_edits_do_not_wait_again_and_again_for_a_git_that_hangs(committed, tmp_path, monkeypatch):
    monkeypatch.setattr("runner.jobfiles.git.repository.TIMEOUT_SECONDS", 2)
    (tmp_path / "bin").mkdir()
    asked = tmp_path / "asked"
    git = tmp_path / "bin/git"
    git.write_text(f"#!/bin/sh\necho >> {asked}\nexec sleep 5\n")
    git.chmod(0o755)
    repository = Repository(committed, {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
    for _ in range(10):
        assert repository.revisions(files_changed=True) == Revisions()
    assert asked.read_text() == "\n"


def test_the_environment_leads_git_nowhere_else(committed, git):
    environ = clean_environment({**os.environ, "GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/nowhere"})
    assert (environ["GIT_OPTIONAL_LOCKS"], environ["GIT_TERMINAL_PROMPT"]) == ("0", "0")
    assert Repository(committed, {**os.environ, "GIT_DIR": "/nowhere"}).revisions(files_changed=True).commit


def test_a_program_named_by_the_repository_is_not_run(committed, git, tmp_path):
    marker = tmp_path / "ran"
    git("config", "core.fsmonitor", f"touch {marker}; false")
    assert Repository(committed).revisions(files_changed=True).commit
    assert not marker.exists()
    assert find_root(committed) == tmp_path
