from runner.jobfiles.read import MAX_BYTES, JobFile, ReadFault
from runner.jobfiles.walk import list_job_files


def test_files_are_read_as_on_disk(repo, files):
    repo.write("jobs.d/a.yaml", "a: 1\n")
    repo.write("jobs.d/latin.yaml", b"a: \xff\n")
    repo.write("jobs.d/large.yaml", b"#" * (MAX_BYTES + 1))
    repo.write("jobs.d/nul.yaml", b"a\0b")
    source = files()
    for prepared in (False, True):
        if prepared:
            source.fetch(["jobs.d/a.yaml", "jobs.d/large.yaml", "jobs.d/none.yaml"])
        answer = source.read("jobs.d/a.yaml", "shown.yaml")
        assert isinstance(answer, JobFile)
        assert (answer.path, answer.text) == ("shown.yaml", "a: 1\n")
        rules = [source.read(f"jobs.d/{name}.yaml", "x") for name in ("latin", "large", "nul", "none")]
        assert all(isinstance(one, ReadFault) for one in rules)
        assert [one.finding.rule for one in rules] == ["not-utf8", "too-large", "bad-character", "missing-file"]
    assert source.read("jobs.d", "x").finding.rule == "not-a-file"
    repo.write(b"jobs.d/raw\xff.yaml", "a: 1\n")
    assert files().read("jobs.d/raw\udcff.yaml", "jobs.d/raw\ufffd.yaml").finding.rule == "not-utf8"


def test_probe_tells_contents_apart(repo, files):
    repo.write("a.sql", "1")
    first = files()
    repo.write("b.txt", "1")
    second = files()
    repo.write("a.sql", "2")
    third = files()
    keys = [source.probe("a.sql", by_content=True) for source in (first, second, third)]
    assert keys[0] == keys[1] != keys[2]
    assert first.probe("a.sql", by_content=False) == (0, 0, 0, 0)
    assert first.probe("b.txt", by_content=False) is None
    assert first.object_id("a.sql") != third.object_id("a.sql")


def test_links_are_followed_inside_the_tree(repo, files, tmp_path):
    repo.write("real/deep/a.yaml", "a: 1\n")
    repo.link("jobs.d", "real")
    repo.link("real/near.yaml", "deep/a.yaml")
    repo.link("real/up.yaml", "../real/./deep/../deep/a.yaml")
    repo.link("real/absolute.yaml", repo.path / "real" / "deep" / "a.yaml")
    repo.link("real/circle.yaml", "circle.yaml")
    repo.link("real/out.yaml", "/etc/hostname")
    repo.link("real/away.yaml", "../../elsewhere.yaml")
    repo.link("real/again", "deep")
    source = files()
    for name in ("near", "up", "absolute"):
        assert source.read(f"jobs.d/{name}.yaml", "x").text == "a: 1\n"
    for name in ("circle", "out", "away"):
        assert source.read(f"jobs.d/{name}.yaml", "x").finding.rule == "missing-file"
    assert source.real_path("jobs.d/again/a.yaml") == "real/deep/a.yaml"
    assert source.real_path("jobs.d/out.yaml").endswith("/etc/hostname")
    assert source.real_path("jobs.d/away.yaml") == "../elsewhere.yaml"
    assert source.real_path("not/there/../x") == "not/x"
    assert source.real_path(str(repo.path / "real")) == "real"
    assert source.list_job_files("jobs.d").files == (
        "absolute.yaml",
        "away.yaml",
        "circle.yaml",
        "deep/a.yaml",
        "near.yaml",
        "out.yaml",
        "up.yaml",
    )


def test_job_files_are_listed_as_on_disk(repo, files):
    for name in (
        "a.yaml",
        "b.yml",
        "B.YML",
        "c.txt",
        "d.Yaml",
        "_defaults.yaml",
        ".hidden.yaml",
        ".git-sync/d.yaml",
        "x/y/z.yaml",
    ):
        repo.write(f"jobs.d/{name}")
    repo.write("other/e.yaml")
    repo.write("jobs.d/x/_draft/f.yaml")
    repo.link("jobs.d/linked", "../other")
    repo.link("jobs.d/same", "x")
    source = files()
    assert source.list_job_files("jobs.d") == list_job_files(repo.path / "jobs.d")
    assert "linked/e.yaml" in source.list_job_files("jobs.d").files
    assert source.list_job_files("nothing") is None
    assert source.list_job_files("jobs.d/a.yaml") is None


def test_locations_are_those_of_the_project(repo, files):
    repo.write("team/jobs.d/a.yaml", "a: 1\n")
    repo.write("shared.sql", "SELECT 1")
    source = files(repo.path / "team")
    assert source.read("jobs.d/a.yaml", "x").text == "a: 1\n"
    assert source.probe("../shared.sql", by_content=False)
    assert source.probe(str(repo.path / "shared.sql"), by_content=False)
    assert source.probe("/etc/hostname", by_content=False) is None
    above = files(repo.path.parent)
    assert above.list_job_files("repo/team/jobs.d").files == ("a.yaml",)
