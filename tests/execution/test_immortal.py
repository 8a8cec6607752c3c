import json
import subprocess
import sys
import textwrap

import pytest

# Before that release every reference is counted: nothing may be touched there.
HAS_IMMORTALS = sys.version_info >= (3, 12)
PROGRAM = """
    import json, sys, weakref
    from runner.execution.immortal import make_immortal

    class Kind:
        pass

    def work(text):
        return text + "a constant of its own", ("part of a tuple", 123456)

    old = Kind()
    watched = [Kind, work, work.__code__, work.__code__.co_consts, "a constant of its own", old, sys.modules]
    former = [sys.getrefcount(one) for one in watched]
    followed = make_immortal()
    same = [sys.getrefcount(one) == sys.getrefcount(None) for one in watched]
    kept = [sys.getrefcount(one) for one in watched] == former

    new, last = Kind(), weakref.ref(old)
    gone = weakref.ref(new)
    list_of_one = [new]
    counted = sys.getrefcount(new)
    del new, list_of_one, old, watched
    again = make_immortal()
    work("x")
    print(json.dumps([followed, again, same, kept, counted, gone() is None, last() is not None]))
"""


@pytest.fixture(scope="module")
def found():
    # In a process of its own: it never frees again what it has.
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    return json.loads(subprocess.run(program, capture_output=True, check=True, timeout=60).stdout)


def test_what_is_there_is_counted_no_more(found):
    followed, again, same, kept, *_, last = found
    assert (followed > 10_000, again > 10_000) == (HAS_IMMORTALS, HAS_IMMORTALS)
    assert set(same) == {HAS_IMMORTALS}
    assert kept is not HAS_IMMORTALS
    assert last is HAS_IMMORTALS


def test_what_is_made_later_is_counted_and_freed(found):
    *_, counted, gone, _ = found
    assert counted == 3
    assert gone


def test_a_script_finds_the_libraries_immortal_and_its_own_objects_mortal(bench):
    script = """\
        import sys, weakref
        frame = data.copy()
        watch = weakref.ref(frame)
        counts = [sys.getrefcount(one) for one in (pd.DataFrame, pd.DataFrame.groupby, np.ndarray)]
        del frame
        result = pd.DataFrame({"immortal": [count == sys.getrefcount(None) for count in counts], "gone": watch() is None})
    """
    outcome = bench.run(textwrap.dedent(script))
    assert outcome.failure is None
    assert outcome.preview.rows == ((str(HAS_IMMORTALS), "True"),) * 3
