from typing import Annotated

import pytest
from pydantic import AfterValidator, Field

from core.api.bodies import RequestBody, Text, invalid_fields
from core.errors import ValidationFailed


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


def _reject(value: str) -> str:
    raise ValueError(f"`{value}` is not `y`")


class File(RequestBody):
    content: Text
    size: Annotated[int, AfterValidator(_even)] = 0


class Message(RequestBody):
    to: str | list[str]
    attachments: list[File] = []
    headers: dict[Text, Text] = {}


def problems(data, **more):
    with pytest.raises(ValidationFailed) as caught:
        Message.parse(data, **more)
    return caught.value.name, caught.value.details["fields"]


def test_a_field_inside_a_list_is_reported_by_its_path():
    name, fields = problems({"to": "a", "attachments": [{"content": "x"}, {"content": 5}]})
    assert name == "validation_error"
    assert fields == {"attachments.1.content": "must be a string"}


def test_all_invalid_fields_are_reported_at_once():
    _, fields = problems({"to": 5, "attachments": [{"size": 1}], "nonsense": True})
    assert fields["to"] == "must be a string"
    assert fields["attachments.0.content"] == "is required"
    assert fields["attachments.0.size"] == "must be even"
    assert fields["nonsense"] == "is not a field of this request"
    assert len(fields) == 4


def test_only_missing_fields_have_their_own_error_name():
    assert problems({}) == ("missing_required_field", {"to": "is required"})
    name, _ = problems({"nonsense": 1})
    assert name == "validation_error"


@pytest.mark.parametrize("body", [[1], [{}], "text", 5, None, True])
def test_a_body_that_is_not_an_object_is_reported_as_body(body):
    _, fields = problems(body)
    assert set(fields) == {"body"}


def test_a_prefix_is_prepended_to_every_path():
    assert set(problems({}, prefix="3.")[1]) == {"3.to"}
    assert set(problems([1], prefix="3.")[1]) == {"3"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"to": "a", "attachments": [{"content": "a\x00b"}]}, "attachments.0.content"),
        ({"to": "a", "headers": {"X-A": "a\x00b"}}, "headers.X-A"),
    ],
)
def test_text_that_postgresql_cannot_store_is_rejected(body, path):
    assert problems(body)[1] == {path: "must not contain the character U+0000"}


def test_types_are_not_coerced():
    class Flag(RequestBody):
        on: bool
        count: Annotated[int, Field(ge=1)]

    with pytest.raises(ValidationFailed) as caught:
        Flag.parse({"on": "yes", "count": "1"})
    assert set(caught.value.details["fields"]) == {"on", "count"}


def test_the_message_lists_every_problem():
    with pytest.raises(ValidationFailed) as caught:
        Message.parse({"to": "a", "x": 1, "y": 2})
    assert "`x`: is not a field of this request; `y`:" in caught.value.message


@pytest.mark.parametrize("name", ["str", "list", "int", "bool", "a[b]", "[key]", "Message", "0"])
def test_a_field_of_any_name_is_reported(name):
    unknown = "is not a field of this request"
    assert problems({"to": "a", name: None})[1] == {name: unknown}
    assert problems({"to": "a", name: 1}, prefix="0.")[1] == {f"0.{name}": unknown}
    assert problems({"to": "a", "attachments": [{"content": "", name: 1}]})[1] == {
        f"attachments.0.{name}": unknown
    }
    assert problems({"to": "a", "headers": {name: 5}})[1] == {f"headers.{name}": "must be a string"}


def test_a_field_with_an_empty_name_is_reported_as_quotes():
    assert problems({"to": "a", "": 1})[1] == {'""': "is not a field of this request"}
    assert problems({"to": "a", "headers": {"": 1}})[1] == {'headers.""': "must be a string"}


def test_problems_inside_a_value_are_reported_by_their_path():
    def check(given):
        raise invalid_fields({("b",): "must be c", ("d", 1): "must be e"})

    class Holder(RequestBody):
        a: Annotated[dict[str, str], AfterValidator(check)]

    with pytest.raises(ValidationFailed) as caught:
        Holder.parse({"a": {"d": "x"}}, prefix="3.")
    assert caught.value.details["fields"] == {"3.a.b": "must be c", "3.a.d.1": "must be e"}


def test_a_hundred_problems_are_reported_and_the_rest_counted():
    _, fields = problems({"to": "a", "attachments": [5] * 1234}, prefix="7.")
    assert len(fields) == 101
    assert fields["7.attachments.99"] == "must be an object"
    assert fields["7"] == "has 1,134 more problems"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({f"x{number}": 1 for number in range(5000)}, "body"),
        ({"to": "a", "headers": {f"x{number}": 1 for number in range(5000)}}, "headers"),
        (
            {"to": "a", "attachments": [{f"x{number}": 1 for number in range(5000)}]},
            "attachments.0",
        ),
    ],
)
def test_too_many_entries_are_one_problem(body, path):
    assert problems(body)[1] == {path: "has more than 100 entries"}


@pytest.mark.parametrize(
    "body",
    [
        {"to": "a", "x" * 1_000_000: 1},
        {"to": "a", "headers": {"x" * 1_000_000: 1}},
        {"to": "a", "quoted": "x" * 1_000_000},
    ],
)
def test_long_names_and_values_are_truncated(body):
    class Quoting(Message):
        quoted: Annotated[str, AfterValidator(_reject)] = ""

    with pytest.raises(ValidationFailed) as caught:
        Quoting.parse(body)
    ((path, problem),) = caught.value.details["fields"].items()
    assert len(path) + len(problem) < 300
    assert "x" * 100 + "..." in path + problem
    assert problem.endswith(("this request", "be a string", "not `y`"))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"text": "abcd"}, "must have at most 3 characters"),
        ({"text": ""}, "must not be empty"),
        ({"texts": ["a"] * 3}, "must have at most 2 items"),
        ({"texts": []}, "must not be empty"),
        ({"pairs": {"a": "b", "c": "d"}}, "must have at most 1 entry"),
    ],
)
def test_lengths_are_validated(body, problem):
    class Lengths(RequestBody):
        text: Annotated[Text, Field(min_length=1, max_length=3)] = "a"
        texts: Annotated[list[Text], Field(min_length=1, max_length=2)] = []
        pairs: Annotated[dict[str, str], Field(max_length=1)] = {}

    with pytest.raises(ValidationFailed) as caught:
        Lengths.parse(body)
    assert list(caught.value.details["fields"].values()) == [problem]
