import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts import services
from accounts.models import ApiKey, Workspace


class Command(BaseCommand):
    help = "Make an API key and print its token, which is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workspace", help="the workspace's name; made if there is none")
        parser.add_argument("--name", default="operator", help="what to call the key")
        parser.add_argument("--permission", choices=ApiKey.Permission.values, default="full_access")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(
        self, *, workspace: str, name: str, permission: str, json: bool, **options: Any
    ) -> None:
        owner = Workspace.objects.filter(name=workspace).order_by("pk").first()
        owner = owner or services.create_workspace(name=workspace)
        key, token = services.create_api_key(workspace=owner, name=name, permission=permission)
        self.stdout.write(_as_json(owner, key, token) if json else token)


def _as_json(workspace: Workspace, key: ApiKey, token: str) -> str:
    return json.dumps({"workspace_id": str(workspace.pk), "id": str(key.pk), "token": token})
