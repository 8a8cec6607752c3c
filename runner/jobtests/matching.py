"""Which rows of a result are which of the expected ones, whatever their order. Pure.

With a tolerance "the same" is no equivalence: 1.0 may be 1.4, and 1.4 be 1.8, where 1.0 is not 1.8. So rows are
not sorted and compared; as many pairs as possible are found. What makes that fast: rows are grouped first by what
each cell must have in common with its partner (its text, or the cluster of numbers it lies in), and in nearly
every table each group has one row on each side. Only where numbers lie closer than the tolerance is there a
choice, and augmenting paths over distinct rows, with their counts, decide it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runner.jobtests.cells import Number, matches, number_of, reach, truth_of
from runner.jobtests.values import Cell

Row = tuple[Cell, ...]
TextRow = tuple[str, ...]
# What two cells that match have in common.
_Class = tuple[str, object]


def unmatched_rows(
    expected: Sequence[Row], got: Sequence[TextRow], tolerance: float | None
) -> tuple[list[int], list[int]]:
    """The places of the expected rows, and of the rows of the result, that have no partner; as few as can be."""
    width = len(expected[0]) if expected else len(got[0]) if got else 0
    columns = [
        _Classes([row[place] for row in expected], [row[place] for row in got], tolerance)
        for place in range(width)
    ]
    groups: dict[tuple[_Class, ...], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for number, wanted in enumerate(expected):
        groups[tuple(map(_Classes.of, columns, wanted))][0].append(number)
    for number, found in enumerate(got):
        groups[tuple(map(_Classes.of, columns, found))][1].append(number)
    missing: list[int] = []
    surplus: list[int] = []
    for wanted_places, found_places in groups.values():
        if wanted_places and found_places:
            left = _Pairing(expected, got, wanted_places, found_places, tolerance).unmatched()
        else:
            left = wanted_places, found_places
        missing.extend(left[0])
        surplus.extend(left[1])
    return sorted(missing), sorted(surplus)


class _Classes:
    """The class of each cell of one column: cells that match are of one class; the reverse need not hold."""

    def __init__(self, expected: Iterable[Cell], got: Iterable[str], tolerance: float | None) -> None:
        numbers = {number for cell in (*expected, *got) if (number := _number(cell)) is not None}
        self._clusters = _clusters(sorted(numbers), tolerance)

    def of(self, cell: Cell) -> _Class:
        """The class of an expected cell, or of one of the result."""
        number = _number(cell)
        if number is not None:
            return "number", self._clusters[number]
        if cell is None:
            return "text", ""
        truth = truth_of(cell) if isinstance(cell, str) else cell
        return ("text", cell) if truth is None else ("truth", truth)


def _number(cell: Cell) -> Number | None:
    if isinstance(cell, str):
        return number_of(cell)
    return None if cell is None or isinstance(cell, bool) else cell


def _clusters(numbers: Sequence[Number], tolerance: float | None) -> dict[Number, int]:
    """Sorted, distinct numbers → which of them may be close, directly or through others between them."""
    starts: list[int] = []  # where each cluster begins in `numbers`
    far = float("-inf")  # how far to the right a number of the last cluster reaches
    for place, number in enumerate(numbers):
        span = reach(number, tolerance)
        own = place
        if starts and number <= far:
            own = starts.pop()
        while starts and number - span <= numbers[own - 1]:
            own = starts.pop()
        far = max(far, number + span) if own != place else number + span
        starts.append(own)
    clusters: dict[Number, int] = {}
    for place, start in enumerate(starts):
        end = starts[place + 1] if place + 1 < len(starts) else len(numbers)
        clusters.update(dict.fromkeys(numbers[start:end], place))
    return clusters


@dataclass(kw_only=True, slots=True)
class _Node:
    """A distinct row of one side: where it stands, how many of it are free, with whom the others are paired."""

    places: list[int]
    free: int
    partners: dict[int, int] = field(default_factory=dict)

    def leftover(self) -> list[int]:
        return self.places[len(self.places) - self.free :]


class _Pairing:
    """The rows of one group, paired: a flow from distinct expected rows to distinct rows of the result."""

    def __init__(
        self,
        expected: Sequence[Row],
        got: Sequence[TextRow],
        wanted: Sequence[int],
        found: Sequence[int],
        tolerance: float | None,
    ) -> None:
        self._tolerance = tolerance
        # 1, 1.0 and true are one key to a dict; to a column they are not.
        left = _distinct((tuple((type(cell), cell) for cell in expected[place]), place) for place in wanted)
        right = _distinct((got[place], place) for place in found)
        self._wanted = [expected[places[0]] for places in left]
        self._left = [_Node(places=places, free=len(places)) for places in left]
        self._pivot, values = self._sort_by(right, got)
        self._found = [got[places[0]] for places in right]
        self._right = [_Node(places=places, free=len(places)) for places in right]
        self._values = values
        self._free = sum(len(places) for places in right)
        self._dead: set[int] = set()

    def unmatched(self) -> tuple[list[int], list[int]]:
        """The places of both sides that no pairing can take in."""
        self._pair_identical()
        for number, node in enumerate(self._left):
            for other in self._near(self._wanted[number]) if node.free else ():
                if self._right[other].free and self._match(number, other):
                    self._pair(number, other)
                    if not node.free:
                        break
        for number, node in enumerate(self._left):
            while node.free and self._free and self._augment(number):
                pass
        return (
            [place for node in self._left for place in node.leftover()],
            [place for node in self._right for place in node.leftover()],
        )

    def _sort_by(self, right: list[list[int]], got: Sequence[TextRow]) -> tuple[int, list[Number]]:
        """Sort the right side by its column of numbers with the most values; where there is none, by none."""
        best, most = -1, 1
        for column in range(len(got[right[0][0]])):
            values = {number_of(got[places[0]][column]) for places in right}
            if None not in values and len(values) > most:
                best, most = column, len(values)
        if best < 0:
            return best, []
        keyed = sorted((number_of(got[places[0]][best]) or 0, places) for places in right)
        right[:] = [places for _, places in keyed]
        return best, [value for value, _ in keyed]

    def _pair_identical(self) -> None:
        """Pair rows of the same values first: in most tables that leaves nothing to choose."""
        right = {tuple(map(_number, found)): other for other, found in enumerate(self._found)}
        for number, wanted in enumerate(self._wanted):
            other = right.get(tuple(map(_number, wanted)))
            if other is not None and self._match(number, other):
                self._pair(number, other)

    def _match(self, number: int, other: int) -> bool:
        pairs = zip(self._wanted[number], self._found[other], strict=True)
        return all(matches(cell, text, self._tolerance) for cell, text in pairs)

    def _near(self, wanted: Row) -> range:
        """Where in the sorted right side a partner can stand."""
        value = _number(wanted[self._pivot]) if self._pivot >= 0 else None
        if value is None:
            return range(len(self._right))
        # A partner may be the larger one, and reach further: at most by the sum of all powers of the tolerance.
        relative = self._tolerance if self._tolerance is not None else 1e-9
        if relative >= 0.5:
            return range(len(self._right))
        span = reach(value, self._tolerance) / (1 - relative)
        return range(bisect_left(self._values, value - span), bisect_right(self._values, value + span))

    def _pair(self, number: int, other: int) -> None:
        """Pair as many of two rows that match as are free."""
        left, right = self._left[number], self._right[other]
        count = min(left.free, right.free)
        if count:
            left.free -= count
            right.free -= count
            self._free -= count
            right.partners[number] = right.partners.get(number, 0) + count

    def _augment(self, start: int) -> bool:
        """Find a partner for one more of a row by giving others new ones; what a vain search saw is settled."""
        came_from: dict[int, int] = {}  # right → the left one that it was reached from
        reached_by: dict[int, int] = {}  # left → the right one whose partner it is
        waiting = [start]
        seen = {start}
        while waiting:
            number = waiting.pop()
            for other in self._near(self._wanted[number]):
                if other in came_from or other in self._dead or not self._match(number, other):
                    continue
                came_from[other] = number
                if self._right[other].free:
                    self._shift(start, other, came_from, reached_by)
                    return True
                for partner in self._right[other].partners:
                    if partner not in seen:
                        seen.add(partner)
                        reached_by[partner] = other
                        waiting.append(partner)
        self._dead.update(came_from)
        return False

    def _shift(self, start: int, end: int, came_from: dict[int, int], reached_by: dict[int, int]) -> None:
        """Carry one row along the path that was found."""
        self._left[start].free -= 1
        self._right[end].free -= 1
        self._free -= 1
        other = end
        while True:
            number = came_from[other]
            partners = self._right[other].partners
            partners[number] = partners.get(number, 0) + 1
            if number == start:
                return
            other = reached_by[number]
            partners = self._right[other].partners
            partners[number] -= 1
            if not partners[number]:
                del partners[number]


def _distinct(rows: Iterable[tuple[object, int]]) -> list[list[int]]:
    """The places of each distinct row, in order of appearance."""
    places: dict[object, list[int]] = defaultdict(list)
    for row, place in rows:
        places[row].append(place)
    return list(places.values())
