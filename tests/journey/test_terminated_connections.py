"""PostgreSQL terminates idle connections; no request fails because of that."""

import threading

import psycopg
import requests


def get(product, path="/emails"):
    headers = {"Authorization": f"Bearer {product.facts['api_key']}"}
    return requests.get(
        f"{product.facts['base_url']}{path}", headers=headers, timeout=30
    ).status_code


def terminate_connections(product):
    """Terminate the connections of the web processes and return how many there were."""
    with psycopg.connect(product.facts["database_url"], autocommit=True) as own:
        (terminated,) = own.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'web'"
        ).fetchone()
    return terminated


def test_requests_succeed_after_their_connections_were_terminated(product):
    def send_requests():
        answers.extend(get(product) for _ in range(10))

    for _ in range(3):
        answers = []
        threads = [threading.Thread(target=send_requests) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(answers) == {200}
        assert terminate_connections(product) >= 2
    assert [get(product) for _ in range(20)] == [200] * 20
