import pytest

from core.db.ids import uuid7
from domains.models import DnsRecord, Domain
from emails.models import Email

pytestmark = pytest.mark.django_db
SHAPE = {
    *("object", "id", "name", "status", "reason", "region", "created_at", "capabilities"),
    *("records", "open_tracking", "click_tracking", "provider"),
}


def add(api, name="shop.example", **more):
    answer = api.post("/domains", {"name": name} | more)
    assert answer.status_code == 201, answer.json()
    return answer.json()


# --- Creating -------------------------------------------------------------------------


def test_a_new_domain_has_dns_records_to_publish(api, twin):
    created = add(api)
    assert created.keys() == SHAPE
    assert (created["object"], created["name"], created["region"]) == (
        "domain",
        "shop.example",
        "us-east-1",
    )
    assert created["capabilities"] == {"sending": "enabled", "receiving": "disabled"}
    assert len(created["records"]) == 3
    for record in created["records"]:
        token = record["name"].removesuffix("._domainkey.shop.example")
        assert record["value"] == f"{token}.dkim.amazonses.com"
        assert (record["record"], record["type"], record["ttl"]) == ("DKIM", "CNAME", "Auto")
    assert api.get(f"/domains/{created['id']}").json() == created
    assert twin.operations() == ["CreateEmailIdentity", "GetEmailIdentity"]


def test_a_domain_verified_by_ses_can_send(api, twin, published):
    created = add(api)
    assert (created["status"], created["reason"]) == ("verified", None)
    assert {record["status"] for record in created["records"]} == {"verified"}
    assert Domain.objects.get().verified_at is not None
    assert [kind for kind, _ in published()] == ["domain.created", "domain.updated"]
    email = {"from": "a@shop.example", "to": "b@example.net", "subject": "s", "text": "t"}
    assert api.post("/emails", email).status_code == 200
    assert Email.objects.get().configuration_set == "opensend"


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_an_unverified_domain_cannot_send(api, twin, status):
    created = add(api, f"{status}.twin.test")
    assert created["status"] == status
    assert api.post(f"/domains/{created['id']}/verify").json()["status"] == status
    email = {"from": f"a@{status}.twin.test", "to": "b@c.net", "subject": "s", "text": "t"}
    answer = api.post("/emails", email)
    assert (answer.status_code, answer.json()["name"]) == (403, "domain_not_verified")


def test_the_identity_is_created_in_the_requested_region(api, twin):
    created = add(api, region="eu-west-1")
    assert (created["region"], created["status"]) == ("eu-west-1", "verified")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "co.uk"}, "name"),
        ({"name": "nonsense"}, "name"),
        ({"name": "xn--a.com"}, "name"),
        ({"name": "a\x00.com"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "shop.example", "region": "moon"}, "region"),
        ({"name": "shop.example", "region": "eu-moon-1"}, "region"),
        ({"name": "shop.example", "status": "verified"}, "status"),
    ],
)
def test_an_invalid_field_is_named_and_nothing_is_stored(api, twin, body, field):
    answer = api.post("/domains", body)
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {field}
    assert not Domain.objects.exists()
    assert twin.operations() == []


def test_the_longest_domain_name_can_be_added(api, twin):
    name = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 57, "com"])
    assert len(add(api, name)["records"]) == 3


def test_a_duplicate_name_is_refused_without_effect_on_its_owner(api, stranger, twin, published):
    created = add(api)
    before, calls = published(), twin.operations()
    for client, name in ((stranger, "shop.example"), (api, "SHOP.example.")):
        answer = client.post("/domains", {"name": name})
        assert (answer.status_code, answer.json()["name"]) == (409, "domain_taken")
    assert api.get(f"/domains/{created['id']}").json() == created
    assert (published(), twin.operations()) == (before, calls)
    assert stranger.get("/domains").json()["data"] == []


def test_a_repeated_request_gets_the_first_response(api, twin):
    headers = {"Idempotency-Key": "k"}
    first = api.post("/domains", {"name": "shop.example"}, headers=headers)
    again = api.post("/domains", {"name": "shop.example"}, headers=headers)
    assert again["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert again.json()["status"] == "verified"
    assert twin.operations().count("CreateEmailIdentity") == 1


# --- Reading --------------------------------------------------------------------------


def test_domains_are_listed_newest_first(api, twin, django_assert_max_num_queries):
    names = ["a.example", "b.example", "c.example"]
    for name in names:
        add(api, name)
    with django_assert_max_num_queries(3):  # the key, the domains, their records
        listed = api.get("/domains").json()
    assert [each["name"] for each in listed["data"]] == names[::-1]
    assert all(len(each["records"]) == 3 for each in listed["data"])


def test_a_domain_does_not_exist_for_other_workspaces(api, stranger, twin):
    url = f"/domains/{add(api)['id']}"
    absent = stranger.get(f"/domains/{uuid7()}").json()["name"]
    responses = [stranger.get(url), stranger.delete(url), stranger.post(f"{url}/verify")]
    for answer in [*responses, stranger.patch(url, {"open_tracking": True})]:
        assert (answer.status_code, answer.json()["name"]) == (404, absent)
    assert api.get(url).status_code == 200
    assert "DeleteEmailIdentity" not in twin.operations()


def test_verifying_checks_the_status_again(api, twin, published):
    created = add(api)
    Domain.objects.update(status=Domain.Status.PENDING)
    DnsRecord.objects.update(status=Domain.Status.PENDING)
    verified = api.post(f"/domains/{created['id']}/verify").json()
    assert verified == created
    assert published()[-1][1]["previous_status"] == "pending"


# --- Deleting -------------------------------------------------------------------------


def test_deleting_a_domain_deletes_its_ses_identity(api, twin, published):
    created = add(api)
    answer = api.delete(f"/domains/{created['id']}")
    assert answer.json() == {"object": "domain", "id": created["id"], "deleted": True}
    assert not Domain.objects.exists()
    assert twin.operations()[-1] == "DeleteEmailIdentity"
    assert published()[-1] == ("domain.deleted", created)
    assert api.get(f"/domains/{created['id']}").status_code == 404
    assert api.delete(f"/domains/{created['id']}").status_code == 404
    assert add(api)["id"] != created["id"]


# --- Events ---------------------------------------------------------------------------


def test_events_have_the_same_domain_as_the_api(api, twin, published):
    domain = add(api)
    (first, initial), (second, data) = published()
    assert (first, second) == ("domain.created", "domain.updated")
    assert initial.keys() == SHAPE
    assert (initial["status"], initial["records"]) == ("pending", [])
    assert (data.pop("previous_status"), data.pop("changed_fields")) == ("pending", ["status"])
    assert data == domain


def test_a_change_and_its_event_commit_together(api, twin, monkeypatch, published):
    def broken(facts):
        raise RuntimeError("the outbox is full")

    api.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr("domains.services.publish", broken)
        assert api.post("/domains", {"name": "shop.example"}).status_code == 500
    assert not Domain.objects.exists()
    created = add(api)
    with monkeypatch.context() as patch:
        patch.setattr("domains.services.publish", broken)
        assert api.delete(f"/domains/{created['id']}").status_code == 500
    assert api.get(f"/domains/{created['id']}").json() == created


def test_a_check_without_changes_publishes_nothing(api, twin, published):
    created = add(api)
    before = published()
    api.post(f"/domains/{created['id']}/verify")
    assert published() == before
