"""A provider with scripted answers."""

from emails.providers import Accepted


class Scripted:
    """Records the messages and answers by its script of results, exceptions and functions."""

    name = "scripted"

    def __init__(self):
        self.script = []
        self.sent = []
        self.rate = None  # Limits, an exception, or None for no limit

    def bucket(self, region):
        return "" if self.rate is None else region

    def prepare(self, region):
        pass

    def limits(self, region):
        if isinstance(self.rate, Exception):
            raise self.rate
        return self.rate

    def send(self, message):
        self.sent.append(message)
        step = self.script.pop(0) if self.script else None
        if callable(step):
            step = step(message)
        if isinstance(step, Exception):
            raise step
        number = f"0100-{message.email_id}"
        return step or Accepted(
            provider_message_id=number,
            message_id=f"<{number}@email.amazonses.com>",
            provider_response={"MessageId": number},
        )
