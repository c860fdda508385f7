"""PHP has one type for lists and maps, so its clients write an empty map as `[]`."""

from typing import get_args, get_origin

import pytest
from django.urls import get_resolver

from contacts.models import Contact
from core.api.bodies import RequestBody
from core.errors import ValidationFailed
from domains.models import Domain
from emails.models import Email
from webhooks.models import Endpoint

EMAIL = {"from": "a@example.com", "to": "b@example.net", "subject": "s", "text": "t"}


def _models(parent=RequestBody):
    get_resolver().url_patterns  # noqa: B018 (imports every module with a view)
    for model in parent.__subclasses__():
        if not model.__module__.startswith(("tests.", "test_")):
            yield model
        yield from _models(model)


def _is_map(annotation):
    if get_origin(annotation) is dict:
        return True
    if isinstance(annotation, type) and issubclass(annotation, RequestBody):
        return not any(field.is_required() for field in annotation.model_fields.values())
    return any(map(_is_map, get_args(annotation)))


def _map_fields():
    for model in _models():
        for name, field in model.model_fields.items():
            if get_origin(field.annotation) is not list and _is_map(field.annotation):
                yield pytest.param(model, name, id=f"{model.__name__}.{name}")


def wrong_fields(model, body):
    try:
        model.parse(body)
    except ValidationFailed as error:
        return set(error.details["fields"])
    return set()


MAP_FIELDS = list(_map_fields())


def test_all_maps_of_the_api_are_found():
    assert {each.id for each in MAP_FIELDS} >= {
        "SendEmail.headers",
        "CreateContact.properties",
        "UpdateContact.properties",
        "CreateWebhook.headers",
        "UpdateWebhook.headers",
        "CreateDomain.capabilities",
        "UpdateDomain.capabilities",
    }


@pytest.mark.parametrize(("model", "field"), MAP_FIELDS)
def test_an_empty_list_is_an_empty_map_in_every_field(model, field):
    assert field not in wrong_fields(model, {field: []})
    for other in ([[]], ["x"], [{}], [None], "", 0, False):
        assert any(path.startswith(field) for path in wrong_fields(model, {field: other})), other


@pytest.mark.django_db
def test_an_email_with_empty_headers_is_accepted(api, domain):
    assert api.post("/emails", EMAIL | {"headers": []}).status_code == 200
    assert api.post("/emails/batch", [EMAIL | {"headers": []}]).status_code == 200
    assert [email.headers for email in Email.objects.all()] == [{}, {}]


@pytest.mark.django_db
def test_a_contact_with_empty_properties_keeps_those_it_has(api):
    body = {"email": "a@example.com", "properties": []}
    assert api.post("/contacts", body).status_code == 201
    api.patch("/contacts/a@example.com", {"properties": {"plan": "pro"}})
    assert api.patch("/contacts/a@example.com", {"properties": []}).status_code == 200
    assert Contact.objects.get().properties == {"plan": "pro"}


@pytest.mark.django_db
def test_a_webhook_with_empty_headers_has_none(api):
    made = api.post(
        "/webhooks", {"endpoint": "https://a.example/", "events": ["*"], "headers": {"X-A": "b"}}
    )
    assert api.patch(f"/webhooks/{made.json()['id']}", {"headers": []}).status_code == 200
    assert Endpoint.objects.get().encrypted_headers == ""


@pytest.mark.django_db
def test_a_domain_with_empty_capabilities_keeps_those_it_has(api, domain):
    Domain.objects.update(sending=False)
    answer = api.patch(f"/domains/{domain.pk}", {"capabilities": []})
    assert answer.status_code == 200
    assert not Domain.objects.get().sending


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to", "tags", "attachments"])
def test_an_empty_list_stays_a_list(api, domain, field):
    answer = api.post("/emails", EMAIL | {field: []})
    assert answer.status_code == (422 if field == "to" else 200)
    assert api.post("/emails", EMAIL | {field: {}}).status_code == 422


@pytest.mark.parametrize("model", sorted(_models(), key=lambda each: each.__name__))
def test_an_empty_list_is_an_empty_body(model):
    def problems(body):
        try:
            model.parse(body)
        except ValidationFailed as error:
            return error.details

    assert problems([]) == problems({})
    assert "body" in wrong_fields(model, [[]])


@pytest.mark.django_db
def test_an_empty_body_is_accepted_where_nothing_is_required(api):
    made = api.post("/webhooks", {"endpoint": "https://a.invalid/", "events": ["*"]}).json()
    answer = api.post(f"/webhooks/{made['id']}/test", [])
    assert (answer.status_code, answer.json()["type"]) == (200, "webhook.test")
