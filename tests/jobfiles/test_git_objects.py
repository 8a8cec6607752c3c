import os
import subprocess

import pytest

from runner.jobfiles.git.objects import ObjectStore
from runner.jobfiles.git.repository import GitError, clean_environment
from runner.jobfiles.git.tree import CommitFiles
from runner.jobfiles.read import MAX_BYTES


def test_entries_are_files_and_links_by_path(repo, store):
    names = ["a b.yaml", 'quo"te.yaml', "line\nfeed.yaml", "ü.yaml", b"raw\xff.yaml", "tab\t.yaml"]
    for name in names:
        repo.write(name)
    repo.link("link", "a b.yaml")
    found = store.entries(repo.commit())
    assert {os.fsencode(path) for path in found} == {*map(os.fsencode, names), b"link"}
    assert found["link"].mode == "120000"


@pytest.mark.long
def test_contents_come_in_order_and_large_ones_are_cut(repo, store):
    for number in range(1200):
        repo.write(f"{number:04}.yaml", f"number {number}\n")
    repo.write("large.yaml", b"x" * (3 * MAX_BYTES))
    repo.write("empty.yaml", b"")
    entries = store.entries(repo.commit())
    order = sorted(entries, reverse=True)
    found = dict(zip(order, store.contents(entries[path].object_id for path in order), strict=True))
    assert all(found[f"{number:04}.yaml"] == f"number {number}\n".encode() for number in range(1200))
    assert (len(found["large.yaml"]), found["empty.yaml"]) == (MAX_BYTES + 1, b"")


def test_a_submodule_is_left_out(repo, store, tmp_path):
    inner = type(repo)(tmp_path / "inner")
    inner.write("a.yaml")
    inner.commit()
    repo.write("b.yaml")
    repo.git("submodule", "add", "-q", str(inner.path), "jobs.d")
    assert set(store.entries(repo.commit())) == {".gitmodules", "b.yaml"}


def test_a_commit_is_found_by_every_kind_of_name(repo, store):
    one = repo.commit()
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.git("checkout", "-qb", "side")
    two = repo.commit()
    for name in ("main", "v1", one, one[:10], "HEAD~1", "side~1", "refs/heads/main"):
        assert store.find_commit(name).object_id == one
    assert store.find_commit("HEAD").object_id == two
    assert store.merge_base("main", "side") == one


@pytest.mark.parametrize("name", ["nothing", "-x", "--all", "a..b", "main:a.yaml", "main^{tree}", "a\0b", ""])
def test_what_is_no_commit_is_refused(repo, store, name):
    repo.write("a.yaml")
    repo.commit()
    with pytest.raises(GitError) as caught:
        store.find_commit(name)
    assert (caught.value.exit_code, bool(caught.value.hint)) == (3, True)


def test_a_branch_of_origin_stands_in(repo, tmp_path):
    commit = repo.commit()
    subprocess.run(["git", "clone", "-q", repo.path, tmp_path / "clone"], check=True, capture_output=True)
    subprocess.run(["git", "-C", tmp_path / "clone", "checkout", "-q", "--detach"], check=True)
    subprocess.run(["git", "-C", tmp_path / "clone", "branch", "-qD", "main"], check=True)
    with ObjectStore(tmp_path / "clone") as store:
        found = store.find_commit("main")
    assert (found.name, found.object_id) == ("origin/main", commit)


@pytest.mark.parametrize(
    ("name", "fetch"),
    [
        ("feature/a-1.2", "git fetch origin feature/a-1.2:refs/remotes/origin/feature/a-1.2."),
        ("origin/main", "git fetch origin main:refs/remotes/origin/main."),
        ("HEAD~99", "git fetch."),
        ("HEAD:jobs.d", "git fetch."),
        ("main@{1}", "git fetch."),
        ("--output=x", "git fetch."),
    ],
)
def test_only_what_can_be_a_branch_is_to_be_fetched(store, name, fetch):
    with pytest.raises(GitError) as caught:
        store.find_commit(name)
    assert caught.value.hint.endswith(f"comes by {fetch}")


def test_unrelated_histories_have_no_merge_base(repo, store):
    one = repo.commit()
    repo.git("checkout", "-q", "--orphan", "other")
    repo.write("other.yaml")
    assert store.merge_base(one, repo.commit()) is None


