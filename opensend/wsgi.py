import gc
import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opensend.settings")
application = get_wsgi_application()
import_module("opensend.urls")  # preload all views, so the first request does not wait for them
import_module("opensend.checks").require_valid_settings()

# Everything loaded by now lives as long as the process: exempt it from garbage collection.
gc.collect()
gc.freeze()
