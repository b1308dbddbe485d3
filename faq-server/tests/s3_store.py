#!/usr/bin/env python3
"""An S3-compatible store for one test: s3_store.py BUCKET ACCESS_KEY SECRET_KEY

moto keeps the objects, in memory. It believes every signature, so each request's is computed
anew by botocore, Amazon's own, and compared. Prints its endpoint, and ends when stdin does.
"""

import datetime
import hashlib
import hmac
import io
import os
import sys
import threading
from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

REGION = "eu-central-1"


def header(environ, name):
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    return environ.get(key, "")


def is_signed(environ, body, credentials):
    """Whether the request carries the signature that botocore would give it."""
    target = urlsplit(environ["RAW_URI"])
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    if "X-Amz-Signature" in query:
        auth = S3SigV4QueryAuth(credentials, "s3", REGION)
        scope, names = query["X-Amz-Credential"], query["X-Amz-SignedHeaders"]
        signature, date = query["X-Amz-Signature"], query["X-Amz-Date"]
        made = datetime.datetime.strptime(date, "%Y%m%dT%H%M%S%z")
        lifetime = datetime.timedelta(seconds=int(query["X-Amz-Expires"]))
        if datetime.datetime.now(datetime.timezone.utc) > made + lifetime:
            return False
    else:
        auth = S3SigV4Auth(credentials, "s3", REGION)
        kind, _, rest = header(environ, "Authorization").partition(" ")
        if kind != "AWS4-HMAC-SHA256":
            return False
        fields = dict(field.strip().split("=", 1) for field in rest.split(","))
        scope, names = fields["Credential"], fields["SignedHeaders"]
        signature, date = fields["Signature"], header(environ, "X-Amz-Date")
        if header(environ, "X-Amz-Content-SHA256") != hashlib.sha256(body).hexdigest():
            return False
    if scope != f"{credentials.access_key}/{date[:8]}/{REGION}/s3/aws4_request":
        return False
    unsigned = "&".join(
        part for part in target.query.split("&") if not part.startswith("X-Amz-Signature=")
    )
    request = AWSRequest(
        method=environ["REQUEST_METHOD"],
        url=f"http://{header(environ, 'Host')}{target.path}?{unsigned}",
        headers={name: header(environ, name) for name in names.split(";")},
    )
    request.context["timestamp"] = date
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    return hmac.compare_digest(auth.signature(to_sign, request), signature)


def application(bucket, credentials):
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_bucket(bucket, REGION)
    moto = create_backend_app("s3")

    def serve(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if environ["PATH_INFO"] == "/unfinished":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(len(backend.buckets[bucket].multiparts)).encode()]
        if not is_signed(environ, body, credentials):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SignatureDoesNotMatch</Code></Error>"]
        return moto(environ, start_response)

    return serve


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


def main():
    bucket, access_key, secret_key = sys.argv[1:]
    app = application(bucket, Credentials(access_key, secret_key))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(f"http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
