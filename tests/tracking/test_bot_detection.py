"""Classifying user agents as human or machine."""

import pytest

from tracking.bot_detection import classify


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/124.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:125.0) Gecko/20100101 Thunderbird/115.10",
        "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 Mobile Safari/537.36",
        "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)",
    ],
)
def test_mail_clients_and_browsers_are_human(agent):
    assert classify(agent) == ("human", ())
    assert not classify(agent).is_machine


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ("Mozilla/5.0", "apple_prefetch"),
        (" Mozilla/5.0 ", "apple_prefetch"),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com "
            "GoogleImageProxy)",
            "image_proxy",
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "image_proxy"),
        ("Mozilla/5.0 (compatible; BarracudaCentral)", "scanner"),
        ("Mimecast-URL-Scanner", "scanner"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "script"),
        ("python-requests/2.31.0", "script"),
        ("curl/8.5.0", "script"),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/124.0.0.0 Safari/537.36", "script"),
        ("Go-http-client/2.0", "script"),
    ],
)
def test_proxies_scanners_and_scripts_are_machines(agent, reason):
    verdict = classify(agent)

    assert verdict.is_machine
    assert reason in verdict.reasons


def test_an_empty_user_agent_is_unknown():
    assert classify("") == classify("  ") == ("unknown", ("no_user_agent",))
    assert not classify("").is_machine
