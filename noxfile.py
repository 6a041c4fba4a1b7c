"""Tasks of a developer: `nox -s test`, `lint`, `docs`, `bench`. They run in the environment that is active."""

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "test"]


@nox.session
def test(session: nox.Session) -> None:
    """Run the quick tests, or what is named after `--`."""
    session.run("pytest", *(session.posargs or ["-m", "not slow"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting, lint, types and layers; Dockerfiles, shell scripts and workflows."""
    session.run(".ci/lint", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into build/site; warnings are errors."""
    session.run("mkdocs", "build", "--strict")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure latency, speed and memory beside the baselines; needs the extra `benchmark` and an idle machine."""
    session.run("python", "benchmarks/speed.py", *session.posargs)
