"""Which of the system's root certificates a process reads: one file with all of them, not the folder beside it.

The S3 client reads them when it is made: the bundle, and then every file of a folder that holds the same ones again.
That is 6 ms of a cold start on Debian, against half a millisecond. OpenSSL and rustls-native-certs both know
`SSL_CERT_FILE`, which names the one file to read.

Owns the places. Whether a certificate is trusted is the client's to check, against the same roots either way.
"""

from collections.abc import MutableMapping
from os.path import exists

BUNDLES = (
    "/etc/pki/tls/certs/ca-bundle.crt",  # Amazon Linux 2023, Fedora, RHEL
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
)


def name_bundle(environ: MutableMapping[str, str], bundles: tuple[str, ...] = BUNDLES) -> None:
    """Name the system's bundle in the environment; where something is named already, or there is none, change nothing.

    Args:
        environ: the process's own; the clients read no other.
    """
    if "SSL_CERT_FILE" in environ or "SSL_CERT_DIR" in environ:
        return
    found = next(filter(exists, bundles), None)
    if found is not None:
        environ["SSL_CERT_FILE"] = found
