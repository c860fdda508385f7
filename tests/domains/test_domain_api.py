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


# --- Adding one -----------------------------------------------------------------------


def test_a_new_domain_comes_with_the_records_to_publish(api, twin):
    made = add(api)
    assert made.keys() == SHAPE
    assert (made["object"], made["name"], made["region"]) == (
        "domain",
        "shop.example",
        "us-east-1",
    )
    assert made["capabilities"] == {"sending": "enabled", "receiving": "disabled"}
    assert len(made["records"]) == 3
    for record in made["records"]:
        token = record["name"].removesuffix("._domainkey.shop.example")
        assert record["value"] == f"{token}.dkim.amazonses.com"
        assert (record["record"], record["type"], record["ttl"]) == ("DKIM", "CNAME", "Auto")
    assert api.get(f"/domains/{made['id']}").json() == made
    assert twin.calls() == ["CreateEmailIdentity", "GetEmailIdentity"]


def test_a_domain_that_ses_accepts_is_verified_and_can_be_sent_from(api, twin, told):
    made = add(api)
    assert (made["status"], made["reason"]) == ("verified", None)
    assert {record["status"] for record in made["records"]} == {"verified"}
    assert Domain.objects.get().verified_at is not None
    assert [kind for kind, _ in told()] == ["domain.created", "domain.updated"]
    email = {"from": "a@shop.example", "to": "b@example.net", "subject": "s", "text": "t"}
    assert api.post("/emails", email).status_code == 200
    assert Email.objects.get().configuration_set == "opensend"


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_a_domain_that_ses_does_not_accept_says_so_and_sends_nothing(api, twin, status):
    made = add(api, f"{status}.twin.test")
    assert made["status"] == status
    assert api.post(f"/domains/{made['id']}/verify").json()["status"] == status
    email = {"from": f"a@{status}.twin.test", "to": "b@c.net", "subject": "s", "text": "t"}
    answer = api.post("/emails", email)
    assert (answer.status_code, answer.json()["name"]) == (403, "domain_not_verified")


def test_the_identity_is_made_in_the_region_that_was_asked_for(api, twin):
    made = add(api, region="eu-west-1")
    assert (made["region"], made["status"]) == ("eu-west-1", "verified")


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
def test_what_is_wrong_is_named_and_nothing_is_kept(api, twin, body, field):
    answer = api.post("/domains", body)
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {field}
    assert not Domain.objects.exists()
    assert twin.calls() == []


def test_the_longest_of_names_can_be_added(api, twin):
    name = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 57, "com"])
    assert len(add(api, name)["records"]) == 3


def test_a_name_exists_once_and_the_other_workspace_notices_nothing(api, stranger, twin, told):
    made = add(api)
    before, calls = told(), twin.calls()
    for client, name in ((stranger, "shop.example"), (api, "SHOP.example.")):
        answer = client.post("/domains", {"name": name})
        assert (answer.status_code, answer.json()["name"]) == (409, "domain_taken")
    assert api.get(f"/domains/{made['id']}").json() == made
    assert (told(), twin.calls()) == (before, calls)
    assert stranger.get("/domains").json()["data"] == []


def test_a_repeated_request_gets_the_answer_of_the_first_one(api, twin):
    headers = {"Idempotency-Key": "k"}
    first = api.post("/domains", {"name": "shop.example"}, headers=headers)
    again = api.post("/domains", {"name": "shop.example"}, headers=headers)
    assert again["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert again.json()["status"] == "verified"
    assert twin.calls().count("CreateEmailIdentity") == 1


# --- Looking at them ------------------------------------------------------------------


def test_domains_are_listed_newest_first(api, twin, django_assert_max_num_queries):
    names = ["a.example", "b.example", "c.example"]
    for name in names:
        add(api, name)
    with django_assert_max_num_queries(3):  # the key, the domains, their records
        listed = api.get("/domains").json()
    assert [each["name"] for each in listed["data"]] == names[::-1]
    assert all(len(each["records"]) == 3 for each in listed["data"])


def test_to_strangers_a_domain_does_not_exist(api, stranger, twin):
    url = f"/domains/{add(api)['id']}"
    absent = stranger.get(f"/domains/{uuid7()}").json()["name"]
    tried = [stranger.get(url), stranger.delete(url), stranger.post(f"{url}/verify")]
    for answer in [*tried, stranger.patch(url, {"open_tracking": True})]:
        assert (answer.status_code, answer.json()["name"]) == (404, absent)
    assert api.get(url).status_code == 200
    assert "DeleteEmailIdentity" not in twin.calls()


def test_verifying_looks_again(api, twin, told):
    made = add(api)
    Domain.objects.update(status=Domain.Status.PENDING)
    DnsRecord.objects.update(status=Domain.Status.PENDING)
    verified = api.post(f"/domains/{made['id']}/verify").json()
    assert verified == made
    assert told()[-1][1]["previous_status"] == "pending"


# --- Removing one ---------------------------------------------------------------------


def test_a_removed_domain_is_gone_here_and_at_ses(api, twin, told):
    made = add(api)
    answer = api.delete(f"/domains/{made['id']}")
    assert answer.json() == {"object": "domain", "id": made["id"], "deleted": True}
    assert not Domain.objects.exists()
    assert twin.calls()[-1] == "DeleteEmailIdentity"
    assert told()[-1] == ("domain.deleted", made)
    assert api.get(f"/domains/{made['id']}").status_code == 404
    assert api.delete(f"/domains/{made['id']}").status_code == 404
    assert add(api)["id"] != made["id"]


# --- Events ---------------------------------------------------------------------------


def test_events_show_the_domain_as_the_api_does(api, twin, told):
    made = add(api)
    (created, at_first), (updated, data) = told()
    assert (created, updated) == ("domain.created", "domain.updated")
    assert at_first.keys() == SHAPE
    assert (at_first["status"], at_first["records"]) == ("pending", [])
    assert (data.pop("previous_status"), data.pop("changed_fields")) == ("pending", ["status"])
    assert data == made


def test_a_change_and_its_event_are_kept_together_or_not_at_all(api, twin, monkeypatch, told):
    def broken(facts):
        raise RuntimeError("the outbox is full")

    api.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr("domains.services.publish", broken)
        assert api.post("/domains", {"name": "shop.example"}).status_code == 500
    assert not Domain.objects.exists()
    made = add(api)
    with monkeypatch.context() as patch:
        patch.setattr("domains.services.publish", broken)
        assert api.delete(f"/domains/{made['id']}").status_code == 500
    assert api.get(f"/domains/{made['id']}").json() == made


def test_a_look_that_finds_nothing_new_tells_nothing(api, twin, told):
    made = add(api)
    before = told()
    api.post(f"/domains/{made['id']}/verify")
    assert told() == before
