"""Publishes the events of accepted mail to the topics of its configuration set."""

import asyncio
import random
from typing import Any

from twin.faults import Faults, happens
from twin.outcomes import Step, steps_for
from twin.ses.events import SUBJECT, Sent, describe_mail, event_json
from twin.sns.publishing import Publisher
from twin.state import Store, regional

# Far enough apart that concurrent deliveries don't put the order right again.
_REORDER_GAP_SECONDS = 0.2


class EventPublisher:
    def __init__(self, *, store: Store, faults: Faults, publisher: Publisher) -> None:
        self._store = store
        self._faults = faults
        self._publisher = publisher
        self._generation = 0
        self.scheduled = 0

    def publish(self, sent: Sent) -> None:
        """Plan all events of the message; each is built and signed when its time has come.

        Headers that the events could not show fail here, in the call that sends the message.
        """
        if not self._topics(sent, None):
            return
        mail = describe_mail(sent)
        faults = self._faults.settings
        steps = steps_for(sent.recipients, sent.suppressed)
        delays = _reversed_order(len(steps)) if faults.reorder_events else None
        for position, step in enumerate(steps):
            if happens(faults.drop_events):
                continue
            delay = step.after if delays is None else delays[position]
            self._schedule(sent, mail, step, delay=delay + faults.delay_events_ms / 1000)

    def reset(self) -> None:
        """Forget the events to come: the mail that they tell of is forgotten, too."""
        self._generation += 1
        self.scheduled = 0

    def _schedule(self, sent: Sent, mail: dict[str, Any], step: Step, *, delay: float) -> None:
        self.scheduled += 1
        loop = asyncio.get_running_loop()
        loop.call_later(delay, self._publish_now, sent, mail, step, self._generation)

    def _publish_now(self, sent: Sent, mail: dict[str, Any], step: Step, generation: int) -> None:
        if generation != self._generation:
            return
        self.scheduled -= 1
        topics = self._topics(sent, step.event_type)
        if not topics:
            return
        message = event_json(sent, mail, step)
        for topic in topics:
            self._send(topic, message)

    def _send(self, topic: str, message: str) -> None:
        """A duplicate is either one SNS message delivered twice or one event published twice."""
        duplicated = happens(self._faults.settings.duplicate_events)
        redelivered = duplicated and happens(0.5)
        copies = 2 if redelivered else 1
        for _ in range(2 if duplicated and not redelivered else 1):
            self._publisher.publish(topic, message, subject=SUBJECT, copies=copies)

    def _topics(self, sent: Sent, event_type: str | None) -> list[str]:
        """Topics of the enabled destinations, all of them or those that want this event."""
        key = regional(sent.region, sent.configuration_set)
        configuration_set = self._store.configuration_sets.get(key)
        if configuration_set is None:
            return []
        return [
            each.topic_arn
            for each in configuration_set.destinations
            if each.enabled
            and (event_type is None or event_type in each.event_types)
            and each.topic_arn in self._store.topics
        ]


def _reversed_order(count: int) -> list[float]:
    """Delays that turn the order round; the pauses vary so that messages interleave, too."""
    return [
        (count - position - random.random() / 2) * _REORDER_GAP_SECONDS for position in range(count)
    ]
