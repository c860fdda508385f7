"""The admin's title and sidebar (unfold's UNFOLD setting)."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _page(title: str, icon: str, name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}


def _group(title: str, *pages: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(pages)}


UNFOLD = {
    "SITE_TITLE": "OpenSend",
    "SITE_HEADER": "OpenSend",
    "SITE_SYMBOL": "outgoing_mail",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "core.admin.dashboard.fill_dashboard",
    "STYLES": [lambda request: static("core/admin.css")],
    "SIDEBAR": {
        "navigation": [
            {"items": [_page("Overview", "monitoring", "index")]},
            _group(
                "Mail",
                _page("Emails", "mail", "emails_email_changelist"),
                _page("Recipients", "alternate_email", "emails_emailrecipient_changelist"),
                _page("Email events", "timeline", "emails_emailevent_changelist"),
                _page("Send rates", "speed", "emails_sendrate_changelist"),
                _page("Attachments", "attach_file", "emails_emailattachment_changelist"),
                _page("Opens and clicks", "ads_click", "tracking_hit_changelist"),
                _page("Domains", "dns", "domains_domain_changelist"),
                _page("DNS records", "list_alt", "domains_dnsrecord_changelist"),
            ),
            _group(
                "Audience",
                _page("Contacts", "contacts", "contacts_contact_changelist"),
                _page("Suppressions", "block", "contacts_suppression_changelist"),
                _page("SES list removals", "cloud_off", "contacts_sesremoval_changelist"),
            ),
            _group(
                "Events and webhooks",
                _page("Provider callbacks", "call_received", "ingest_providerevent_changelist"),
                _page("Events", "bolt", "events_event_changelist"),
                _page("Endpoints", "webhook", "webhooks_endpoint_changelist"),
                _page("Deliveries", "local_shipping", "webhooks_delivery_changelist"),
                _page("Attempts", "replay", "webhooks_attempt_changelist"),
                _page("Recoveries", "history", "webhooks_recovery_changelist"),
            ),
            _group(
                "Administration",
                _page("Workspaces", "workspaces", "accounts_workspace_changelist"),
                _page("API keys", "key", "accounts_apikey_changelist"),
                _page(
                    "Idempotency records", "content_copy", "accounts_idempotencyrecord_changelist"
                ),
                _page("Heartbeats", "favorite", "core_heartbeat_changelist"),
                _page("Log entries", "history_edu", "admin_logentry_changelist"),
                _page("Access attempts", "lock", "axes_accessattempt_changelist"),
                _page("Users", "person", "auth_user_changelist"),
                _page("Groups", "group", "auth_group_changelist"),
            ),
        ],
    },
}
