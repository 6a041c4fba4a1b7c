"""Print the package's optional extras, but for the tests' own, separated by commas."""

from pathlib import Path

import tomllib

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
print(",".join(sorted(set(project["optional-dependencies"]) - {"test"})))
