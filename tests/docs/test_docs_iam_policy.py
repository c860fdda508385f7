"""The IAM policy in docs/deploy.md allows what the product calls at AWS, and nothing else."""

import ast
import json
import re
from pathlib import Path

import boto3
import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ["core", "accounts", "events", "domains", "contacts", "tracking", "webhooks", "emails"]
APPS += ["receiving", "ingest", "opensend"]
LOCAL_ONLY = "bootstrap_local.py"  # sets up the stand-in for AWS
SERVICES = {"ses": "sesv2", "sns": "sns", "s3": "s3"}
# Where the action is not named like the operation (Service Authorization Reference), or where one
# operation needs more: SendEmail with raw content needs both.
ACTIONS = {
    "ses:SendEmail": {"ses:SendEmail", "ses:SendRawEmail"},
    "s3:DeleteObjects": {"s3:DeleteObject"},
    "s3:HeadObject": {"s3:GetObject"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
}


def operations(service):
    """{name of the client's method: name of the operation}"""
    client = boto3.client(SERVICES[service], region_name="us-east-1")
    return client.meta.method_to_api_mapping


OPERATIONS = {service: operations(service) for service in SERVICES}


def called_in(source):
    """The IAM actions behind the calls of AWS in one module."""
    used = {service for service in SERVICES if f"aws.{service}(" in source}
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        names = [node.func.attr]
        if node.func.attr in ("generate_presigned_url", "get_paginator", "get_waiter"):
            names = [node.args[0].value]
        for service in used:
            for name in names:
                if operation := OPERATIONS[service].get(name):
                    action = f"{service}:{operation}"
                    yield from ACTIONS.get(action, {action})


def called():
    files = [file for app in APPS for file in (ROOT / app).rglob("*.py") if file.name != LOCAL_ONLY]
    return {action for file in files for action in called_in(file.read_text())}


def documented():
    page = (ROOT / "docs" / "deploy.md").read_text()
    policies = [
        json.loads(block)
        for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)
        if '"Statement"' in block
    ]
    return {
        action
        for policy in policies
        for statement in policy["Statement"]
        for action in statement["Action"]
    }


def test_the_policy_allows_exactly_what_is_called():
    assert documented() == called()


def test_the_clients_are_made_in_one_place():
    """Otherwise the comparison above would miss calls."""
    makers = [
        str(file.relative_to(ROOT))
        for app in APPS
        for file in (ROOT / app).rglob("*.py")
        if re.search(r"boto3\.(client|resource|Session)|create_client\(", file.read_text())
    ]
    assert makers == ["core/aws.py"]


@pytest.mark.parametrize(
    ("source", "actions"),
    [
        ("aws.ses(region).send_email(**request)", {"ses:SendEmail", "ses:SendRawEmail"}),
        ("client = aws.ses(r)\nclient.delete_suppressed_destination(EmailAddress=a)",
         {"ses:DeleteSuppressedDestination"}),
        ("aws.ses(r).get_paginator('list_suppressed_destinations')",
         {"ses:ListSuppressedDestinations"}),
        ("c = aws.s3(r)\nc.delete_objects()\nc.generate_presigned_url('get_object')",
         {"s3:DeleteObject", "s3:GetObject"}),
        ("self.get_object(request, key)", set()),
    ],
)  # fmt: skip
def test_the_comparison_finds_calls(source, actions):
    assert set(called_in(source)) == actions
