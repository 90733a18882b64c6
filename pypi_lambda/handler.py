"""The entry point of the Lambda function: `pypi_lambda.handler.handler`.

Importing this module is the function's init phase: it reads the settings, connects to the store and loads the snapshot.
It is the one module whose import does something. First comes what asking for the snapshot needs; everything else is
imported while the request is under way, which connects first: on S3, two round trips and TLS.
"""

import gc
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypi_lambda.function.invocations import Function


def _initialise() -> "Function":
    from pypi_lambda.together import install

    install()
    from indexer.keys import SNAPSHOT_KEY
    from indexer.store.begun import begin
    from indexer.store.open import open_store
    from pypi_lambda.function.certificates import name_bundle
    from pypi_lambda.settings import load_environ, read_settings

    name_bundle(os.environ)
    settings = read_settings(load_environ(os.environ))
    logging.getLogger().setLevel(settings.logging_level)
    store = open_store(settings.bucket, settings.repo_base_prefix, region=settings.bucket_region)
    find_snapshot = begin(lambda: store.find(SNAPSHOT_KEY))

    from pypi_lambda.function.invocations import make_function

    return make_function(settings, store, find_snapshot)


# What modules make lasts as long as the process: looking for garbage among it again and again takes 3 ms of an init.
gc.disable()
_function = _initialise()
gc.freeze()
gc.enable()


def handler(event: object, context: object) -> object:
    """Answer an invocation of the function."""
    return _function.handle(event, context)
