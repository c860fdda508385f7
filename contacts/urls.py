from django.urls import path

from contacts import api, api_suppressions, api_transfer

# An address in a path may have slashes in it, so those come after what begins like them.
urlpatterns = [
    path("contacts", api.ContactsView.as_view()),
    path("contacts/<path:given>", api.ContactView.as_view()),
    path("audiences", api.NoSuchGroupsView.as_view()),
    path("audiences/<path:rest>", api.NoSuchGroupsView.as_view()),
    path("segments", api.NoSuchGroupsView.as_view()),
    path("segments/<path:rest>", api.NoSuchGroupsView.as_view()),
    path("suppressions", api_suppressions.SuppressionsView.as_view()),
    path("suppressions/export", api_transfer.ExportSuppressionsView.as_view()),
    path("suppressions/import", api_transfer.ImportSuppressionsView.as_view()),
    path("suppressions/batch/add", api_suppressions.AddSuppressionsView.as_view()),
    path("suppressions/batch/remove", api_suppressions.RemoveSuppressionsView.as_view()),
    path("suppressions/<path:given>", api_suppressions.SuppressionView.as_view()),
]
