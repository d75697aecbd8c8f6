"""An app that checks assertions as docs/assertion.md shows it.

Usage: vouched.py EXAMPLE KEYS HOST, with the example as a file, the address of the key set, and the host to ask it
for. Reads lines of JSON: an assertion, the time to take for the present, perhaps the app to be, the
gateway to believe, or another address of the keys. Answers each with the claims or with why there are none, and with the status that the middleware gives.
"""

import datetime
import importlib.util
import json
import sys

import jwt.api_jwt

PATH, KEYS, HOST = sys.argv[1:4]

spec = importlib.util.spec_from_file_location("example", PATH)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
assert example.KEYS.uri == "https://library.school.example/.schoolgate/jwks.json"
example.KEYS.uri, example.KEYS.headers = KEYS, {"Host": HOST}


class Clock(datetime.datetime):
    at = 0

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(cls.at, tz)


jwt.api_jwt.datetime = Clock


def status(assertion):
    """What somebody gets who comes with this header, or without one."""
    said, seen = [], {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return []

    environ = {} if assertion is None else {"HTTP_X_SCHOOLGATE_ASSERTION": assertion}
    example.Vouched(app)(environ, lambda status, headers: said.append(status))
    return said[0], seen.get("REMOTE_USER")


for line in sys.stdin:
    asked = json.loads(line)
    Clock.at = asked["at"]
    example.APP = asked.get("app") or example.APP
    example.GATEWAY = asked.get("gateway") or example.GATEWAY
    example.KEYS.uri = asked.get("keys") or example.KEYS.uri
    answer = dict(zip(("status", "user"), status(asked["assertion"])))
    try:
        answer["claims"] = example.person(asked["assertion"] or "")
    except jwt.PyJWTError as error:
        answer["refused"] = type(error).__name__
    print(json.dumps(answer), flush=True)
