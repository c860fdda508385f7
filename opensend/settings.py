"""Every setting comes from the environment; `.env.example` lists them with what they mean.

Only LOCAL_MODE=true makes the defaults unsafe. Wrong and missing variables stop every process with
their names (opensend.checks).
"""

import base64
import hashlib
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext

from core.queue.queues import beat_schedule, task_routes
from opensend.admin_theme import UNFOLD  # noqa: F401 (a setting)
from opensend.environment import Environment
from opensend.security_headers import SECURE_CSP

django_stubs_ext.monkeypatch()  # lets ModelAdmin[Email] be written at run time

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
env = Environment()
env.read_file(BASE_DIR / ".env")
ENVIRONMENT_PROBLEMS = env.problems

# --- Core -------------------------------------------------------------------

# LOCAL_MODE=true is for a laptop. Django's DEBUG stays off there too: it would keep a copy of every
# SQL statement, and errors are the same JSON everywhere.
LOCAL_MODE = env.bool("LOCAL_MODE", default=False)
DEBUG = False
# The check stops a process without a key; until then nobody can guess this one.
SECRET_KEY = env.str(
    "SECRET_KEY",
    default="insecure-for-debug-only" if LOCAL_MODE else "",
    needed="50 random characters",
) or secrets.token_urlsafe(48)
BASE_URL = env.str("BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", urlsplit(BASE_URL).hostname or ""]
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[BASE_URL])
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))

# Fernet keys, newest first: the first encrypts, all of them decrypt.
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[])
if LOCAL_MODE and not ENCRYPTION_KEYS:
    _digest = hashlib.sha256(SECRET_KEY.encode()).digest()
    ENCRYPTION_KEYS = [base64.urlsafe_b64encode(_digest).decode()]

# In the order of the floors, lowest first: hooks are read in this order (core.hooks).
APPS = [
    "core",
    "accounts",
    "events",
    "domains",
    "contacts",
    "tracking",
    "webhooks",
    "emails",
    "receiving",
    "ingest",
    "opensend",
]
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "opensend.admin_config.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
    *APPS,
]

MIDDLEWARE = [
    "core.middleware.RequestIdMiddleware",
    "core.middleware.SlashMiddleware",
    "core.middleware.HealthHostMiddleware",
    "core.middleware.LiveConnectionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "opensend.security_headers.SecurityHeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # last, as it replaces the response of a locked login
]

ROOT_URLCONF = "opensend.urls"
WSGI_APPLICATION = "opensend.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "opensend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "opensend.formats"
STATIC_URL = "static/"
# Production runs collectstatic; a laptop serves static files from the packages.
STATIC_ROOT = None if LOCAL_MODE else BASE_DIR / "static"
WHITENOISE_USE_FINDERS = LOCAL_MODE
WHITENOISE_AUTOREFRESH = False
APPEND_SLASH = False
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https://")
# Clients could forge X-Forwarded-Proto: trust it only behind a proxy that always sets it.
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)
# Sent over TLS only. 0 for none.
SECURE_HSTS_SECONDS = env.int(
    "HSTS_SECONDS",
    default=31_536_000 if BASE_URL.startswith("https://") else 0,
    at_least=0,
)
CONTENT_SECURITY_POLICY = {"DIRECTIVES": SECURE_CSP}
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # also after a `next` that leads elsewhere
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None

# Wrong passwords: counted in PostgreSQL by account and address together, so that nobody can lock
# an operator out from elsewhere. Logged by core.admin.login_lockout, shown in the admin.
LOGIN_FAILURE_LIMIT = env.int("LOGIN_FAILURE_LIMIT", default=5)
LOGIN_LOCKOUT = timedelta(seconds=env.int("LOGIN_LOCKOUT", default=900))
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = LOGIN_FAILURE_LIMIT
AXES_COOLOFF_TIME = LOGIN_LOCKOUT
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_HANDLER = "core.admin.login_lockout.LoggingHandler"
AXES_CLIENT_IP_CALLABLE = "core.api.client_address.client_network"
AXES_USERNAME_CALLABLE = "core.admin.login_lockout.counted_name"
AXES_LOCKOUT_CALLABLE = "core.admin.login_lockout.locked_response"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # a lockout ends, whatever is tried
AXES_SENSITIVE_PARAMETERS = ["csrfmiddlewaretoken"]  # besides the password: not stored
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False  # core.admin.access_attempts is its page
AXES_VERBOSE = False

# --- PostgreSQL: the truth ------------------------------------------------------

SERVICE = env.str("SERVICE", default="opensend")  # the name of this process
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database("DATABASE_URL", default="postgres:///opensend" if LOCAL_MODE else "")
}
# An unreachable database is given up after 5 s while connecting, and after 15 s without an
# acknowledgement of data or keepalive probes (TCP only; where there is no TCP_USER_TIMEOUT, the
# number of probes counts). Parameters of DATABASE_URL override these.
DATABASES["default"]["OPTIONS"] = {
    "application_name": SERVICE,
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    **DATABASES["default"].get("OPTIONS", {}),
}
# Connections per process; 0 opens one per request, behind an external pooler.
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=20, at_least=0, at_most=1000)
if DATABASE_POOL_SIZE:
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": 5,
    }
