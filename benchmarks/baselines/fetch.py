"""A function that reads the snapshot's bytes and does nothing with them: what no function over S3 can go below."""

import os

import obstore
from obstore.store import S3Store

# The one file of certificates that `pypi_lambda.function.certificates` names, too.
_BUNDLES = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt")
os.environ.setdefault("SSL_CERT_FILE", next(filter(os.path.exists, _BUNDLES)))
_store = S3Store(
    os.environ["BUCKET"],
    config={
        "aws_endpoint_url_s3": os.environ["AWS_ENDPOINT_URL"],
        "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "region": os.environ["AWS_REGION"],
    },
    client_options={"allow_http": True},
)
_body = obstore.get(_store, f"{os.environ['REPO_BASE_PREFIX']}/snapshot.msgpack.zst").bytes()


def handler(event: object, context: object) -> object:
    """Answer an invocation."""
    return {"statusCode": 200, "body": str(len(_body))}
