"""A status is a maximum over facts, independent of their order, grouping and repetition."""

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
def test_fold_is_commutative(one, other):
    assert fold(one, [other]) == fold(other, [one])


@given(STATES, STATES, STATES)
def test_fold_is_associative(one, two, three):
    assert fold(fold(one, [two]), [three]) == fold(one, [fold(two, [three])])


@given(STATES)
def test_fold_is_idempotent(state):
    assert fold(state, [state, state]) == state == fold(state, [])


@given(STATES, st.lists(STATES))
def test_a_status_never_decreases_in_rank(before, facts):
    assert RANK[fold(before, facts).status] >= RANK[before.status]


@given(STATES, st.lists(STATES, max_size=4))
def test_every_permutation_gives_the_same_status(start, facts):
    results = {fold(start, order) for order in permutations(facts)}

    assert len(results) == 1


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
def test_the_higher_rank_wins(earlier, later, final):
    assert fold(State(earlier, NOON), [State(later, NOON + timedelta(days=1))]).status == final


def test_the_latest_of_equal_ranks_wins():
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
def test_an_email_fails_only_if_all_recipients_fail(recipients, status):
    assert email_status(recipients) == status


@given(st.lists(st.sampled_from(sorted(RANK)), min_size=1))
def test_an_emails_status_is_the_status_of_one_of_its_recipients(recipients):
    status = email_status(recipients)

    assert status in recipients
    assert (status in FAILURES) == (set(recipients) <= FAILURES)
