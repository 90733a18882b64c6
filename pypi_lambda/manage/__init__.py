"""What an index can be told to do: one module for each noun, one class for each command.

The command line and the Lambda function give the same commands with the same words (`pypi_lambda.manage.registry`).
"""
