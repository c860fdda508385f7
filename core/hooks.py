"""What apps offer to the floors below them, without being imported from there.

Each app may have a `hooks.py` with plain data under the names in `KNOWN`, read once in the
order of INSTALLED_APPS, which is that of the floors. Nothing registers itself at import.
"""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

# Name -> what its entries are, and who reads them.
KNOWN = {
    "ADMIN_SECTIONS": "(model label, function of a record -> RecordPanel) (core.admin.base)",
    "ALERTS": "function -> Alert, for the admin's overview (core.admin.dashboard)",
    "DIALECT_PREFIXES": "(path prefix, dialect name) (core.api.dialects)",
    "DOMAIN_OWNERS": "function (workspace, domain id) -> bool (accounts.services)",
    "EVENT_TYPES": "EventType (events.catalogue)",
    "FILTER_IDS": "(filter name, function (workspace, ids) -> known ids) (webhooks.filters)",
    "KEEP_EVENTS_WHILE": "database expression: such events outlive their retention (events.tasks)",
    "QUEUE_STATES": "(model label, function -> QueueState) (core.queue.backlog)",
    "READINESS": "function -> list of warnings (core.health)",
    "SES_REGIONS": "function -> AWS regions in which mail is sent (contacts.ses_list)",
    "SUBSCRIBERS": "Subscriber (events.subscriptions)",
}


def collect(name: str) -> list[Any]:
    """The entries of all apps under one of the KNOWN names."""
    if name not in KNOWN:
        raise KeyError(name)
    return [entry for module in _modules() for entry in getattr(module, name, ())]


@cache
def _modules() -> list[ModuleType]:
    return [
        import_module(f"{config.name}.hooks")
        for config in apps.get_app_configs()
        if module_has_submodule(config.module, "hooks")
    ]
