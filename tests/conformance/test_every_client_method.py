"""Each method of the clients from PyPI works here, or raises the client's own error that says why.

What each got is docs/compatibility.md; `make compatibility` writes it.
"""

import os

from tests.conformance.client_methods import (
    ASYNC,
    opensend_methods,
    resend_functions,
    resend_methods,
)
from tests.conformance.compatibility_page import rendered
from tests.journey.product_running import ROOT

PAGE = ROOT / "docs/compatibility.md"
# It asks nothing of the API.
ONLY_SYNC = {"Webhooks.verify"}


def test_every_method_of_the_client_has_a_name_by_which_it_is_called():
    named = {method.__func__ for method in resend_methods().values()}
    assert named >= set(resend_functions())


def test_every_method_of_resend_was_called(resend_verdicts):
    methods = set(resend_methods())
    plain = {name for name in methods if not name.endswith(ASYNC)}
    assert resend_verdicts[""].keys() == plain
    assert {name + ASYNC for name in resend_verdicts[ASYNC].keys() - ONLY_SYNC} == methods - plain


def test_the_async_methods_get_what_the_others_get(resend_verdicts):
    assert resend_verdicts[ASYNC] == resend_verdicts[""]


def test_every_method_of_opensend_was_called(opensend_verdicts, opensend_module):
    methods = dict(opensend_methods(opensend_module, api_key="os_x", base_url="http://x"))
    assert opensend_verdicts.keys() == methods.keys()


def test_the_page_tells_what_each_method_got(resend_verdicts, opensend_verdicts, raised):
    page = rendered(resend_verdicts, opensend_verdicts, raised)
    if os.environ.get("WRITE_COMPATIBILITY"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run `make compatibility`"
