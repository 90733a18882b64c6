"""An event of another AWS service is refused in words that name it; what keeps a container warm is not."""

from typing import Any

import pytest

from indexer.errors import InvalidValue
from pypi_lambda.function.senders import refuse_foreign

# Shapes of the pages of "Invoking Lambda with events from other AWS services" in the AWS Lambda developer guide.
FOREIGN: list[tuple[Any, str]] = [
    ({"Records": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}]}, "Amazon SQS (aws:sqs)"),
    ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "{}"}}]}, "Amazon SNS (aws:sns)"),
    ({"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {}}]}, "Amazon DynamoDB Streams (aws:dynamodb)"),
    ({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}]}, "Amazon Kinesis Data Streams (aws:kinesis)"),
    ({"Records": [{"eventSource": "aws:ses", "ses": {}}]}, "Amazon SES (aws:ses)"),
    ({"Records": [{"eventSource": "aws:codecommit"}]}, "AWS CodeCommit (aws:codecommit)"),
    ({"Records": [{"eventSource": "aws:new"}]}, "aws:new"),
    ({"Records": [{"cf": {"config": {"eventType": "viewer-response"}}}]}, "Amazon CloudFront (an event of a response)"),
    ({"Records": []}, "an unknown sender (Records without a record)"),
    ({"Records": [None]}, "an unknown sender (Records without a record)"),
    ({"Records": [{}]}, "an unknown sender (Records without eventSource)"),
    ({"eventSource": "aws:kafka", "records": {}, "bootstrapServers": "b"}, "Amazon MSK (aws:kafka)"),
    ({"eventSource": "SelfManagedKafka", "records": {}}, "Apache Kafka (SelfManagedKafka)"),
    ({"eventSource": "aws:mq", "messages": []}, "Amazon MQ (aws:mq)"),
    ({"eventSource": "aws:rmq", "rmqMessagesByQueue": {}}, "Amazon MQ (RabbitMQ) (aws:rmq)"),
    ({"eventSource": "aws:docdb", "events": []}, "Amazon DocumentDB (aws:docdb)"),
    ([{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}], "Amazon SQS (aws:sqs)"),
    ([{"kinesisSchemaVersion": "1.0", "eventSource": "aws:kinesis"}], "Amazon Kinesis Data Streams (aws:kinesis)"),
    ([{"detail": {}}], "an unknown sender (Records without eventSource)"),
    ({"version": "1.0", "requestContext": {"functionArn": "arn"}, "requestPayload": {}}, "a destination of AWS Lambda"),
    ({"messageVersion": "1.0", "agent": {}, "actionGroup": "a"}, "Amazon Bedrock Agents"),
    ({"DeploymentId": "d", "LifecycleEventHookExecutionId": "e"}, "AWS CodeDeploy"),
    ({"info": {"fieldName": "f"}, "arguments": {}, "identity": None}, "AWS AppSync"),
    ({"awslogs": {"data": "H4sI"}}, "Amazon CloudWatch Logs"),
    ({"source": "aws.cloudwatch", "alarmArn": "arn", "alarmData": {}}, "Amazon CloudWatch alarms"),
    ({"invocationId": "1", "deliveryStreamArn": "arn", "region": "r", "records": []}, "Amazon Data Firehose"),
    ({"CodePipeline.job": {"id": "1", "data": {}}}, "AWS CodePipeline"),
    (
        {"version": "1", "triggerSource": "PreSignUp_SignUp", "userPoolId": "p", "request": {}},
        "Amazon Cognito user pools",
    ),
    ({"version": 2, "eventType": "SyncTrigger", "datasetName": "d", "identityPoolId": "p"}, "Amazon Cognito Sync"),
    ({"invokingEvent": "{}", "ruleParameters": "{}", "configRuleName": "r"}, "AWS Config"),
    ({"RequestType": "Create", "ResponseURL": "https://example/", "StackId": "s"}, "AWS CloudFormation"),
    ({"type": "TOKEN", "methodArn": "arn", "authorizationToken": "t"}, "an API Gateway authorizer"),
    ({"version": "2.0", "type": "REQUEST", "routeArn": "arn", "headers": {}}, "an API Gateway authorizer"),
    ({"requestContext": {"connectionId": "c", "routeKey": "$default"}}, "an API Gateway WebSocket API"),
    ({"requestContext": {}}, "an unknown front door"),
    ({"invocationSchemaVersion": "1.0", "tasks": [], "job": {}}, "Amazon S3 Batch Operations"),
    ({"getObjectContext": {}, "xAmzRequestId": "1"}, "Amazon S3 Object Lambda"),
    ({"Step": "createSecret", "SecretId": "s", "ClientRequestToken": "t"}, "AWS Secrets Manager"),
    ({"sessionState": {}, "bot": {}, "inputTranscript": "x"}, "Amazon Lex"),
    ({"currentIntent": {}, "bot": {}}, "Amazon Lex"),
    ({"Details": {"ContactData": {}}, "Name": "ContactFlowEvent"}, "Amazon Connect"),
    ({"version": "1.0", "session": {}, "context": {}, "request": {}}, "Alexa"),
    ({"directive": {"header": {}}}, "Alexa"),
    (
        {"version": "0", "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {}},
        "Amazon EventBridge (aws.ec2, EC2 Instance State-change Notification)",
    ),
    ({"source": "my.app", "detail-type": "x" * 500, "detail": {}}, f"Amazon EventBridge (my.app, {'x' * 60})"),
    ({"source": "aws.events", "detail-type": "Other", "detail": {}}, "Amazon EventBridge (aws.events, Other)"),
]


@pytest.mark.parametrize(("event", "sender"), FOREIGN, ids=[sender[:40] for _, sender in FOREIGN])
def test_refused(event: Any, sender: str) -> None:
    """The sentence names the sender, and what is taken."""
    with pytest.raises(InvalidValue) as refusal:
        refuse_foreign(event)
    assert str(refusal.value) == (
        f"invalid event {sender!r}: this function takes requests through a front door, `Object Created` and "
        "`ObjectCreated` notifications of S3, schedules and commands"
    )


@pytest.mark.parametrize(
    "event",
    [
        *(None, "", "reindex", [], 17, {}, {"warm": True}, {"reindex": None}, {"keep-warm": 1, "source": "mine"}),
        {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "resources": []},
        {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"},
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "mybucket"},
        {"putUser": {"username": "a", "password": "b"}},
        {"source": "aws.events", "detail-type": None},
    ],
    ids=repr,
)
def test_not_refused(event: object) -> None:
    """Plain invocations, commands, schedules, and what S3 sends when it is set up are none of another service."""
    refuse_foreign(event)
