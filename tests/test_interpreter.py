import json
import subprocess
from pathlib import Path

import runner
from runner.interpreter import python_command

TELL = """
import json, os, runner, sys
def main():
    print(json.dumps([runner.__file__, sys.argv[1:], sys.path, sorted(os.environ)]))
"""


def test_another_python_imports_what_this_one_does(tmp_path, monkeypatch):
    (tmp_path / "tell.py").write_text(TELL)
    (tmp_path / "json.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = subprocess.run(python_command("tell", "a", "b"), capture_output=True, cwd="/", check=True, env={})
    code, words, path, environ = json.loads(done.stdout)
    assert code == runner.__file__
    assert words == ["a", "b"]
    assert str(tmp_path) in path
    assert set(environ) <= {"LC_CTYPE"}
    packages = next(place for place, one in enumerate(path) if one.endswith("-packages"))
    assert path.index(str(Path(runner.__file__).parent.parent)) <= packages
