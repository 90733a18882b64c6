"""How the clients that lock and install whole projects are called."""

from collections.abc import Mapping

from tests.matrix.cases import ENVIRONMENT, Case, installed_in


def _credentials(case: Case, prefix: str) -> dict[str, str]:
    """Return the variables for user and password, where the environment is the way."""
    if case.way != ENVIRONMENT:
        return {}
    return {f"{prefix}_USERNAME": case.site.username, f"{prefix}_PASSWORD": case.site.password}


def run_uv_project(case: Case) -> Mapping[str, str]:
    """`uv lock` and `uv sync`."""
    case.write(
        "pyproject.toml",
        f'[project]\nname = "uses"\nversion = "1.0"\nrequires-python = ">=3.8"\n'
        f'dependencies = ["{case.scenario.requirement}"]\n\n'
        f'[[tool.uv.index]]\nname = "ours"\nurl = "{case.index}"\ndefault = true\n',
    )
    environ = {**_credentials(case, "UV_INDEX_OURS"), "UV_PYTHON": case.environment.interpreter}
    del_config = {"UV_NO_CONFIG": "0"}
    case.run("uv", "lock", environ={**environ, **del_config}).succeeded()
    case.check_lock("uv.lock")
    case.run("uv", "sync", "--frozen", environ={**environ, **del_config}).succeeded()
    return installed_in(case.project / ".venv")


def run_poetry(case: Case) -> Mapping[str, str]:
    """`poetry lock` and `poetry install`."""
    scenario = case.scenario
    extras = f', extras = ["{scenario.extra}"]' if scenario.extra else ""
    version = f"=={scenario.pin}" if scenario.pin else "*"
    case.write(
        "pyproject.toml",
        f'[tool.poetry]\nname = "uses"\nversion = "1.0"\ndescription = ""\nauthors = []\npackage-mode = false\n\n'
        f'[[tool.poetry.source]]\nname = "ours"\nurl = "{case.index}"\npriority = "primary"\n\n'
        f'[tool.poetry.dependencies]\npython = ">=3.9"\n"{scenario.project}" = {{ version = "{version}"{extras} }}\n',
    )
    environ = {**_credentials(case, "POETRY_HTTP_BASIC_OURS"), "POETRY_VIRTUALENVS_IN_PROJECT": "1"}
    case.run("poetry", "lock", "--no-interaction", environ=environ).succeeded()
    case.check_lock("poetry.lock")
    case.run("poetry", "install", "--no-interaction", environ=environ).succeeded()
    return installed_in(case.project / ".venv")


def run_pdm(case: Case) -> Mapping[str, str]:
    """`pdm lock` and `pdm sync`."""
    case.write(
        "pyproject.toml",
        f'[project]\nname = "uses"\nversion = "1.0"\nrequires-python = ">=3.9"\n'
        f'dependencies = ["{case.scenario.requirement}"]\n\n[tool.pdm]\ndistribution = false\n\n'
        f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{case.index}"\n',
    )
    environ = {**_credentials(case, "PDM_PYPI"), "PDM_CHECK_UPDATE": "0"}
    case.run("pdm", "venv", "create", case.environment.interpreter, environ=environ).succeeded()
    case.run("pdm", "lock", environ=environ).succeeded()
    case.check_lock("pdm.lock")
    case.run("pdm", "sync", environ=environ).succeeded()
    return installed_in(case.project / ".venv")


def run_pipenv(case: Case) -> Mapping[str, str]:
    """`pipenv lock` and `pipenv sync`."""
    scenario = case.scenario
    extras = f', extras = ["{scenario.extra}"]' if scenario.extra else ""
    version = f"=={scenario.pin}" if scenario.pin else "*"
    url = case.index
    if case.way == ENVIRONMENT:
        url = f"http://${{OURS_USERNAME}}:${{OURS_PASSWORD}}@{case.site.host}/simple/"
    case.write(
        "Pipfile",
        f'[[source]]\nname = "ours"\nurl = "{url}"\nverify_ssl = true\n\n'
        f'[packages]\n"{scenario.project}" = {{ version = "{version}"{extras} }}\n',
    )
    environ = {
        **_credentials(case, "OURS"),
        "PIPENV_VENV_IN_PROJECT": "1",
        "PIPENV_PYTHON": case.environment.interpreter,
        "PIPENV_NOSPIN": "1",
        "PIPENV_YES": "1",
    }
    case.run("pipenv", "lock", environ=environ).succeeded()
    case.check_lock("Pipfile.lock")
    case.run("pipenv", "sync", environ=environ).succeeded()
    return installed_in(case.project / ".venv")
