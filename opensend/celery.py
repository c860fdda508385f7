import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning

# In a container there is often nobody but root.
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opensend.settings")

app = Celery("opensend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
