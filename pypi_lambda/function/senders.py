"""Who sends the events that are not for this function, by their shape: so that a trigger in the wrong place says so.

Pure. Requests, notifications of S3 and schedules are told apart before. Refused rather than answered: what a queue or a
stream delivers would be taken for done, and lost.

"Invoking Lambda with events from other AWS services" in the AWS Lambda developer guide has a page for each.
"""

from collections.abc import Mapping
from typing import Any

from indexer.errors import InvalidValue

# By `eventSource` of the first record, or of the event itself; SNS writes it with a capital letter.
_BY_EVENT_SOURCE: Mapping[str, str] = {
    "aws:sqs": "Amazon SQS",
    "aws:sns": "Amazon SNS",
    "aws:dynamodb": "Amazon DynamoDB Streams",
    "aws:kinesis": "Amazon Kinesis Data Streams",
    "aws:ses": "Amazon SES",
    "aws:codecommit": "AWS CodeCommit",
    "aws:kafka": "Amazon MSK",
    "SelfManagedKafka": "Apache Kafka",
    "aws:mq": "Amazon MQ",
    "aws:rmq": "Amazon MQ (RabbitMQ)",
    "aws:docdb": "Amazon DocumentDB",
}
# By members that events of one sender have and no other's; the first that fits counts.
_BY_MEMBERS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"awslogs"}), "Amazon CloudWatch Logs"),
    (frozenset({"alarmArn", "alarmData"}), "Amazon CloudWatch alarms"),
    (frozenset({"deliveryStreamArn", "records"}), "Amazon Data Firehose"),
    (frozenset({"CodePipeline.job"}), "AWS CodePipeline"),
    (frozenset({"triggerSource", "userPoolId"}), "Amazon Cognito user pools"),
    (frozenset({"datasetName", "identityPoolId"}), "Amazon Cognito Sync"),
    (frozenset({"invokingEvent", "configRuleName"}), "AWS Config"),
    (frozenset({"RequestType", "ResponseURL"}), "AWS CloudFormation"),
    (frozenset({"methodArn", "type"}), "an API Gateway authorizer"),
    (frozenset({"routeArn", "type"}), "an API Gateway authorizer"),
    (frozenset({"invocationSchemaVersion", "tasks"}), "Amazon S3 Batch Operations"),
    (frozenset({"getObjectContext"}), "Amazon S3 Object Lambda"),
    (frozenset({"Step", "ClientRequestToken", "SecretId"}), "AWS Secrets Manager"),
    (frozenset({"sessionState", "bot"}), "Amazon Lex"),
    (frozenset({"currentIntent", "bot"}), "Amazon Lex"),
    (frozenset({"ContactData", "Name"}), "Amazon Connect"),
    (frozenset({"Details", "Name"}), "Amazon Connect"),
    (frozenset({"actionGroup", "messageVersion"}), "Amazon Bedrock Agents"),
    (frozenset({"LifecycleEventHookExecutionId", "DeploymentId"}), "AWS CodeDeploy"),
    (frozenset({"info", "arguments"}), "AWS AppSync"),
    (frozenset({"session", "request", "version"}), "Alexa"),
    (frozenset({"directive"}), "Alexa"),
)
# Schedules keep a container warm.
_SCHEDULERS = frozenset({"aws.events", "aws.scheduler"})
_TAKEN = (
    "requests through a front door, `Object Created` and `ObjectCreated` notifications of S3, schedules and commands"
)
_SHOWN = 60  # characters of a name that somebody else chose


def refuse_foreign(event: object) -> None:
    """Refuse an event that another AWS service sent.

    Raises:
        InvalidValue: it is one; names the sender.
    """
    if isinstance(event, list) and event and isinstance(event[0], dict):
        event = {"Records": event}  # EventBridge Pipes hand over the records of a queue or a stream alone
    sender = _find_sender(event) if isinstance(event, dict) else None
    if sender is not None:
        raise InvalidValue("event", sender, f"this function takes {_TAKEN}")


def _find_sender(event: dict[str, Any]) -> str | None:
    records = event.get("Records")
    if isinstance(records, list):
        return _of_record(records[0] if records else None)
    if "eventSource" in event:
        return _of_record(event)
    if isinstance(event.get("detail-type"), str) and isinstance(event.get("source"), str):
        is_schedule = event["source"] in _SCHEDULERS and event["detail-type"].startswith("Scheduled")
        return (
            None if is_schedule else f"Amazon EventBridge ({_named(event['source'])}, {_named(event['detail-type'])})"
        )
    if isinstance(context := event.get("requestContext"), dict):
        if "functionArn" in context:
            return "a destination of AWS Lambda"
        return "an API Gateway WebSocket API" if "connectionId" in context else "an unknown front door"
    return next((sender for members, sender in _BY_MEMBERS if members <= event.keys()), None)


def _of_record(record: object) -> str:
    """Return who sent a record."""
    if not isinstance(record, dict):
        return "an unknown sender (Records without a record)"
    if "cf" in record:
        return "Amazon CloudFront (an event of a response)"
    source = record.get("eventSource", record.get("EventSource"))
    if not isinstance(source, str):
        return "an unknown sender (Records without eventSource)"
    return f"{_BY_EVENT_SOURCE[source]} ({source})" if source in _BY_EVENT_SOURCE else _named(source)


def _named(text: str) -> str:
    return text[:_SHOWN]
