"""Validation messages for any value of a field use the API's terms, not pydantic's."""

import re

import pytest
from django.urls import get_resolver

from core.api.bodies import RequestBody
from core.errors import ValidationFailed

SAMPLES = [
    *(None, True, 0, -1, 1.5, 10**30, "", "x", "x" * 5000, "\x00", "2020-01-01"),
    *([], [None], [[]], ["x"], [1], ["x"] * 500, ["x" * 5000], [{}], [{"x": 1}]),
    *({}, {"x": 1}, {"x": None}, {"x y": "x"}, {"x": "x" * 5000}),
    {f"x{number}": "x" for number in range(99)},
]
# Every pydantic message contains one of these.
PYDANTIC_WORDS = re.compile(
    r"\b(should|Input|Value|Unable|instance|dictionary|object)\b(?<!an object)"
)


def _models(parent=RequestBody):
    get_resolver().url_patterns  # noqa: B018 (imports every module with a view)
    for model in parent.__subclasses__():
        if not model.__module__.startswith(("tests.", "test_")):
            yield model
        yield from _models(model)


def _names(model):
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        yield from alias.choices if hasattr(alias, "choices") else [alias or name]


@pytest.mark.parametrize("model", list(_models()), ids=lambda model: model.__name__)
def test_messages_contain_no_pydantic_wording(model):
    bodies = [{name: each} for name in _names(model) for each in SAMPLES]
    messages = {}
    for body in [*bodies, *SAMPLES]:
        try:
            model.parse(body)
        except ValidationFailed as error:
            messages |= dict.fromkeys(error.details["fields"].values(), body)
    assert messages
    assert not {
        problem: body for problem, body in messages.items() if PYDANTIC_WORDS.search(problem)
    }
