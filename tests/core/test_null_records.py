import jmespath
import pytest
from jmespath.visitor import TreeInterpreter

from runner.core.null_records import leads_to_null


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("items", {"items": None}),
        ('"my items"', {"my items": None}),
        ("data.items", {"data": {"items": None}}),
        ("data.orders.items", {"data": {"orders": {"items": None}}}),
        ("data.orders.items.order.id", {"data": {"orders": {"items": {"order": {"id": None}}}}}),
        ("data[0].items", {"data": [{"items": None}]}),
        ("data[0][1]", {"data": [[{}, None]]}),
        ("data[0][1].items", {"data": [[{}, {"items": None}]]}),
        ("data.orders[0].items[:2]", {"data": {"orders": [{"items": None}]}}),
        ("data[-1].items", {"data": [{}, {"items": None}]}),
        ("items[]", {"items": None}),
        ("items[*].order", {"items": None}),
        ("items[?n > `1`].order", {"items": None}),
        ("items[:2]", {"items": None}),
        ("items.*", {"items": None}),
        ("items | [?n]", {"items": None}),
        ("all[?n] | [0].items", {"all": [{"items": [1]}, {"n": 1, "items": None}]}),
        ("all[*].data | [0].items", {"all": [{"data": {"items": None}}]}),
        ("(all[?n])[0].items[*].id", {"all": [{"items": [1]}, {"n": 1, "items": None}]}),
        ("all[?n] | @ | [-1].items", {"all": [{"n": 1, "items": None}, {"items": [1]}]}),
        ("@", None),
        ("items", {"items": None, "errors": []}),
        ("items", {"items": None, "errors": None, "error": "no orders"}),
    ],
)
def test_a_null_that_is_there(path, document):
    assert leads_to_null(jmespath.compile(path).parsed, document, TreeInterpreter().visit)
    assert jmespath.search(path, document) is None


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("items", {}),
        ("items", None),
        ("items", "items"),
        ("items", [{"items": None}]),
        ("data.items", {"data": None}),
        ("data.items", {"data": {}}),
        ("data.orders.items", {"data": {"orders": None}}),
        ("data.orders.items", {"data": {"orders": {}}}),
        ("data[0][1]", {"data": [None]}),
        ("data[0][1].items", {"data": [[{}, None]]}),
        ("data.items", {"items": None}),
        ("data[1].items", {"data": [{"items": None}]}),
        ("data[0].items", {"data": {"items": None}}),
        ("items[*].order", {"error": None}),
        ("items", {"items": []}),
        ("items", {"items": 0}),
        ("all[?n] | [0].items", {"all": [{"items": None}]}),
        ("all[?n] | [0].items", {"all": [{"items": None}, {"n": 1}]}),
        ("all[?n] | [0].items", {"all": None}),
        ("all[*].data | [0].items", {"all": [{"items": None, "data": {}}]}),
        ("all[*] | @", {"all": {}}),
        ("items || other", {"items": None}),
        ("to_array(items)", {"items": None}),
        ("items", {"items": None, "errors": [{"message": "rate limited"}]}),
    ],
)
def test_what_is_no_null_or_is_missing(path, document):
    assert not leads_to_null(jmespath.compile(path).parsed, document, TreeInterpreter().visit)
