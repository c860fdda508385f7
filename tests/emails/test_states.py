"""Statuses are a maximum over facts: order, grouping and repetition don't matter."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emails.facts.states import FAILURES, RANK, State, email_status, fold

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATES = st.builds(
    State,
    st.sampled_from(sorted(RANK)),
    st.none() | st.integers(0, 3).map(lambda hours: NOON + timedelta(hours=hours)),
    st.sampled_from(["", "smtp; 550 no", "smtp; 452 full"]),
)


@given(STATES, STATES)
def test_two_facts_may_come_in_any_order(one, other):
    assert fold(one, [other]) == fold(other, [one])


@given(STATES, STATES, STATES)
def test_facts_may_be_folded_in_any_grouping(one, two, three):
    assert fold(fold(one, [two]), [three]) == fold(one, [fold(two, [three])])


@given(STATES)
def test_a_repeated_fact_changes_nothing(state):
    assert fold(state, [state, state]) == state == fold(state, [])


@given(STATES, st.lists(STATES))
def test_a_status_never_goes_down(before, facts):
    assert RANK[fold(before, facts).status] >= RANK[before.status]


@given(STATES, st.lists(STATES, max_size=4))
def test_every_permutation_ends_alike(start, facts):
    ends = {fold(start, order) for order in permutations(facts)}

    assert len(ends) == 1


@pytest.mark.parametrize(
    ("earlier", "later", "final"),
    [
        ("delivered", "sent", "delivered"),
        ("delivered", "soft_bounced", "delivered"),
        ("bounced", "delivered", "bounced"),
        ("complained", "bounced", "complained"),
        ("delivery_delayed", "delivered", "delivered"),
        ("suppressed", "delivered", "suppressed"),
    ],
)
def test_what_has_the_higher_rank_stays(earlier, later, final):
    assert fold(State(earlier, NOON), [State(later, NOON + timedelta(days=1))]).status == final


def test_among_equals_the_latest_stays():
    later = State("delivery_delayed", NOON + timedelta(hours=1), "again")

    assert fold(later, [State("delivery_delayed", NOON, "first")]) == later


@pytest.mark.parametrize(
    ("recipients", "status"),
    [
        (["queued"], "queued"),
        (["sent", "delivered"], "delivered"),
        (["bounced", "sent"], "sent"),
        (["bounced", "delivered", "complained"], "delivered"),
        (["suppressed", "queued"], "queued"),
        (["suppressed", "bounced"], "bounced"),
        (["soft_bounced", "soft_bounced"], "soft_bounced"),
        (["bounced", "complained", "failed"], "complained"),
        (["suppressed", "suppressed"], "suppressed"),
    ],
)
def test_an_email_failed_only_when_it_failed_with_all(recipients, status):
    assert email_status(recipients) == status


@given(st.lists(st.sampled_from(sorted(RANK)), min_size=1))
def test_an_emails_status_is_one_of_its_recipients(recipients):
    status = email_status(recipients)

    assert status in recipients
    assert (status in FAILURES) == (set(recipients) <= FAILURES)
