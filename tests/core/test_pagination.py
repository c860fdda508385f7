import pytest
from rest_framework.request import Request

from accounts.models import ApiKey
from accounts.services import create_api_key, create_workspace
from core.api.pagination import page
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


def listed(api, **query):
    answer = api.get("/api-keys", query)
    assert answer.status_code == 200, answer.json()
    body = answer.json()
    assert body["object"] == "list"
    return [item["id"] for item in body["data"]], body["has_more"]


def test_twenty_come_newest_first_unless_told(api, ids):
    assert listed(api) == (ids[:20], True)


@pytest.mark.parametrize("limit", [1, 25, 100, "0025"])
def test_limit_says_how_many(api, ids, limit):
    assert listed(api, limit=limit) == (ids[: int(limit)], int(limit) < 25)


def test_after_goes_on_with_what_is_older(api, ids):
    assert listed(api, limit=10, after=ids[9]) == (ids[10:20], True)
    assert listed(api, limit=5, after=ids[19]) == (ids[20:], False)
    assert listed(api, after=ids[-1]) == ([], False)


def test_before_gives_the_page_just_ahead(api, ids):
    assert listed(api, limit=10, before=ids[20]) == (ids[10:20], True)
    assert listed(api, limit=10, before=ids[10]) == (ids[:10], False)
    assert listed(api, before=ids[0]) == ([], False)


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "ten", "1.5", "", "٣", "1e1", " 5", "00010099", "9" * 5000]
)
def test_a_limit_that_is_no_number_from_1_to_100_is_refused_by_name(api, limit):
    answer = api.get("/api-keys", {"limit": limit})
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {"limit"}


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("value", ["nonsense", "\x00", "1' OR '1'='1"])
def test_a_cursor_that_is_no_id_is_refused_by_name(api, name, value):
    answer = api.get("/api-keys", {name: value})
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {name}


def test_after_and_before_exclude_each_other(api, ids):
    answer = api.get("/api-keys", {"after": ids[0], "before": ids[1]})
    assert answer.json()["details"]["fields"] == {"before": "cannot be combined with `after`"}


def test_a_cursor_of_a_row_that_is_gone_still_marks_its_place(api, ids):
    ApiKey.objects.filter(pk=ids[9]).delete()
    assert listed(api, limit=5, after=ids[9]) == (ids[10:15], True)


def test_pages_neither_skip_nor_repeat_while_rows_are_inserted(api, ids, workspace):
    seen, cursor, more = [], {}, True
    while more:
        page, more = listed(api, limit=4, **cursor)
        seen += page
        cursor = {"after": page[-1]}
        create_api_key(workspace=workspace, name="in between")
    assert seen == ids


def test_going_back_with_before_neither_skips_nor_repeats_while_rows_are_inserted(
    api, ids, workspace
):
    seen, cursor, more = [], ids[-1], True
    while more:
        page, more = listed(api, limit=4, before=cursor)
        seen = page + seen
        cursor = page[0]
    assert seen == ids[:-1]


def test_strangers_see_nothing_of_it(stranger, ids):
    mine, more = listed(stranger)
    assert (len(mine), more) == (1, False)
    assert not set(mine) & set(ids)


@pytest.fixture
def by_workspace(rf, workspace):
    """Page all keys by the ids of their workspaces, each of which has one."""
    for number in range(4):
        create_api_key(workspace=create_workspace(name=f"{number}"), name="key")

    def ask(**query):
        shown = page(
            Request(rf.get("/", query)),
            ApiKey.objects.all(),
            lambda key: {"id": f"ws_{key.workspace_id}"},
            column="workspace_id",
            prefix="ws_",
        )
        return [row["id"] for row in shown["data"]], shown["has_more"]

    return ask


def test_another_column_can_order_a_list_and_its_ids_bear_a_prefix(by_workspace):
    # The order of the keys' own ids is another one.
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
def test_no_other_prefix_is_taken(by_workspace, cursor):
    with pytest.raises(ValidationFailed):
        by_workspace(after=cursor.format(uuid7()))
