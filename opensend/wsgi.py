import gc
import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opensend.settings")
application = get_wsgi_application()
import_module("opensend.urls")  # and all views with it, or the first request waits for that
import_module("opensend.checks").require_valid_settings()

# What is loaded by now lives as long as the process: collections need not look at it again.
gc.collect()
gc.freeze()
