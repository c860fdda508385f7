"""JSON from outside: whatever arrives can be stored by PostgreSQL and written by the API."""

import json

import orjson
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from core.db.json_values import (
    MAX_DEPTH,
    MAX_NUMBER,
    MIN_NUMBER,
    TOO_DEEP,
    as_text,
    dumps,
    loads,
    storable,
)

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)  # with lone surrogates
INTEGERS = st.integers(-(10**40), 10**40)


def json_of(*leaves):
    return st.recursive(
        st.one_of(st.none(), st.booleans(), INTEGERS, TEXTS, *leaves),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    )


def nested(levels, value=1):
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "no \ud83d"}', {"a": "no \ufffd"}),
        (r'{"\ude00": "\ude00\ud83d"}', {"\ufffd": "\ufffd\ufffd"}),
        (r'["\ud83d\ude00"]', ["\U0001f600"]),
        (r'["a\u0000b", {"\u0000": 1}]', ["a\ufffdb", {"\ufffd": 1}]),
        ('["a\tb"]', ["a\tb"]),
        ("[1e30, -1e30, 1e400, -1e400]", [MAX_NUMBER, MIN_NUMBER] * 2),
        (f"[{2**63 - 1}, {2**63}, {2**64}]", [MAX_NUMBER] * 3),
        (f"[{-(2**63)}, {-(2**63) - 1}, {-(2**64)}]", [MIN_NUMBER] * 3),
        ("[5.391286373068982e+16, 1e15]", [int(5.391286373068982e16), 1e15]),
        (f"[{'9' * 5000}, 9223372036854775808.0]", [MAX_NUMBER] * 2),
        ("[NaN, Infinity, -Infinity]", [None, MAX_NUMBER, MIN_NUMBER]),
        ("[1.5, -0.25, true, null]", [1.5, -0.25, True, None]),
    ],
)
def test_odd_values_become_storable_ones(text, value):
    result = storable(loads(text))

    assert result == value
    assert [type(each) for each in result] == [type(each) for each in value]


@pytest.mark.parametrize(
    "text", ["", "{", "nul", '{"a": }', "[" * 100_000 + "]" * 100_000, '"\ud83d']
)
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        loads(text)


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1, 900])
def test_deep_nesting_is_cut(levels):
    result = storable(loads(json.dumps(nested(levels))))

    assert result == (nested(levels) if levels <= MAX_DEPTH else nested(MAX_DEPTH, TOO_DEEP))
    assert orjson.dumps({"data": [{"payload": result}]})


def test_text_of_other_values_is_json():
    values = [None, "", "None", 421, 4.2, True, ["a", None], {"a": "b"}, 10**30]

    assert [as_text(value) for value in values] == [
        *("", "", "None", "421", "4.2", "true", '["a",null]', '{"a":"b"}', str(MAX_NUMBER)),
    ]


@pytest.mark.django_db
@given(json_of(st.floats()))
def test_storable_values_survive_postgresql_and_orjson(value):
    stored = storable(value)
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [Jsonb(stored)])
        (text,) = cursor.fetchone()

    assert json.loads(text) == stored
    assert orjson.loads(orjson.dumps(stored)) == stored
    assert storable(stored) == stored


@given(json_of(st.floats(allow_nan=False, allow_infinity=False)))
def test_dumps_writes_every_value(value):
    assert storable(orjson.loads(dumps(value))) == storable(value)
