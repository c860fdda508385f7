"""An address that bounced can get mail again: here, and at SES."""

import time

import boto3

from tests.journey.product import wait_until


def test_a_removed_suppression_leaves_ses_as_well(product, somebody, resend_client, mail):
    ses = boto3.client(
        "sesv2",
        region_name="us-east-1",
        endpoint_url=product.facts["twin_url"],
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
    )

    def is_listed(address):
        try:
            return bool(ses.get_suppressed_destination(EmailAddress=address))
        except ses.exceptions.NotFoundException:
            return False

    bouncing, listed = somebody("bounce.twin.test"), somebody()
    ses.put_suppressed_destination(EmailAddress=listed, Reason="BOUNCE")
    for address in (bouncing, listed):
        resend_client.Emails.send(mail(address))
    for address in (bouncing, listed):
        wait_until(
            lambda address=address: product.api("GET", f"/suppressions/{address}").ok,
            seconds=20,
            what="the suppression",
        )
        assert is_listed(address)
        removed = product.api("DELETE", f"/suppressions/{address}").json()
        assert removed["ses_list"] == "removing"
        wait_until(lambda address=address: not is_listed(address), seconds=5, what="SES's list")

    email_id = resend_client.Emails.send(mail(listed))["id"]
    wait_until(
        lambda: product.get(f"/emails/{email_id}")["last_event"] == "delivered",
        seconds=20,
        what="the delivery",
    )
    time.sleep(0.5)
    assert not product.api("GET", f"/suppressions/{listed}").ok
    ses.close()
