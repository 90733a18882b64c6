"""How each client that installs is called, as its users call it."""

from collections.abc import Callable, Mapping

from tests.integration.clients import installed
from tests.matrix import projects
from tests.matrix.cases import ENVIRONMENT, Case, installed_in
from tests.matrix.commands import Failed

Driver = Callable[[Case], Mapping[str, str]]


def _index(case: Case, variable: str, option: str = "--index-url") -> tuple[list[str], dict[str, str]]:
    """Return options and environment that name the index."""
    if case.way == ENVIRONMENT:
        return [], {variable: case.secret_index}
    return [option, case.index], {}


def _requirements(case: Case) -> str:
    return case.write("requirements.txt", case.scenario.lines)


def _refuse_hashes(case: Case) -> None:
    """Fail where the scenario has digests, and the client has no way to be given them."""
    if case.scenario.locked:
        raise Failed(f"{case.client.name} takes no digests")


def run_pip(case: Case) -> Mapping[str, str]:
    """Install with pip."""
    options, environ = _index(case, "PIP_INDEX_URL")
    arguments = ["install", *options, "--target", "target", "-r", _requirements(case)]
    case.run("python", "-m", "pip", *arguments, environ=environ).succeeded()
    return installed(case.project / "target")


def run_uv(case: Case) -> Mapping[str, str]:
    """Install with `uv pip`; its own variables for a named index are there from 0.5 on."""
    options, environ = _index(case, "UV_INDEX_URL")
    if case.way == ENVIRONMENT and case.client.number >= (0, 5):
        environ = {
            "UV_DEFAULT_INDEX": f"ours={case.index}",
            "UV_INDEX_OURS_USERNAME": case.site.username,
            "UV_INDEX_OURS_PASSWORD": case.site.password,
        }
    options += ["--require-hashes"] if case.scenario.locked else []
    into = ["--python", case.environment.interpreter, "--target", "target"]
    case.run("uv", "pip", "install", *options, *into, "-r", _requirements(case), environ=environ).succeeded()
    return installed(case.project / "target")


def run_pip_tools(case: Case) -> Mapping[str, str]:
    """Lock with `pip-compile --generate-hashes`, install from the lock."""
    options, environ = _index(case, "PIP_INDEX_URL")
    source = case.write("requirements.in", f"{case.scenario.requirement}\n")
    arguments = ["--generate-hashes", "--no-emit-index-url", *options, "--output-file", "lock.txt", source]
    case.run("pip-compile", *arguments, environ=environ).succeeded()
    case.check_lock("lock.txt")
    arguments = ["install", *options, "--require-hashes", "--target", "target", "-r", "lock.txt"]
    case.run("python", "-m", "pip", *arguments, environ=environ).succeeded()
    return installed(case.project / "target")


def run_pex(case: Case) -> Mapping[str, str]:
    """Make an environment of a PEX; for hashes of one that was made from a lock."""
    options, environ = _index(case, "PIP_INDEX_URL")
    options += ["--use-pip-config"] if case.way == ENVIRONMENT else ["--no-pypi"]
    if case.scenario.locked:
        arguments = ["lock", "create", *options, "--style", "universal", "-o", "lock.json", case.scenario.requirement]
        case.run("pex3", *arguments, environ=environ).succeeded()
        case.check_lock("lock.json")
        what = ["--lock", "lock.json"]
    else:
        what = [case.scenario.requirement]
    case.run("pex3", "venv", "create", "--dest-dir", "venv", *options, *what, environ=environ).succeeded()
    return installed_in(case.project / "venv")


def run_pipx(case: Case) -> Mapping[str, str]:
    """Install an application with pipx."""
    _refuse_hashes(case)
    options, environ = _index(case, "PIP_INDEX_URL")
    shared = case.environment.folder / "shared"  # a pip of its own, which it would fetch from the index otherwise
    places = {"PIPX_HOME": str(case.folder / "pipx"), "PIPX_BIN_DIR": str(case.folder / "bin")}
    places["PIPX_SHARED_LIBS"] = str(shared)
    if not shared.exists():
        case.run("pipx", "upgrade-shared", environ=places).succeeded()
    case.run("pipx", "install", *options, case.scenario.requirement, environ={**environ, **places}).succeeded()
    return installed_in(case.folder / "pipx" / "venvs" / case.scenario.project)


def run_tox(case: Case) -> Mapping[str, str]:
    """Let tox install the dependencies of a test environment."""
    lines = ["[testenv]", "skip_install = true", "pass_env =", "    HOME", "deps =", f"    -r{_requirements(case)}"]
    environ = {"PIP_INDEX_URL": case.secret_index} if case.way == ENVIRONMENT else {}
    if case.way != ENVIRONMENT:
        lines += ["set_env =", f"    PIP_INDEX_URL = {case.index}"]
    case.write("tox.ini", "\n".join([*lines, ""]))
    case.run("tox", "run", "-e", "py", "--notest", environ=environ).succeeded()
    return installed_in(case.project / ".tox" / "py")


def run_micropipenv(case: Case) -> Mapping[str, str]:
    """Install from a requirements file with micropipenv."""
    index = case.secret_index if case.way == ENVIRONMENT else case.index
    environ = {"MICROPIPENV_DEFAULT_INDEX_URLS": index, "PIP_INDEX_URL": index}
    _requirements(case)
    arguments = ["install", "--method", "requirements", "--", "--target", "target"]
    case.run("micropipenv", *arguments, environ=environ).succeeded()
    return installed(case.project / "target")


def run_hatch(case: Case) -> Mapping[str, str]:
    """Let hatch make a project's environment."""
    _refuse_hashes(case)
    told = "" if case.way == ENVIRONMENT else f'env-vars = {{ PIP_INDEX_URL = "{case.index}" }}\n'
    environ = {"PIP_INDEX_URL": case.secret_index} if case.way == ENVIRONMENT else {}
    case.write(
        "pyproject.toml",
        f'[project]\nname = "uses"\nversion = "1.0"\n\n[tool.hatch.envs.default]\nskip-install = true\n'
        f'path = ".venv"\ninstaller = "pip"\ndependencies = ["{case.scenario.requirement}"]\n{told}',
    )
    case.run("hatch", "--no-interactive", "env", "create", environ=environ).succeeded()
    return installed_in(case.project / ".venv")


DRIVERS: Mapping[str, Driver] = {
    "pip": run_pip,
    "uv": run_uv,
    "pip_tools": run_pip_tools,
    "pex": run_pex,
    "pipx": run_pipx,
    "tox": run_tox,
    "micropipenv": run_micropipenv,
    "hatch": run_hatch,
    "uv_project": projects.run_uv_project,
    "poetry": projects.run_poetry,
    "pdm": projects.run_pdm,
    "pipenv": projects.run_pipenv,
}


def install(case: Case) -> None:
    """Run the client's driver and compare what is installed.

    Raises:
        Failed: something else is there than is to be.
    """
    case.scenario.check(DRIVERS[case.client.driver](case))
