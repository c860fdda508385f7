"""Clients of the API and the admin, servers that tests run, and waiting for what they do.

A conftest may import this module: it imports nothing that needs Django at the top.
"""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler


def client_for(token):
    """The HTTP client of an API key: `client.post("/emails", {...})` speaks JSON."""
    from rest_framework.test import APIClient

    return APIClient(headers={"Authorization": f"Bearer {token}"})


def sending_client(workspace, *, name="sender"):
    """The HTTP client of a new API key that may only send; the key is `client.key`."""
    from accounts.services import create_api_key

    key, token = create_api_key(workspace=workspace, name=name, permission="sending_access")
    client = client_for(token)
    client.key = key
    return client


def admin_client(name, *, is_superuser):
    """The HTTP client of a new staff user who is signed in to the admin."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    user = get_user_model().objects.create_user(
        name, password="a pass phrase", is_staff=True, is_superuser=is_superuser
    )
    client = Client()
    client.force_login(user)
    return client


def run_admin_action(client, action, *records, **more):
    """(response, messages) after an action of the admin on these records of one model."""
    from django.urls import reverse

    form = {"action": action, "index": "0", "_selected_action": [each.pk for each in records]}
    model = records[0]._meta
    path = reverse(f"admin:{model.app_label}_{model.model_name}_changelist")
    shown = client.post(path, form | more, follow=True)
    return shown, [str(message) for message in shown.context["messages"]]


def use_resend(patch, url, token):
    """Point the unmodified PyPI client `resend` at a server of ours; returns the client."""
    import resend

    patch.setattr(resend, "api_url", url)
    patch.setattr(resend, "api_key", token)
    return resend


def rejected_fields(answer, status=422):
    """{path: message} of the fields that a validation rejected."""
    assert answer.status_code == status, answer.content
    return answer.json()["details"]["fields"]


def wait_until(condition, *, seconds=20, what="it", pause=0.05):
    """Return the condition's result once that is true; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(pause)
    return result


class QuietHandler(BaseHTTPRequestHandler):
    """Logs no requests."""

    def log_message(self, *args):
        pass


@contextmanager
def serving(server):
    """Serve in a thread during the block; at its end the server is closed."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def email_provider(settings, path):
    """Send by the class at the dotted path during the block; yields its instance."""
    from emails.providers import get_provider

    settings.EMAIL_PROVIDER = path
    get_provider.cache_clear()
    yield get_provider()
    get_provider.cache_clear()
