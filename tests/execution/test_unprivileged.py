"""The sandbox as a user without any privilege has it, whoever runs the tests."""

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
PROGRAM = """
import dataclasses, json, os, socket, sys, threading
from pathlib import Path
from runner.core.job import Step, StepKind
from runner.core.source import FileType
from runner.execution.orders import StepInput, StepOrder
from runner.execution.zygote import Zygote

folder = Path(sys.argv[1])
status = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
socket.socket().close()
(folder / "in.csv").write_text("a,b\\n1,x\\n2,y\\n3,x\\n")
told = {
    "user": [*os.getresuid(), *os.getresgid()],
    "groups": os.getgroups(),
    "capabilities": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")],
    "reads": (folder / "readable").read_text(),
    "steps": {},
}
zygote = Zygote(sandbox_mode="strict", waiting=1)
zygote.start()
told |= {"level": zygote.level, "missing": zygote.missing}
for name, (kind, text) in json.loads(sys.argv[2]).items():
    run_dir = folder / name
    run_dir.mkdir()
    order = StepOrder(
        run_id=name,
        step=Step(kind=StepKind(kind), text=text, path="jobs.d/unprivileged.yaml"),
        inputs=(StepInput(paths=(str(folder / "in.csv"),), format=FileType.CSV),),
        run_dir=str(run_dir),
        allowed_imports=("ctypes", "socket"),
        memory_mb=256,
        timeout_seconds=20.0,
    )
    outcome = zygote.run_step(order, cancelled=threading.Event())
    told["steps"][name] = {
        "sandbox": outcome.sandbox,
        "result": (run_dir / outcome.result_file).read_text() if outcome.result_file else None,
        "failure": outcome.failure and [outcome.failure.kind, outcome.failure.message],
    }
zygote.close()
print(json.dumps(told))
"""


def closed_folders(paths):
    """The topmost folders above some paths that only their owner may enter."""
    found = set()
    for path in paths:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                found.add(folder)
                break
    return found


def opened(closed, paths, stage):
    """Shell commands that put an empty folder, open to all, over each closed one, and the paths back in their places.

    Nothing is copied and no mode is changed: they must run in a mount namespace of their own, which ends with them.
    """
    kept = sorted(path for path in paths if closed & {*path.parents})
    kept = [path for path in kept if not {*kept} & {*path.parents}]
    lines = ["set -e"]
    for number, path in enumerate(kept):
        lines += [f"mkdir {stage}/{number}", f"mount --rbind {shlex.quote(str(path))} {stage}/{number}"]
    lines += [f"mount -t tmpfs -o mode=0755 tmpfs {shlex.quote(str(folder))}" for folder in sorted(closed)]
    for number, path in enumerate(kept):
        place = shlex.quote(str(path))
        lines += [f"mkdir -p {place}", f"mount --move {stage}/{number} {place}"]
    return "\n".join([*lines, 'exec "$@"'])


def command_of_nobody(command, folder, stage):
    """The same command, for a user who owns `folder` alone, and reads this Python and its libraries all the same."""
    if os.geteuid() != 0:
        return command
    tools = {name: shutil.which(name) for name in ("setpriv", "unshare", "mount")}
    if not tools["setpriv"]:
        pytest.skip("there is no setpriv to change the user with")
    dropped = [tools["setpriv"], f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    imported = filter(os.path.isdir, sys.path)
    prefixes = (sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), ROOT, *imported)
    paths = {Path(path).resolve() for path in prefixes}
    if not all(path.stat().st_mode & stat.S_IXOTH for path in paths):
        pytest.skip("this Python, or what it imports, is for root alone")
    paths.add(folder.resolve())
    closed = closed_folders(paths)
    if not closed:
        return dropped
    alone = [tools["unshare"] or "unshare", "--mount", "--propagation", "private"]
    if not all(tools.values()) or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"nobody but root can read this Python below {', '.join(map(str, closed))}")
    return [*alone, "sh", "-c", opened(closed, paths, stage), "sh", *dropped]


@pytest.fixture
def run_as_nobody():
    """Runs steps, a name → its kind and text, as that user, and answers with what came of each."""
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as stage:
        folder = Path(name)
        (folder / "readable").write_text("theirs")
        (folder / "readable").chmod(0o644)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)

        def running(steps):
            command = [sys.executable, "-c", PROGRAM, name, json.dumps(steps).replace("FOLDER", name)]
            done = subprocess.run(
                command_of_nobody(command, folder, stage),
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        yield running


ATTACK = """
import ctypes, socket
try:
    {line}
    result = "allowed"
except Exception as error:
    result = type(error).__name__
"""


def test_the_sandbox_needs_no_privilege(zygote, run_as_nobody):
    if not zygote.level.startswith("landlock+seccomp"):
        pytest.skip(f"this machine gives {zygote.level}")
    attacks = {
        "reads": "open('FOLDER/readable').read()",
        "writes": "open('FOLDER/in.csv', 'w')",
        "spies": "open('/proc/self/root/etc/passwd').read()",
        "dials": "socket.socket()",
        "forks": "__import__('os').fork()",
        "signals": "__import__('os').kill(-1, 9)",
    }
    told = run_as_nobody(
        {
            "script": ("script", "result = data.groupby('b', as_index=False)['a'].sum()"),
            "query": ("query", "SELECT b, sum(a)::BIGINT AS a FROM data GROUP BY b ORDER BY b"),
            "spill": ("query", "SELECT count(*) AS n FROM (SELECT DISTINCT range FROM range(2000000))"),
            **{name: ("script", ATTACK.format(line=line)) for name, line in attacks.items()},
            "memory": ("script", "x = bytearray(10 << 30)"),
        }
    )
    if os.geteuid() == 0:
        assert told["user"] == [NOBODY] * 6
        assert told["groups"] == []
    assert {int(word, 16) for word in told["capabilities"]} == {0}
    assert told["reads"] == "theirs"
    assert told["level"].removesuffix("+namespaces") == "landlock+seccomp"
    if not told["level"].endswith("namespaces"):
        assert [reason.startswith("no namespaces: ") for reason in told["missing"]] == [True]
    steps = told["steps"]
    assert {step["sandbox"] for step in steps.values()} == {told["level"]}
    assert steps["script"]["result"] == steps["query"]["result"] == "b,a\nx,4\ny,2\n"
    assert steps["spill"]["result"] == "n\n2000000\n"
    assert {name: steps[name]["result"] for name in attacks} == dict.fromkeys(attacks, "result\nPermissionError\n")
    assert steps["memory"]["failure"][0] == "memory"
