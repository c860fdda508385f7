"""A stack with small fakes of the twin, web, worker, beat and manage.py.

`python tests/devstack/fake_product.py` runs like `python -m devstack`.
"""

import sys
import textwrap

from devstack import __main__ as program
from devstack import commands

SERVE = textwrap.dedent("""
    import http.server, sys
    ANSWER = b'{"workers": {"all": {"last_seen_at": "2999-01-01T00:00:00Z"}}}'
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers(); self.wfile.write(ANSWER)
        def log_message(self, *_): pass
    print("listening", flush=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
""")
# A process with a child, like a worker pool.
POOL = textwrap.dedent("""
    import os, signal, time
    child = os.fork()
    if child == 0:
        time.sleep(3600)
    open(os.path.join(os.environ["VAR_DIR"], "pool-child"), "w").write(str(child))
    signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, 15), os._exit(0)))
    print("working", flush=True)
    time.sleep(3600)
""")
MANAGE = textwrap.dedent("""
    import json, os, sys
    print("manage", sys.argv[1:])
    if sys.argv[1] == os.environ.get("FAIL_STEP"):
        sys.exit(3)
    with open(os.environ["BOOTSTRAP_FILE"], "w") as file:
        json.dump({"api_key": "os_key", "admin": {"username": "a", "password": "b"}}, file)
""")


def command(name, *, ports, **_):
    if name in ports:
        return [sys.executable, "-c", SERVE, str(ports[name])]
    return [sys.executable, "-c", POOL if name == "worker" else "import time; time.sleep(3600)"]


if __name__ == "__main__":
    commands.command = command
    commands.MANAGE = [sys.executable, "-c", MANAGE]
    sys.exit(program.main())
