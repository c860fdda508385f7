import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opensend.settings")

app = Celery("opensend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
