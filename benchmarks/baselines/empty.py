"""A function that does nothing: what the runtime itself costs."""


def handler(event: object, context: object) -> object:
    """Answer an invocation."""
    return {"statusCode": 200, "body": "ok"}
