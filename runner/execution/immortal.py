"""Objects that live for ever: what reads them writes nothing, so their memory stays shared with the children.

Each use of an object counts a reference in it, and the first such count on a page copies that page for the child.
From CPython 3.12 on, an object whose count says so is not counted any more (PEP 683, "Immortal Objects, Using a
Fixed Refcount"). There is no call for it before 3.15, so the count of None is written over the others': a field of
32 bits at the beginning of an object, in each release that has a lock for all threads.
"""

import ctypes
import gc
import sys
import sysconfig
from types import CodeType

import numpy as np

_FIRST_IMMORTAL = 1 << 31
_FIELD = ctypes.sizeof(ctypes.c_uint32)
# What refers to other objects, but cannot be part of a cycle, or holds nothing yet that could.
_NOT_COLLECTED = (tuple, dict, CodeType)


def make_immortal() -> int:
    """Give everything that this process has the count of None. To be called once, before it forks.

    Whatever is there stays until the process ends, also what nobody refers to any more. What is made later is
    counted and freed as ever.

    Returns:
        How many references to objects were followed; 0 where this interpreter counts every reference, or keeps its
        counts elsewhere.
    """
    if not _has_counts_like_none():
        return 0
    holders = gc.get_objects()
    _set_counts(holders)
    followed = len(holders)
    while holders:
        held = gc.get_referents(*holders)
        # The collector does not ask code what it refers to.
        for one in holders:
            if type(one) is CodeType:
                held += [one.co_names, one.co_consts]
        _set_counts(held)
        followed += len(held)
        # What the collector knows has had its turn.
        fresh = {id(one): one for one in held if type(one) in _NOT_COLLECTED and not gc.is_tracked(one)}
        holders = list(fresh.values())
    return followed


def _set_counts(ones: list[object]) -> None:
    if not ones:
        return
    places = np.fromiter(map(id, ones), dtype=np.int64, count=len(ones))
    lowest = int(places.min())
    # The memory from the first object to the last as one array, of which only the counts are touched.
    fields = (ctypes.c_uint32 * ((int(places.max()) - lowest) // _FIELD + 1)).from_address(lowest)
    np.ctypeslib.as_array(fields)[(places - lowest) // _FIELD] = _count(None).value


def _has_counts_like_none() -> bool:
    """Try it on an object of our own."""
    is_known = (
        sys.implementation.name == "cpython"
        and sys.version_info >= (3, 12)
        and sys.byteorder == "little"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
    )
    if not is_known:
        return False
    probe = object()
    count = _count(probe)
    former = count.value
    if _count(None).value < _FIRST_IMMORTAL or former > sys.getrefcount(probe):
        return False
    count.value = _count(None).value
    try:
        return sys.getrefcount(probe) == sys.getrefcount(None)
    finally:
        count.value = former


def _count(one: object) -> ctypes.c_uint32:
    """Where the references of an object are counted."""
    return ctypes.c_uint32.from_address(id(one))
