"""A small Django site behind a proxy, as a school's own site would be built.

It believes the header of the proxy by Django's own RemoteUserMiddleware
(https://docs.djangoproject.com/en/5.2/howto/auth-remote-user/), and knows nothing else of single sign-on.
Usage: school_site.py FOLDER HOST. It listens on a free port and prints its address.
"""

import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

FOLDER, HOST = Path(sys.argv[1]), sys.argv[2]

settings.configure(
    SECRET_KEY="only-for-tests",
    ALLOWED_HOSTS=[HOST],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        f"{__name__}.ProxyUserMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.RemoteUserBackend"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "site.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    SESSION_COOKIE_SECURE=True,
    CSRF_COOKIE_SECURE=True,
)
django.setup()

# These need the settings.
from django.contrib.auth.middleware import RemoteUserMiddleware  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, HttpResponseRedirect  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import re_path  # noqa: E402


class ProxyUserMiddleware(RemoteUserMiddleware):
    """The header that the proxy sets, as Django's documentation has it."""

    header = "HTTP_REMOTE_USER"


def who(request):
    return HttpResponse(f"You are {request.user.get_username() or 'nobody'}.", content_type="text/plain")


def users(request):
    names = User.objects.order_by("username").values_list("username", flat=True)
    return HttpResponse(" ".join(names), content_type="text/plain")


def note(request):
    if request.method == "POST":
        request.session["note"] = request.POST["note"]
        return HttpResponseRedirect("/note")
    return HttpResponse(f"note={request.session.get('note', '')} token={get_token(request)}", content_type="text/plain")


urlpatterns = [re_path(".*users$", users), re_path(".*note$", note), re_path("", who)]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    """Says nothing of requests. Unlike Django's own it keeps fields with underscores, as many servers do."""

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    with make_server("127.0.0.1", 0, get_wsgi_application(), Server, Handler) as server:
        print(f"Listening on 127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