def test_no_repository_and_no_git(tmp_path, repo):
    with pytest.raises(GitError, match="no git repository"):
        ObjectStore(tmp_path)
    with pytest.raises(GitError, match="not installed"):
        ObjectStore(repo.path, {"PATH": str(tmp_path)})


def test_no_commit_yet(store):
    with pytest.raises(GitError, match="no commit yet"):
        store.find_commit("HEAD")


def test_a_folder_that_is_not_checked_out_is_of_the_repository(repo):
    with ObjectStore(repo.path / "not" / "there") as store:
        assert store.root == str(repo.path.resolve())


def test_a_bare_repository_is_read(repo, tmp_path):
    repo.write("jobs.d/a.yaml", "a: 1\n")
    repo.commit()
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", repo.path, bare], check=True, capture_output=True)
    with ObjectStore(bare) as store:
        assert (store.bare, store.root) == (True, str(bare.resolve()))
        source = CommitFiles(store, store.find_commit("main").object_id, root=store.root, project_dir=store.root)
        assert source.list_job_files("jobs.d").files == ("a.yaml",)


def test_another_owner_is_told_with_git_s_remedy(repo, tmp_path):
    (tmp_path / "git").write_text(
        "#!/bin/sh\n"
        "echo \"fatal: detected dubious ownership in repository at '/x'\" >&2\n"
        "echo 'To add an exception for this directory, call:' >&2\n"
        "echo >&2\nprintf '\\tgit config --global --add safe.directory /x\\n' >&2\nexit 128\n"
    )
    (tmp_path / "git").chmod(0o755)
    with pytest.raises(GitError, match="dubious ownership") as caught:
        ObjectStore(repo.path, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert "git config --global --add safe.directory /x" in caught.value.hint


def test_an_object_that_is_missing_is_told(repo, store):
    repo.write("a.yaml", "some text\n")
    entry = store.entries(repo.commit())["a.yaml"]
    (repo.path / ".git" / "objects" / entry.object_id[:2] / entry.object_id[2:]).unlink()
    with pytest.raises(GitError, match="no content") as caught:
        next(store.contents([entry.object_id]))
    assert caught.value.hint


def test_a_partial_clone_fetches_nothing(repo, tmp_path):
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.write("a.yaml", "some text\n")
    repo.commit()
    clone = tmp_path / "clone"
    subprocess.run(
        ["git", "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repo.path}", clone],
        check=True,
        capture_output=True,
    )
    marker = tmp_path / "ran"
    subprocess.run(
        ["git", "-C", clone, "config", "remote.origin.uploadpack", f"touch {marker}; git-upload-pack"], check=True
    )
    with ObjectStore(clone) as store:
        entry = store.entries(store.find_commit("HEAD").object_id)["a.yaml"]
        with pytest.raises(GitError, match="no content"):
            next(store.contents([entry.object_id]))
    assert not marker.exists()


def test_nothing_foreign_runs_and_no_other_repository_is_read(repo, tmp_path):
    marker = tmp_path / "ran"
    hook = repo.path / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    repo.write("a.yaml", "true\n")
    repo.write(".gitattributes", "*.yaml diff=spy filter=spy\n")
    one = repo.commit()
    repo.write("a.yaml", "false\n")
    two = repo.commit()
    for name, setting in (
        ("core.fsmonitor", f"touch {marker}"),
        ("diff.external", f"touch {marker}"),
        ("diff.spy.textconv", f"touch {marker}"),
        ("filter.spy.smudge", f"touch {marker}"),
        ("core.pager", f"touch {marker}"),
    ):
        repo.git("config", name, setting)
    marker.unlink(missing_ok=True)
    repo.git("replace", one, two)
    environ = {**os.environ, "GIT_DIR": "/nowhere", "GIT_EXTERNAL_DIFF": f"touch {marker}"}
    with ObjectStore(repo.path, environ) as store:
        source = CommitFiles(store, one, root=store.root, project_dir=store.root)
        assert source.read("a.yaml", "a.yaml").text == "true\n"
    assert not marker.exists()
    assert clean_environment(environ)["GIT_NO_REPLACE_OBJECTS"] == "1"
