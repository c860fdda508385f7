"""Request bodies without a Content-Length reach the views like all others."""

import requests


def test_the_running_product_reads_chunked_bodies(product):
    def request(method, path, *pieces, kind="application/json"):
        return requests.request(
            method,
            product.facts["base_url"] + path,
            data=iter(pieces),
            headers={"Authorization": f"Bearer {product.facts['api_key']}", "Content-Type": kind},
            timeout=10,
        )

    created = request("POST", "/contacts", b'{"email": ', b'"in-chunks@example.net"}')
    assert created.status_code == 201
    path = f"/contacts/{created.json()['id']}"
    assert request("PATCH", path, b'{"unsubscribed"', b": true}").status_code == 200
    assert product.get(path)["unsubscribed"] is True
    list_of_two = request(
        "POST",
        "/suppressions/import",
        b"email\nx@exam",
        b"ple.net\ny@example.net\n",
        kind="text/csv",
    )
    assert list_of_two.json()["added"] == 2
    assert request("POST", "/contacts", *[b" " * 2**20] * 65).status_code == 413
