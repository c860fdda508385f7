import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Workspace
from contacts import ses_list
from contacts.ses_import import Counts, import_list
from core import aws


class Command(BaseCommand):
    help = (
        "Suppress the addresses on SES's account-level suppression list here as well: SES sends no"
        " mail to them. Can be run again; adds only what is missing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--region",
            action="append",
            help="an AWS region, repeatable (default: those in which this installation sends)",
        )
        parser.add_argument(
            "--workspace",
            help="name or id of the workspace (default: the only one)",
        )
        parser.add_argument(
            "--all-workspaces",
            action="store_true",
            help="import into each workspace, which shows it the addresses of the others",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object a region")

    def handle(
        self,
        *,
        region: list[str] | None,
        workspace: str | None,
        all_workspaces: bool,
        **options: Any,
    ) -> None:
        regions = _regions(region)
        workspaces = _workspaces(workspace, takes_all=all_workspaces)
        for name in regions:
            counts = Counts()
            try:
                for counts in import_list(workspaces, name):
                    if options["verbosity"] > 1:
                        self.stderr.write(f"{name}: {counts.listed:,} read")
            except ses_list.ListUnavailable as error:
                raise CommandError(
                    f"{name}: {counts.added:,} suppressions were added before SES failed: {error}"
                    " Run the command again to add the rest."
                ) from None
            self.stdout.write(_as_json(name, counts) if options["json"] else _text(name, counts))


def _regions(given: list[str] | None) -> list[str]:
    if unknown := set(given or ()) - aws.ses_regions():
        raise CommandError(f"SES has no region {', '.join(sorted(unknown))}.")
    regions = sorted(set(given or ses_list.regions()))
    if not regions:
        raise CommandError("This installation doesn't send through SES. Name a --region.")
    return regions


def _workspaces(given: str | None, *, takes_all: bool) -> list[Workspace]:
    rows = Workspace.objects.order_by("pk")
    if given is not None:
        rows = rows.filter(pk=given) if _is_uuid(given) else rows.filter(name=given)
    found = list(rows)
    if not found:
        raise CommandError("There is no workspace" + (f" {given}." if given else "."))
    if len(found) > 1 and given is not None:
        raise CommandError(f"{len(found)} workspaces are called {given}. Give the id of one.")
    if len(found) > 1 and not takes_all:
        raise CommandError(
            f"There are {len(found)} workspaces. Name one with --workspace, or give"
            " --all-workspaces."
        )
    return found


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _text(region: str, counts: Counts) -> str:
    return (
        f"{region}: {counts.listed:,} addresses on SES's list, {counts.added:,} suppressions added,"
        f" {counts.being_removed:,} skipped because SES is to remove them,"
        f" {counts.invalid:,} invalid."
    )


def _as_json(region: str, counts: Counts) -> str:
    return json.dumps({"region": region, **asdict(counts)})