# Plan frequent statements once per connection, where connections outlive requests.
DATABASE_PREPARED_STATEMENTS = env.bool(
    "DATABASE_PREPARED_STATEMENTS", default=DATABASE_POOL_SIZE > 0
)

# --- Redis: disposable ------------------------------------------------------------

REDIS_URL = env.str(
    "REDIS_URL",
    default="redis://127.0.0.1:6379/0" if LOCAL_MODE else "",
    needed="a URL such as redis://localhost:6379/0",
)

# --- HTTP API -----------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.rate_limit.ApiKeyThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["core.api.http.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.api.http.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.api.http.JSONNegotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "core.api.error_handlers.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OpenSend",
    "DESCRIPTION": "The email platform a team runs on its own Amazon SES account.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/",
    "ENUM_NAME_OVERRIDES": {
        "Switch": ["enabled", "disabled"],
        "SuppressionOrigin": ["bounce", "complaint", "soft_bounces", "manual", "unsubscribed"],
    },
    "PREPROCESSING_HOOKS": ["opensend.openapi.only_canonical_paths"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "opensend.openapi.with_plain_paths",
        "opensend.openapi_common.with_required_bodies",
        "opensend.openapi_common.with_common_headers",
        "opensend.openapi_common.with_common_errors",
        "opensend.api_reference.with_descriptions",
    ],
}
# Requests that a web process runs at once, of each kind that most requests are of (opensend.asgi).
WEB_THREADS = env.int("WEB_THREADS", default=4, at_most=256)
WEB_WORKERS = env.int("WEB_WORKERS", default=2, at_most=256)  # web processes per host
API_MAX_BODY_BYTES = env.int("API_MAX_BODY_BYTES", default=64 * 1024 * 1024)
API_RATE_LIMIT = env.int("API_RATE_LIMIT", default=100, at_least=0)  # per second and key; 0: none
API_RATE_BURST = env.int("API_RATE_BURST", default=200)
# Requests per minute and client address that may lack a valid key; 0: no limit.
API_AUTH_FAILURE_LIMIT = env.int("API_AUTH_FAILURE_LIMIT", default=30, at_least=0)
IDEMPOTENCY_RETENTION = timedelta(
    hours=env.float("IDEMPOTENCY_RETENTION_HOURS", default=24.0, at_most=8760)
)

# --- Blobs --------------------------------------------------------------------------

# A folder, or s3://bucket/prefix.
BLOB_STORE = env.str("BLOB_STORE", default=str(VAR_DIR / "blobs"))

# --- AWS --------------------------------------------------------------------------

AWS_REGION = env.str("AWS_REGION", default="us-east-1")
# URL of a stand-in for AWS (the twin); empty for the real AWS.
AWS_ENDPOINT_URL = env.str("AWS_ENDPOINT_URL", default="")

# --- Sending ------------------------------------------------------------------------

EMAIL_PROVIDER = env.str("EMAIL_PROVIDER", default="ses")  # or "smtp"; a domain may differ
# smtp+starttls://, smtps://, or smtp:// (no TLS) for a relay on this host.
SMTP_URL = env.str("SMTP_URL", default="")
SMTP_RATE = env.float("SMTP_RATE", default=0.0, at_least=0)  # recipients per second; 0: no limit
SES_CONFIGURATION_SET = env.str("SES_CONFIGURATION_SET", default="")
SEND_CONCURRENCY = env.int(
    "SEND_CONCURRENCY", default=128, at_most=1000
)  # calls in flight per process
# Recipients per second until the provider's limits are known: those of a new SES account.
SEND_RATE_UNTIL_KNOWN = env.float("SEND_RATE_UNTIL_KNOWN", default=1.0)
SEND_LEASE = timedelta(seconds=env.int("SEND_LEASE", default=60, at_most=3600))
SEND_GIVE_UP_AFTER = timedelta(hours=env.int("SEND_GIVE_UP_AFTER_HOURS", default=24, at_most=720))
SEND_UNKNOWN_GRACE = timedelta(seconds=env.int("SEND_UNKNOWN_GRACE", default=600, at_most=86_400))
SEND_UNKNOWN_POLICY = env.str("SEND_UNKNOWN_POLICY", default="resend")  # or "hold"
HOLD_MAX_AGE = timedelta(hours=env.int("HOLD_MAX_AGE_HOURS", default=72, at_most=8760))

