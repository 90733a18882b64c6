"""Every module with logic has tests of its own, or a reason why not."""

import ast

import pytest

from tests.floor_plan import ROOT, find_modules

TESTS = ROOT / "tests"
# What is tested through a neighbour, or through all that use it: the module, and the file or folder of those tests.
ELSEWHERE = {
    "indexer.archives.tar": "indexer/archives/test_archive.py",
    "indexer.archives.zip_members": "indexer/archives/test_archive.py",
    "indexer.distributions.core_metadata": "indexer/distributions/test_distribution.py",
    "indexer.distributions.entry_points": "pypi_lambda/publish/test_unusable_files.py",
    "indexer.distributions.filenames": "indexer/distributions/test_distribution.py",
    "indexer.distributions.metadata_identity": "indexer/distributions/test_distribution.py",
    "indexer.distributions.record": "pypi_lambda/publish/test_unusable_files.py",
    "indexer.errors": "pypi_lambda/http/test_faults.py",
    "indexer.json_bytes": "indexer/simple/test_page.py",
    "indexer.log.describe": "pypi_lambda/cli/test_cli_manage.py",
    "indexer.names": "indexer/test_keys.py",
    "indexer.publication.candidate": "indexer/publication/test_rules.py",
    "indexer.publication.place": "indexer/publication/test_rules.py",
    "indexer.publication.steps": "pypi_lambda/publish/test_upload.py",
    "indexer.simple.legacy": "pypi_lambda/app/test_documents.py",
    "indexer.simple.marks": "pypi_lambda/mirror/test_pages.py",
    "indexer.simple.root_text": "indexer/derive/test_root.py",
    "indexer.store.base": "support/store_contract.py",
    "indexer.store.begun": "indexer/store/test_workers.py",
    "indexer.store.durable": "indexer/store/test_folder.py",
    "indexer.store.open": "indexer/store/test_folder.py",
    "indexer.store.probe": "indexer/store/test_s3.py",
    "indexer.store.s3_client": "indexer/store/test_s3.py",
    "indexer.store.s3_staging": "indexer/store/test_s3.py",
    "indexer.store.s3_upload": "indexer/store/test_s3.py",
    "indexer.upkeep.inventory": "indexer/upkeep/test_retention.py",
    "indexer.upkeep.survey": "indexer/upkeep/test_retention.py",
    "indexer.upstream.html_listing": "indexer/upstream/test_listing.py",
    "indexer.upstream.web": "indexer/upstream/test_client.py",
    "indexer.verify.derived": "indexer/verify/test_whole.py",
    "indexer.verify.findings": "indexer/verify/test_whole.py",
    "indexer.verify.project": "indexer/verify/test_whole.py",
    "indexer.zstd": "indexer/test_frame.py",
    "pypi_lambda.access.examiner": "indexer/verify/test_whole.py",
    "pypi_lambda.access.logins": "pypi_lambda/access/test_auth.py",
    "pypi_lambda.access.records": "pypi_lambda/access/test_auth.py",
    "pypi_lambda.app.faults": "pypi_lambda/app/test_app.py",
    "pypi_lambda.app.files": "pypi_lambda/app/test_delivery.py",
    "pypi_lambda.app.root_listing": "indexer/derive/test_root.py",
    "pypi_lambda.app.service": "pypi_lambda/app/test_app.py",
    "pypi_lambda.browse.layout": "pypi_lambda/browse/test_browse.py",
    "pypi_lambda.cli.audit": "pypi_lambda/cli/test_cli_manage.py",
    "pypi_lambda.cli.files": "pypi_lambda/cli/test_cli_manage.py",
    "pypi_lambda.cli.index": "pypi_lambda/cli/test_cli.py",
    "pypi_lambda.cli.migrate": "pypi_lambda/migrate/test_migrate.py",
    "pypi_lambda.cli.names": "pypi_lambda/cli/test_cli_manage.py",
    "pypi_lambda.cli.projects": "pypi_lambda/cli/test_cli_manage.py",
    "pypi_lambda.cli.serve": "integration/test_start.py",
    "pypi_lambda.cli.tokens": "integration/test_tokens.py",
    "pypi_lambda.cli.upkeep": "integration/test_verify.py",
    "pypi_lambda.cli.upload": "integration/test_large_uploads.py",
    "pypi_lambda.cli.users": "pypi_lambda/cli/test_cli.py",
    "pypi_lambda.cli.why": "pypi_lambda/manage/test_why.py",
    "pypi_lambda.clock": "integration",
    "pypi_lambda.command.arguments": "pypi_lambda/manage/test_registry.py",
    "pypi_lambda.command.context": "support/contexts.py",
    "pypi_lambda.cooldown.choice": "pypi_lambda/cooldown/test_offered.py",
    "pypi_lambda.cooldown.past": "pypi_lambda/cooldown/test_offered.py",
    "pypi_lambda.front_doors.events": "pypi_lambda/front_doors/test_requests.py",
    "pypi_lambda.function.invocations": "pypi_lambda/test_handler.py",
    "pypi_lambda.function.remote": "pypi_lambda/function/test_control.py",
    "pypi_lambda.http.address": "pypi_lambda/access/test_throttle.py",
    "pypi_lambda.http.model": "pypi_lambda/http/test_faults.py",
    "pypi_lambda.manage.index": "pypi_lambda/function/test_control.py",
    "pypi_lambda.manage.migrate": "pypi_lambda/migrate/test_migrate.py",
    "pypi_lambda.manage.parts": "pypi_lambda/publish/test_parts.py",
    "pypi_lambda.manage.retention": "indexer/upkeep/test_retention.py",
    "pypi_lambda.manage.tokens": "pypi_lambda/access/test_tokens.py",
    "pypi_lambda.manage.users": "pypi_lambda/access/test_admin.py",
    "pypi_lambda.manage.verify": "indexer/verify/test_whole.py",
    "pypi_lambda.migrate.devpi": "pypi_lambda/migrate/test_migrate.py",
    "pypi_lambda.migrate.folder": "pypi_lambda/migrate/test_migrate.py",
    "pypi_lambda.migrate.importer": "pypi_lambda/migrate/test_migrate.py",
    "pypi_lambda.migrate.origin": "pypi_lambda/migrate/test_migrate.py",
    "pypi_lambda.migrate.predecessor": "pypi_lambda/migrate/test_migrate.py",
    "pypi_lambda.migrate.simple_index": "pypi_lambda/migrate/test_migrate.py",
    "pypi_lambda.mirror.check": "pypi_lambda/mirror/test_pages.py",
    "pypi_lambda.mirror.examiner": "indexer/verify/test_whole.py",
    "pypi_lambda.mirror.failures": "pypi_lambda/mirror/test_pages.py",
    "pypi_lambda.mirror.offer": "pypi_lambda/mirror/test_pages.py",
    "pypi_lambda.mirror.revisions": "pypi_lambda/mirror/test_pages.py",
    "pypi_lambda.mirror.uses": "indexer/upkeep/test_retention.py",
    "pypi_lambda.publish.announced": "pypi_lambda/publish/test_parts.py",
    "pypi_lambda.server.granian": "integration/test_start.py",
    "pypi_lambda.terminal.faults": "pypi_lambda/terminal/test_function.py",
    "pypi_lambda.terminal.place": "pypi_lambda/cli/test_cli_manage.py",
    "pypi_lambda.terminal.progress": "integration/test_large_uploads.py",
    "pypi_lambda.terminal.sending": "integration/test_large_uploads.py",
    "pypi_lambda.together": "deploy/test_together.py",
    "pypi_lambda.view.view": "pypi_lambda/view/test_index.py",
}


