import faulthandler
import os
import signal
from pathlib import Path

import pytest

from runner.jobfiles import workers
from runner.jobfiles.look import Looked, Target, look_at
from runner.jobfiles.verdict import Verdict
from runner.jobfiles.workers import look_in_parallel

CASES = Path(__file__).parents[1] / "acceptance" / "jobfiles"


@pytest.fixture
def targets(context):
    files = sorted([*(CASES / "good").glob("*.yaml"), *(CASES / "bad").glob("*.yaml")])[:60]
    return [Target(str(file), file.name, context) for file in files]


def verdicts(answers):
    return [answer.verdict for answer in answers]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_workers_find_what_one_process_finds(targets, count):
    answers = look_in_parallel(targets, workers=count)
    assert verdicts(answers) == verdicts(look_at(targets))
    assert any(verdict.diagnostics for verdict in verdicts(answers))


@pytest.mark.long
def test_a_file_that_kills_its_worker_takes_no_other_along(targets, monkeypatch):
    deadly = targets[7].shown

    def deadly_look(targets):
        if any(target.shown == deadly for target in targets):
            faulthandler.disable()  # it would write over the report of the tests
            os.kill(os.getpid(), signal.SIGSEGV)
        return [Looked(Verdict(path=target.shown, digest="x")) for target in targets]

    monkeypatch.setattr(workers, "look_at", deadly_look)
    found = verdicts(look_in_parallel(targets, workers=2))
    assert [verdict.path for verdict in found] == [target.shown for target in targets]
    assert [verdict.path for verdict in found if verdict.diagnostics] == [deadly]
    assert found[7].diagnostics[0].rule == "internal-error"


def test_an_interrupted_parent_leaves_no_worker_behind(targets, monkeypatch):
    monkeypatch.setattr(workers, "look_at", lambda _targets: signal.pause())
    monkeypatch.setattr(workers._Child, "answer", lambda _self: (_ for _ in ()).throw(KeyboardInterrupt))
    pids, fork = [], os.fork
    monkeypatch.setattr(os, "fork", lambda: pids.append(fork()) or pids[-1])
    with pytest.raises(KeyboardInterrupt):
        look_in_parallel(targets, workers=2)
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