# Where attachments given as a URL may be fetched from, besides https on public networks.
ATTACHMENT_ALLOW_HTTP = env.bool("ATTACHMENT_ALLOW_HTTP", default=False)
ATTACHMENT_ALLOWED_NETWORKS = env.networks("ATTACHMENT_ALLOWED_NETWORKS")
# Bytes of attachments that a process loads at once for provider calls.
ATTACHMENT_BYTES_IN_FLIGHT = env.int("ATTACHMENT_BYTES_IN_FLIGHT", default=128 * 1024 * 1024)

# Alerts about failing webhook endpoints go to these operators, from a mailbox of a verified domain
# of this installation.
OPERATOR_EMAILS = env.list("OPERATOR_EMAILS", default=[])
OPERATOR_EMAIL_FROM = env.str("OPERATOR_EMAIL_FROM", default="")

# --- Tracking and unsubscribe_view -------------------------------------------------------------

# Secrets that sign tokens in links, newest first: the first signs, all of them verify.
TRACKING_KEYS = env.list("TRACKING_KEYS", default=[]) or ([SECRET_KEY] if LOCAL_MODE else [])

# --- Provider callbacks --------------------------------------------------------------

SES_EVENTS_SNS_TOPIC_ARN = env.list("SES_EVENTS_SNS_TOPIC_ARN", default=[])
SNS_REQUIRE_SIGNATURE_V2 = env.bool("SNS_REQUIRE_SIGNATURE_V2", default=False)
SNS_MAX_AGE = timedelta(seconds=env.int("SNS_MAX_AGE", default=7200, at_most=86_400))
INGEST_BATCH = env.int("INGEST_BATCH", default=500, at_most=10_000)
INGEST_UNMATCHED_FOR = timedelta(
    seconds=env.int("INGEST_UNMATCHED_FOR", default=3600, at_least=0, at_most=86_400)
)

# --- Webhooks ---------------------------------------------------------------------------

WEBHOOK_ALLOW_HTTP = env.bool("WEBHOOK_ALLOW_HTTP", default=False)
WEBHOOK_ALLOWED_NETWORKS = env.networks("WEBHOOK_ALLOWED_NETWORKS")
WEBHOOK_TIMEOUT = env.float("WEBHOOK_TIMEOUT", default=15.0, at_most=120)
WEBHOOK_CONCURRENCY = env.int(
    "WEBHOOK_CONCURRENCY", default=500, at_most=10_000
)  # in flight per process
WEBHOOK_PER_ENDPOINT = env.int("WEBHOOK_PER_ENDPOINT", default=20)  # in flight per endpoint

# --- Retention ----------------------------------------------------------------------------

EVENT_RETENTION = timedelta(days=env.float("EVENT_RETENTION_DAYS", default=90.0, at_most=36_500))
ATTEMPT_RETENTION = timedelta(
    days=env.float("ATTEMPT_RETENTION_DAYS", default=30.0, at_most=36_500)
)
PROVIDER_EVENT_RETENTION = timedelta(
    days=env.float("PROVIDER_EVENT_RETENTION_DAYS", default=90.0, at_most=36_500)
)
HIT_RETENTION = timedelta(days=env.float("HIT_RETENTION_DAYS", default=30.0, at_most=36_500))

# Unset: kept for ever. Only of mail that is final; the rest is needed for sending.
EMAIL_CONTENT_RETENTION = env.days("EMAIL_CONTENT_RETENTION_DAYS")
EMAIL_RETENTION = env.days("EMAIL_RETENTION_DAYS")

# --- Background work --------------------------------------------------------------------
# The database row is the job. A Celery message is only a hint: losing one costs a sweep interval,
# not an email. Queues and periodic tasks are listed in each app's queues.py.

SWEEP_INTERVAL = timedelta(seconds=env.float("SWEEP_INTERVAL", default=5.0, at_most=300))
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "database"
CELERY_TASK_ROUTES = task_routes(APPS)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = beat_schedule(APPS, sweep_every=SWEEP_INTERVAL)

# Processes that `python -m opensend.worker` starts for each Celery queue.
WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=2, at_most=256)
SENDING_PROCESSES = env.int("SENDING_PROCESSES", default=2, at_most=256)
WEBHOOK_PROCESSES = env.int("WEBHOOK_PROCESSES", default=2, at_most=256)

# --- Metrics ---------------------------------------------------------------------------

# Shared by all processes of a host for their counters; emptied at start.
PROMETHEUS_MULTIPROC_DIR = env.writable_folder("PROMETHEUS_MULTIPROC_DIR")
if not PROMETHEUS_MULTIPROC_DIR:  # prometheus_client reads the variable, and dies of a wrong one
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

# --- Logs ------------------------------------------------------------------------------

LOG_LEVEL = env.choice(
    "LOG_LEVEL", default="INFO", among=["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "core.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "axes": {"level": "ERROR"},  # core.admin.login_lockout logs, without names
        "botocore": {"level": "WARNING"},
        "celery": {"level": "WARNING"},  # otherwise two lines per task, many times a second
        "django.request": {"level": "ERROR"},
    },
}
