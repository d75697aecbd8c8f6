"""A WSGI app that notes what it acts on: what the server in front of it made of a request (PEP 3333)."""

import json
import os


def text(value):
    """WSGI strings are bytes in disguise."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def application(environ, start_response):
    path, mounted = text(environ["PATH_INFO"]), text(environ.get("SCRIPT_NAME", ""))
    note = {
        "case": environ.get("HTTP_X_CASE", ""),
        # As it stands, and below where the app believes to be mounted: frameworks look at either.
        "readings": [path, mounted + path],
        "method": environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"]),
        "headers": {
            name: text(value)
            for name, value in environ.items()
            if isinstance(value, str) and (name.startswith("HTTP_") or name == "REMOTE_USER")
        },
    }
    with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
        notes.write(json.dumps(note) + "\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"noted"]
