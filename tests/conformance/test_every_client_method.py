"""Each method of the PyPI clients works, or raises the client's own error with a reason.

docs/compatibility.md lists the results; `make compatibility` writes it.
"""

import os

from tests.conformance.client_methods import (
    ASYNC,
    opensend_methods,
    resend_functions,
    resend_methods,
)
from tests.conformance.compatibility_page import render
from tests.journey.product import ROOT

PAGE = ROOT / "docs/compatibility.md"
# Makes no request, so it has no async variant.
ONLY_SYNC = {"Webhooks.verify"}


def test_every_function_of_the_client_is_a_known_method():
    named = {method.__func__ for method in resend_methods().values()}
    assert named >= set(resend_functions())


def test_every_method_of_resend_was_called(resend_verdicts):
    methods = set(resend_methods())
    plain = {name for name in methods if not name.endswith(ASYNC)}
    assert resend_verdicts[""].keys() == plain
    assert {name + ASYNC for name in resend_verdicts[ASYNC].keys() - ONLY_SYNC} == methods - plain


def test_async_methods_have_the_same_results(resend_verdicts):
    assert resend_verdicts[ASYNC] == resend_verdicts[""]


def test_every_method_of_opensend_was_called(opensend_verdicts, opensend_module):
    methods = dict(opensend_methods(opensend_module, api_key="os_x", base_url="http://x"))
    assert opensend_verdicts.keys() == methods.keys()


def test_the_page_lists_the_result_of_each_method(
    resend_verdicts, opensend_verdicts, raised_errors
):
    page = render(resend_verdicts, opensend_verdicts, raised_errors)
    if os.environ.get("WRITE_COMPATIBILITY"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run `make compatibility`"
