"""Signs what schemathesis sends, for scripts/check-api.

A request is signed last, once its target and body are as they will be on the wire. It is a
`requests` authentication, so that schemathesis can leave it out where it checks that a route
refuses whoever does not sign.
"""

import hashlib
import hmac
import os
import threading
import time

import requests.auth
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from urllib3.util import parse_url

# A request that fits the schema was refused, in the terms of schemathesis.
ACCEPTED = "ST201"
REFUSED = "ST202"


class Signature(requests.auth.AuthBase):
    """X-Client-ID, X-Timestamp and X-Signature, and a person's access token."""

    def __init__(self, client_id, client_secret, token):
        self._client_id = client_id
        self._key = client_secret.encode()
        self._token = token
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self, request):
        # The connection encodes the target once more in this way; done here it changes no more.
        request.url = parse_url(request.url).url
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
            request.body = body
            request.headers["Content-Length"] = str(len(body))
        timestamp = str(self._timestamp())
        head = f"{request.method}|{request.path_url}|{timestamp}|".encode()
        request.headers["X-Client-ID"] = self._client_id
        request.headers["X-Timestamp"] = timestamp
        request.headers["X-Signature"] = hmac.new(self._key, head + body, hashlib.sha256).hexdigest()
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _timestamp(self):
        """Unix milliseconds that only grow: two equal writes must not be signed alike."""
        with self._lock:
            self._last = max(int(time.time() * 1000), self._last + 1)
            return self._last


schemathesis.auth.set_from_requests(
    Signature(
        os.environ["FAQ_CLIENT_ID"],
        os.environ["FAQ_CLIENT_SECRET"],
        os.environ["FAQ_TOKEN"],
    )
)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Sends a request whose headers were made wrong on purpose as it is, without a signature."""
    if case.meta is not None and case.meta.is_negative_at(ParameterLocation.HEADER):
        kwargs["auth"] = lambda request: request


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure is one: a schema cannot say all that makes a request good."""
    if failure.code == ACCEPTED:
        # Too large is a refusal; and a query parameter that is null is not sent at all.
        return response.status_code != 413 and "?" in response.request.url
    if failure.code != REFUSED:
        return True
    try:
        error = response.json()
    except ValueError:
        return True
    # An address, a time, a name, a cursor, a type of file, a size: each has rules beyond its
    # schema, and is refused with a sentence that names it.
    ruled = {"unsupported_type", "invalid_field", "missing_field", "too_large"}
    return error.get("code") not in ruled
