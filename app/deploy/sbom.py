"""The software bill of materials of an image: ``python -I sbom.py``, in the image's environment.

It prints the installed packages in CycloneDX's format 1.6 (https://cyclonedx.org/docs/1.6/json),
which scanners such as Trivy and Grype read. Times and serial numbers are left out, so that the same
packages give the same bytes. It needs nothing but Python: the build installs no tool for it.
"""

import json
import platform
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from typing import Any

Component = dict[str, Any]

_CLASSIFIER = "License :: "


def document(installed: Iterable[Distribution]) -> dict[str, Any]:
    """Return the document for ``installed`` packages and this Python."""
    packages = sorted(map(_component, installed), key=lambda one: str(one["purl"]))
    python = {"type": "platform", "name": "python", "version": platform.python_version()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "dcgan-server"}},
        "components": [{**python, "bom-ref": "python"}, *packages],
    }


def _component(package: Distribution) -> Component:
    name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
    purl = f"pkg:pypi/{name}@{package.version}"
    found = {"type": "library", "bom-ref": purl, "name": name, "version": package.version}
    licences = list(_licences(package))
    return {**found, "purl": purl, **({"licenses": licences} if licences else {})}


def _licences(package: Distribution) -> Iterator[Component]:
    """Yield a package's SPDX expression (PEP 639) or, where it has none, its classifiers."""
    if "License-Expression" in package.metadata:
        yield {"expression": package.metadata["License-Expression"]}
        return
    for classifier in package.metadata.get_all("Classifier", []):
        if classifier.startswith(_CLASSIFIER):
            yield {"license": {"name": classifier.rpartition(" :: ")[2]}}


if __name__ == "__main__":
    print(json.dumps(document(distributions()), indent=1))
