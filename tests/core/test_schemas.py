from typing import Annotated

import pytest
from pydantic import AfterValidator, Field

from core.errors import ValidationFailed
from core.schemas import RequestBody, Text, parse


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


class File(RequestBody):
    content: Text
    size: Annotated[int, AfterValidator(_even)] = 0


class Message(RequestBody):
    to: str | list[str]
    attachments: list[File] = []
    headers: dict[Text, Text] = {}


def problems(data, **more):
    with pytest.raises(ValidationFailed) as caught:
        parse(Message, data, **more)
    return caught.value.code, caught.value.details["fields"]


def test_a_field_inside_a_list_is_named_by_its_path():
    name, fields = problems({"to": "a", "attachments": [{"content": "x"}, {"content": 5}]})
    assert name == "validation_error"
    assert fields == {"attachments.1.content": "should be a valid string"}


def test_all_wrong_fields_are_named_at_once():
    _, fields = problems({"to": 5, "attachments": [{"size": 1}], "nonsense": True})
    assert fields["to"] == "should be a valid string"
    assert fields["attachments.0.content"] == "is required"
    assert fields["attachments.0.size"] == "must be even"
    assert fields["nonsense"] == "is not a field of this request"
    assert len(fields) == 4


def test_only_missing_fields_have_a_name_of_their_own():
    assert problems({}) == ("missing_required_field", {"to": "is required"})
    name, _ = problems({"nonsense": 1})
    assert name == "validation_error"


@pytest.mark.parametrize("body", [[], "text", 5, None, True])
def test_a_body_that_is_no_object_is_refused_as_the_body(body):
    _, fields = problems(body)
    assert set(fields) == {"body"}


def test_a_prefix_stands_before_every_path():
    assert set(problems({}, prefix="3.")[1]) == {"3.to"}
    assert set(problems([], prefix="3.")[1]) == {"3"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"to": "a", "attachments": [{"content": "a\x00b"}]}, "attachments.0.content"),
        ({"to": "a", "headers": {"X-A": "a\x00b"}}, "headers.X-A"),
    ],
)
def test_text_that_postgres_cannot_hold_is_refused(body, path):
    assert problems(body)[1] == {path: "must not contain the character U+0000"}


def test_types_are_not_guessed():
    class Flag(RequestBody):
        on: bool
        count: Annotated[int, Field(ge=1)]

    with pytest.raises(ValidationFailed) as caught:
        parse(Flag, {"on": "yes", "count": "1"})
    assert set(caught.value.details["fields"]) == {"on", "count"}


def test_the_message_tells_every_problem_to_a_reader():
    with pytest.raises(ValidationFailed) as caught:
        parse(Message, {"to": "a", "x": 1, "y": 2})
    assert "`x`: is not a field of this request; `y`:" in caught.value.message
