"""PostgreSQL ends connections that nobody uses at the moment; no request is lost to that."""

import threading

import psycopg
import requests


def get(product, path="/emails"):
    headers = {"Authorization": f"Bearer {product.facts['api_key']}"}
    return requests.get(
        f"{product.facts['base_url']}{path}", headers=headers, timeout=30
    ).status_code


def end_all(product):
    """How many connections of web processes were ended."""
    with psycopg.connect(product.facts["database_url"], autocommit=True) as own:
        (ended,) = own.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'web'"
        ).fetchone()
    return ended


def test_requests_after_a_restart_find_a_living_connection(product):
    def many():
        answers.extend(get(product) for _ in range(10))

    for _ in range(3):
        answers = []
        threads = [threading.Thread(target=many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(answers) == {200}
        assert end_all(product) >= 2
    assert [get(product) for _ in range(20)] == [200] * 20
