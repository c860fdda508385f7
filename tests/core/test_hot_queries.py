"""Lookup returns the same rows as a queryset."""

import pytest
from django.utils import timezone

from accounts.models import ApiKey, Workspace
from core.db.hot_queries import Lookup
from domains.models import Domain
from emails.models import Email

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys():
    workspace = Workspace.objects.create(name="Acme")
    return [
        ApiKey.objects.create(workspace=workspace, name=name, digest=name * 64, prefix="os_")
        for name in "abc"
    ]


def columns(item):
    return {field.attname: getattr(item, field.attname) for field in item._meta.concrete_fields}


def test_rows_equal_those_of_a_queryset(keys):
    rows = Lookup(ApiKey, "row.name = ANY(%(names)s)")(names=["a", "c"])

    assert [columns(key) for key in sorted(rows, key=lambda key: key.name)] == [
        columns(key) for key in ApiKey.objects.filter(name__in=["a", "c"]).order_by("name")
    ]
    assert not rows[0]._state.adding


def test_columns_of_any_type_equal_those_of_a_queryset(domain):
    domain.dkim_tokens, domain.verified_at = ["ü", 'b"\\'], timezone.now()
    domain.save()

    (row,) = Lookup(Domain, "row.id = %(id)s")(id=domain.pk)

    assert columns(row) == columns(Domain.objects.get())


def test_a_related_object_is_loaded_in_the_same_query(keys, django_assert_num_queries):
    lookup = Lookup(ApiKey, "row.name = %(name)s", related="workspace")

    with django_assert_num_queries(1):
        (key,) = lookup(name="b")
        workspace = key.workspace

    assert columns(workspace) == columns(Workspace.objects.get())


def test_no_match_is_an_empty_list(keys):
    assert Lookup(ApiKey, "row.name = %(name)s")(name="z") == []


def test_columns_that_need_conversion_are_rejected():
    with pytest.raises(TypeError, match="converted"):
        Lookup(Email, "true")()
