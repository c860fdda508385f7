from django.urls import path

from accounts.unsupported import UnsupportedEndpoint
from contacts.api import contacts, suppression_csv, suppressions

NO_GROUPS = UnsupportedEndpoint.as_view(
    because="There are no audiences and no segments here: contacts belong to the whole workspace,"
    " at /contacts. Leave `audience_id` and `segment_id` out."
)
NO_TOPICS = UnsupportedEndpoint.as_view(
    because="There are no topics here: a contact receives mail or is `unsubscribed`."
)
NO_IMPORTS = UnsupportedEndpoint.as_view(
    because="There are no imports of contacts here. Add each with `POST /contacts`."
)

# An address in a path may contain slashes, so the address routes come after the fixed ones.
urlpatterns = [
    path("contacts", contacts.ContactsView.as_view()),
    path("contacts/imports", NO_IMPORTS),
    path("contacts/imports/<str:import_id>", NO_IMPORTS),
    path("contacts/<path:id_or_email>/segments", NO_GROUPS),
    path("contacts/<path:id_or_email>/segments/<str:segment_id>", NO_GROUPS),
    path("contacts/<path:id_or_email>/topics", NO_TOPICS),
    path("contacts/<path:id_or_email>", contacts.ContactView.as_view()),
    path("audiences", NO_GROUPS),
    path("audiences/<path:rest>", NO_GROUPS),
    path("segments", NO_GROUPS),
    path("segments/<path:rest>", NO_GROUPS),
    path("suppressions", suppressions.SuppressionsView.as_view()),
    path("suppressions/export", suppression_csv.ExportSuppressionsView.as_view()),
    path("suppressions/import", suppression_csv.ImportSuppressionsView.as_view()),
    path("suppressions/batch/add", suppressions.AddSuppressionsView.as_view()),
    path("suppressions/batch/remove", suppressions.RemoveSuppressionsView.as_view()),
    path("suppressions/<path:id_or_email>", suppressions.SuppressionView.as_view()),
]
