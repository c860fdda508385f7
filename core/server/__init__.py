"""The ASGI application in front of Django's WSGI one: bodies, admission, threads.

Django's views block, so they run in a few threads. Whatever a client can make us wait for happens
outside of them, in one event loop per process: reading the request, its place in the queue, and
sending the response.
"""

from core.server.front import Front, Lanes
from core.server.lanes import Lane

__all__ = ["Front", "Lane", "Lanes"]
