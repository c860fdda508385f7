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


def test_pages_without_a_key_succeed_after_their_connections_were_terminated(product):
    base_url = product.facts["base_url"]
    login = f"{base_url}/admin/login/"
    with requests.Session() as browser:
        browser.get(login, timeout=30)
        form = {**product.facts["admin"], "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        home = browser.post(
            login, params={"next": "/admin/"}, data=form, headers={"Referer": login}, timeout=30
        )
        home.raise_for_status()
        for _ in range(5):
            fill_the_pools(product)
            assert terminate_connections(product) >= 2
            answers = [browser.get(f"{base_url}/admin/", timeout=30) for _ in range(5)]
            assert {(answer.status_code, answer.url) for answer in answers} == {
                (200, f"{base_url}/admin/")
            }


def test_probes_succeed_after_their_connections_were_terminated(product):
    base_url = product.facts["base_url"]
    for _ in range(3):
        fill_the_pools(product)
        assert terminate_connections(product) >= 2
        for _ in range(4):
            ready = requests.get(f"{base_url}/readyz", timeout=30).json()
            assert (ready["database"], ready.get("writes")) == ("ok", "ok")
        fill_the_pools(product)
        assert terminate_connections(product) >= 2
        for _ in range(4):
            assert "opensend_queue_due{" in requests.get(f"{base_url}/metrics", timeout=30).text


def fill_the_pools(product):
    threads = [threading.Thread(target=get, args=[product]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
