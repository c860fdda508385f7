"""The parts of a running twin, as its operations see them."""

from dataclasses import dataclass, field
from pathlib import Path

from twin.event_publishing import EventPublisher
from twin.faults import Faults
from twin.journal import Journal
from twin.quota import Quota
from twin.s3.objects import Objects
from twin.signing import Signer
from twin.sns.delivery import Courier
from twin.sns.publishing import Publisher
from twin.state import Store


@dataclass(slots=True, kw_only=True)
class Twin:
    store: Store
    faults: Faults
    quota: Quota
    signer: Signer
    courier: Courier
    publisher: Publisher
    events: EventPublisher
    objects: Objects
    # Of those who call, for links that are signed with it; empty: not known.
    secret_key: str
    journal: Journal = field(default_factory=Journal)


def build_twin(*, var_dir: Path, buckets: tuple[str, ...], secret_key: str) -> Twin:
    var_dir.mkdir(parents=True, exist_ok=True)
    store, faults, signer = Store(var_dir), Faults(), Signer(var_dir)
    courier = Courier(store)
    publisher = Publisher(store=store, signer=signer, courier=courier)
    return Twin(
        store=store,
        faults=faults,
        quota=Quota(faults),
        signer=signer,
        courier=courier,
        publisher=publisher,
        events=EventPublisher(store=store, faults=faults, publisher=publisher),
        objects=Objects(buckets),
        secret_key=secret_key,
    )
