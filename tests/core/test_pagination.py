import pytest
from rest_framework.request import Request

from accounts.models import ApiKey
from accounts.services import create_api_key, create_workspace
from core.api.dialects import ROOT
from core.db.ids import uuid7
from core.errors import ValidationFailed

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids(workspace, api):
    """The ids of Alice's 25 keys, newest first."""
    for number in range(24):
        create_api_key(workspace=workspace, name=f"key {number}")
    mine = ApiKey.objects.filter(workspace=workspace).order_by("-pk")
    return [str(pk) for pk in mine.values_list("pk", flat=True)]


def list_ids(api, **query):
    response = api.get("/api-keys", query)
    assert response.status_code == 200, response.json()
    body = response.json()
    assert body["object"] == "list"
    return [item["id"] for item in body["data"]], body["has_more"]


def test_the_default_page_has_the_twenty_newest(api, ids):
    assert list_ids(api) == (ids[:20], True)


@pytest.mark.parametrize("limit", [1, 25, 100, "0025"])
def test_limit_sets_the_page_size(api, ids, limit):
    assert list_ids(api, limit=limit) == (ids[: int(limit)], int(limit) < 25)


def test_after_returns_the_next_older_page(api, ids):
    assert list_ids(api, limit=10, after=ids[9]) == (ids[10:20], True)
    assert list_ids(api, limit=5, after=ids[19]) == (ids[20:], False)
    assert list_ids(api, after=ids[-1]) == ([], False)


def test_before_returns_the_next_newer_page(api, ids):
    assert list_ids(api, limit=10, before=ids[20]) == (ids[10:20], True)
    assert list_ids(api, limit=10, before=ids[10]) == (ids[:10], False)
    assert list_ids(api, before=ids[0]) == ([], False)


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "ten", "1.5", "", "٣", "1e1", " 5", "00010099", "9" * 5000]
)
def test_a_limit_outside_1_to_100_is_rejected_by_name(api, limit):
    response = api.get("/api-keys", {"limit": limit})
    assert response.status_code == 422
    assert set(response.json()["details"]["fields"]) == {"limit"}


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("value", ["nonsense", "\x00", "1' OR '1'='1"])
def test_an_invalid_cursor_is_rejected_by_name(api, name, value):
    response = api.get("/api-keys", {name: value})
    assert response.status_code == 422
    assert set(response.json()["details"]["fields"]) == {name}


def test_after_and_before_cannot_be_combined(api, ids):
    response = api.get("/api-keys", {"after": ids[0], "before": ids[1]})
    assert response.json()["details"]["fields"] == {"before": "cannot be combined with `after`"}


def test_the_id_of_a_deleted_row_still_works_as_cursor(api, ids):
    ApiKey.objects.filter(pk=ids[9]).delete()
    assert list_ids(api, limit=5, after=ids[9]) == (ids[10:15], True)


def test_paging_with_after_neither_skips_nor_repeats_while_rows_are_inserted(api, ids, workspace):
    seen, cursor, more = [], {}, True
    while more:
        page, more = list_ids(api, limit=4, **cursor)
        seen += page
        cursor = {"after": page[-1]}
        create_api_key(workspace=workspace, name="in between")
    assert seen == ids


def test_paging_with_before_neither_skips_nor_repeats_while_rows_are_inserted(api, ids, workspace):
    seen, cursor, more = [], ids[-1], True
    while more:
        page, more = list_ids(api, limit=4, before=cursor)
        seen = page + seen
        cursor = page[0]
    assert seen == ids[:-1]


def test_keys_of_another_workspace_are_not_listed(stranger, ids):
    mine, more = list_ids(stranger)
    assert (len(mine), more) == (1, False)
    assert not set(mine) & set(ids)


@pytest.fixture
def by_workspace(rf, workspace):
    """Page keys by workspace id; each workspace has one key."""
    for number in range(4):
        create_api_key(workspace=create_workspace(name=f"{number}"), name="key")

    def list_page(**query):
        result = ROOT.page(
            Request(rf.get("/", query)),
            ApiKey.objects.all(),
            lambda key: f"ws_{key.workspace_id}",
            column="workspace_id",
            prefix="ws_",
        )
        return result.data, result.position["has_more"]

    return list_page


def test_a_list_can_be_ordered_by_another_column_with_prefixed_ids(by_workspace):
    # Make the order of the keys' own ids differ.
    for key in list(ApiKey.objects.order_by("pk"))[:2]:
        ApiKey.objects.filter(pk=key.pk).update(id=uuid7())
    newest = ApiKey.objects.order_by("-workspace_id").values_list("workspace_id", flat=True)
    ids = [f"ws_{pk}" for pk in newest]
    assert by_workspace() == (ids, False)
    assert by_workspace(limit=2) == (ids[:2], True)
    assert by_workspace(limit=2, after=ids[1]) == (ids[2:], False)
    assert by_workspace(limit=1, after=ids[1].removeprefix("ws_")) == ([ids[2]], True)
    assert by_workspace(limit=2, before=ids[3]) == (ids[1:3], True)


@pytest.mark.parametrize("cursor", ["ws_", "wrong_{}", "ws_ws_{}"])
def test_a_cursor_with_another_prefix_is_rejected(by_workspace, cursor):
    with pytest.raises(ValidationFailed):
        by_workspace(after=cursor.format(uuid7()))