def has_logic(source: str) -> bool:
    """Return whether a module defines a function, or a class with methods."""
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(source)))


def has_tests(module: str) -> bool:
    """Return whether a file of tests has the module's name: all of it, or the beginning of its own."""
    folder, _, name = module.replace(".", "/").rpartition("/")
    beside = TESTS / folder
    return (beside / f"test_{name}.py").exists() or any(beside.glob(f"test_{name}_*.py"))


def untested() -> set[str]:
    """Return the modules with logic that no file of tests is named after."""
    return {
        name
        for name, path in find_modules().items()
        if path.name not in ("__init__.py", "__main__.py") and has_logic(path.read_text("utf-8"))
        if not has_tests(name)
    }


def test_each_module_has_tests() -> None:
    """A module has a file of tests of its name, or the list says which tests try it; the list names no other."""
    assert untested() == ELSEWHERE.keys()


def test_those_tests_exist() -> None:
    """What the list names in a module's place is there."""
    assert [where for where in ELSEWHERE.values() if not (TESTS / where).exists()] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("A = 1", False),
        ("class A:\n    b: int", False),
        ("def f(): ...", True),
        ("class A:\n    def f(self): ...", True),
    ],
)
def test_logic(source: str, expected: bool) -> None:
    """Constants and records are no logic, a function is."""
    assert has_logic(source) is expected
