"""A chunked CSV upload that breaks off suppresses no half of an address."""

import socket
import time
from urllib.parse import urlsplit

import pytest
import requests


def send_chunks(product, body, *, is_ended):
    """Post a chunked body; close the connection after it, with or without the last chunk."""
    url = urlsplit(product.facts["base_url"])
    head = (
        f"POST /suppressions/import HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: text/csv\r\n"
        f"Authorization: Bearer {product.facts['api_key']}\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n"
    )
    end = b"0\r\n\r\n" if is_ended else b""
    with socket.create_connection((url.hostname, url.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(body), body) + end)
        if not is_ended:
            connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def is_suppressed(product, email):
    headers = {"Authorization": f"Bearer {product.facts['api_key']}"}
    url = f"{product.facts['base_url']}/suppressions/{email}"
    return requests.get(url, headers=headers, timeout=20).status_code == 200


@pytest.mark.parametrize("is_ended", [True, False])
def test_the_last_line_of_a_chunked_file_counts_only_with_its_line_end(product, is_ended):
    name = "ended" if is_ended else "broken"
    body = f"email\n{name}-whole@example.org\n{name}-cut@example.co".encode()
    send_chunks(product, body, is_ended=is_ended)
    time.sleep(0.5)  # the server may work on it after it closed the connection
    assert not is_suppressed(product, f"{name}-cut@example.co")
    if is_ended:
        assert is_suppressed(product, f"{name}-whole@example.org")
