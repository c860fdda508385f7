from django.urls import path

from accounts.absent import NotOffered
from contacts import api, api_suppressions, api_transfer

NO_GROUPS = NotOffered.as_view(
    because="There are no audiences and no segments here: contacts belong to the whole workspace,"
    " at /contacts. Leave `audience_id` and `segment_id` out."
)
NO_TOPICS = NotOffered.as_view(
    because="There are no topics here: a contact takes mail, or is `unsubscribed`."
)
NO_IMPORTS = NotOffered.as_view(
    because="There are no imports of contacts here. Add each with `POST /contacts`."
)

# An address in a path may have slashes in it, so those come after what begins like them.
urlpatterns = [
    path("contacts", api.ContactsView.as_view()),
    path("contacts/imports", NO_IMPORTS),
    path("contacts/imports/<str:import_id>", NO_IMPORTS),
    path("contacts/<path:given>/segments", NO_GROUPS),
    path("contacts/<path:given>/segments/<str:segment_id>", NO_GROUPS),
    path("contacts/<path:given>/topics", NO_TOPICS),
    path("contacts/<path:given>", api.ContactView.as_view()),
    path("audiences", NO_GROUPS),
    path("audiences/<path:rest>", NO_GROUPS),
    path("segments", NO_GROUPS),
    path("segments/<path:rest>", NO_GROUPS),
    path("suppressions", api_suppressions.SuppressionsView.as_view()),
    path("suppressions/export", api_transfer.ExportSuppressionsView.as_view()),
    path("suppressions/import", api_transfer.ImportSuppressionsView.as_view()),
    path("suppressions/batch/add", api_suppressions.AddSuppressionsView.as_view()),
    path("suppressions/batch/remove", api_suppressions.RemoveSuppressionsView.as_view()),
    path("suppressions/<path:given>", api_suppressions.SuppressionView.as_view()),
]
