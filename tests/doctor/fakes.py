"""Machines made of fakes."""

import sys
from types import ModuleType

from minillm.doctor import OK, finding


def lacking(monkeypatch, *names):
    """Modules that can't be found, as if they weren't installed."""
    really = finding.importlib.import_module

    def import_module(name):
        if name.partition(".")[0] in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return really(name)

    monkeypatch.setattr(finding.importlib, "import_module", import_module)


def install(monkeypatch, name, **attributes):
    """A module of these attributes, in place of the one that may be installed."""
    module = ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def assert_finding(found, status, *words):
    assert found.status == status, found
    for word in words:
        assert word in found.what + " -> " + found.remedy
    assert bool(found.remedy) == (status != OK), "a remedy stands where something isn't OK, and only there"


def with_versions(monkeypatch, **versions):
    monkeypatch.setattr(finding, "version", {name.replace("_", "-"): number for name, number in versions.items()}.get)
