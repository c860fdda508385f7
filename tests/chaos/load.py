"""Clients that send at a steady rate and retry failed requests with the same idempotency key."""

import queue
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import requests

# What the stand-in for AWS does with an address, by its domain: the final status of the email, the
# events that the customer must receive, and the share of mails in percent.
OUTCOMES = {
    "example.com": ("delivered", {"sent", "delivered"}, 60),
    "bounce.twin.test": ("bounced", {"sent", "bounced"}, 10),
    "softbounce.twin.test": ("soft_bounced", {"sent", "bounced"}, 10),
    "complaint.twin.test": ("complained", {"sent", "delivered", "complained"}, 10),
    "delay.twin.test": ("delivered", {"sent", "delivery_delayed", "delivered"}, 10),
}
RETRY_FOR = 90.0  # seconds in which a client repeats one request
LOST = 0.05  # share of the successful responses that get lost, so those requests are repeated, too


@dataclass
class Mail:
    """One mail to its own address; `email_id` is the id that the API returned."""

    number: int
    domain: str
    email_id: str = ""
    tries: int = 0

    @property
    def key(self):
        return f"chaos-{self.number}"

    @property
    def request(self):
        return {
            "from": "Chaos <chaos@demo.opensend.test>",
            "to": [f"Number {self.number} <n{self.number}@{self.domain}>"],
            "subject": self.key,
            "text": "Is anybody there?",
        }

    @property
    def status(self):
        return OUTCOMES[self.domain][0]

    @property
    def events(self):
        return {f"email.{name}" for name in OUTCOMES[self.domain][1]}


@dataclass
class Load:
    """`count` mails over `seconds`, from several concurrent clients."""

    facts: dict
    count: int
    seconds: float
    random: object
    mails: list = field(default_factory=list)
    errors: Counter = field(default_factory=Counter)

    def __post_init__(self):
        domains = list(OUTCOMES)
        weights = [share for _, _, share in OUTCOMES.values()]
        chosen = self.random.choices(domains, weights, k=self.count)
        self.mails = [Mail(number, domain) for number, domain in enumerate(chosen)]
        self._losses = Random(self.random.random())  # separate: threads draw from it in any order
        self._queue = queue.SimpleQueue()
        self._clients = [threading.Thread(target=self._send_all, daemon=True) for _ in range(8)]
        self._clock = threading.Thread(target=self._keep_pace, daemon=True)

    def start(self):
        for thread in (self._clock, *self._clients):
            thread.start()

    def join(self):
        for thread in (self._clock, *self._clients):
            thread.join()

    @property
    def repeated(self):
        return sum(mail.tries - 1 for mail in self.mails)

    def _keep_pace(self):
        begin = time.monotonic()
        for place, mail in enumerate(self.mails):
            due = begin + place * self.seconds / self.count
            time.sleep(max(0.0, due - time.monotonic()))
            self._queue.put(mail)
        for _ in self._clients:
            self._queue.put(None)

    def _send_all(self):
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self.facts['api_key']}"
            while (mail := self._queue.get()) is not None:
                self._send(session, mail)

    def _send(self, session, mail):
        end = time.monotonic() + RETRY_FOR
        while not mail.email_id and time.monotonic() < end:
            mail.tries += 1
            try:
                response = session.post(
                    f"{self.facts['base_url']}/emails",
                    json=mail.request,
                    headers={"Idempotency-Key": mail.key},
                    timeout=10,
                )
            except requests.RequestException as error:
                self.errors[type(error).__name__] += 1
            else:
                if response.status_code != 200:
                    self.errors[response.status_code] += 1
                elif self._losses.random() < LOST:
                    self.errors["lost response"] += 1
                else:
                    mail.email_id = response.json()["id"]
                    return
            time.sleep(0.2)
