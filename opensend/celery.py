import os
import signal
import sys
import warnings
from types import FrameType
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import beat_init, celeryd_init, setup_logging, worker_ready
from django.core.exceptions import ImproperlyConfigured

# Containers often run as root, which Celery warns about.
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opensend.settings")
# Celery would run all of Django's checks, which load the URLs and the admin. Those of the settings
# run below, the others in `manage.py check`.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")


@setup_logging.connect
def _keep_django_logging(**_: object) -> None:
    """A receiver of this signal stops Celery from configuring logging.

    Django's LOGGING, with LOG_LEVEL, then applies to workers and beat as well.
    """


@celeryd_init.connect
@beat_init.connect
def _require_valid_settings(**_: object) -> None:
    from opensend.checks import require_valid_settings

    try:
        require_valid_settings()
    except ImproperlyConfigured as error:  # Celery only logs exceptions of signal handlers
        sys.exit(str(error))


@beat_init.connect
def _stop_between_passes(sender: Any, **_: object) -> None:
    """Celery's handler closes the schedule and raises wherever it is.

    In the middle of sending a task the exception was lost, and beat went on with a closed schedule
    until that failed.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        sender.stop()  # after the pass
        if frame and frame.f_code is type(sender).start.__code__:
            sys.exit()  # between two passes: it may sleep for minutes
        signal.setitimer(signal.ITIMER_REAL, 0.1)  # look again

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, stop)


@worker_ready.connect
def _start_heartbeat(sender: Any, **_: object) -> None:
    from core.queue import heartbeat

    heartbeat.start(sender.app.amqp.queues.consume_from)


app = Celery("opensend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
