"""`/emails/receiving`: received mail, of which there is none."""

from accounts.access import Access, Scope
from accounts.operation import operation
from accounts.views import ApiView
from core.api.dialects import ROOT
from core.api.pagination import cursor_parameters
from receiving.api.representations import ReceivedEmailList


class ReceivedEmailsView(ApiView):
    tag = "Emails"

    @operation("List received emails", needs=Scope.RECEIVING_READ, parameters=ROOT.page_parameters)
    def get(self, access: Access) -> ReceivedEmailList:
        cursor_parameters(self.request)
        return ReceivedEmailList()
