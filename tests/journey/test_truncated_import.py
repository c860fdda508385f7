"""A truncated CSV upload does not suppress a truncated address."""

import socket
from urllib.parse import urlsplit

import requests


def import_raw(product, body, length):
    """Post a body with this Content-Length and close the connection after `body`."""
    url = urlsplit(product.facts["base_url"])
    head = (
        f"POST /suppressions/import HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: text/csv\r\n"
        f"Authorization: Bearer {product.facts['api_key']}\r\nContent-Length: {length}\r\n"
        "Connection: close\r\n\r\n"
    )
    with socket.create_connection((url.hostname, url.port), timeout=20) as connection:
        connection.sendall(head.encode() + body)
        if len(body) < length:
            connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def is_suppressed(product, email):
    headers = {"Authorization": f"Bearer {product.facts['api_key']}"}
    url = f"{product.facts['base_url']}/suppressions/{email}"
    return requests.get(url, headers=headers, timeout=20).status_code == 200


def test_the_last_address_of_a_truncated_file_is_not_suppressed(product):
    whole = b"email\nwhole@example.org"
    import_raw(product, whole, len(whole))
    assert is_suppressed(product, "whole@example.org")

    cut = b"email\ncut@example.co"
    import_raw(product, cut, len(cut) + 1)
    assert not is_suppressed(product, "cut@example.co")
