import tempfile

from runner.scratch import open_scratch


def test_a_scratch_file_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with open_scratch() as file:
        file.write(b"said")
        file.seek(0)
        assert file.read() == b"said"
    assert not list(tmp_path.iterdir())
