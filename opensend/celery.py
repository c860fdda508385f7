import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import beat_init, celeryd_init, setup_logging

# In a container there is often nobody but root.
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opensend.settings")


@setup_logging.connect
def _leave_logging_alone(**_: object) -> None:
    """Celery sets levels and handlers of its own unless somebody hears this.

    So LOG_LEVEL means the same in workers and beat as it does in the web.
    """


@celeryd_init.connect
@beat_init.connect
def _require_valid_settings(**_: object) -> None:
    from opensend.checks import require_valid_settings

    require_valid_settings()


app = Celery("opensend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
