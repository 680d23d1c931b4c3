# SPDX-License-Identifier: MIT
"""Suites as JUnit XML: the form that Jenkins' xUnit plugin and the reporters of GitHub and GitLab read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rig.extras import lacking
from rig.run.suite import Case, Suite

__all__ = ["junit_xml"]


def junit_xml(suites: Sequence[Suite], name: str = "rig") -> str:
    """Return the document. Raises RigError when junitparser is not installed."""
    try:
        import junitparser
    except ImportError as error:
        raise lacking("junitparser", str(error)) from None
    # junitparser is only partly typed.
    library: Any = junitparser
    document = library.JUnitXml(name)
    for suite in suites:
        element = library.TestSuite(_xml(suite.name))
        for key, value in suite.properties:
            element.add_property(_xml(key), _xml(value))
        for note in suite.notes:
            element.add_property("note", _xml(note))
        for case in suite.cases:
            element.add_testcase(_case(suite, case))
        if suite.started:
            element.timestamp = _xml(suite.started)
        properties = element.child(library.Properties)
        if properties is not None:
            # The schema requires properties before the cases.
            element._elem.remove(properties._elem)
            element._elem.insert(0, properties._elem)
        # add_testsuite() would merge two suites of one name, such as those of --repeat.
        document.append(element)
    # This counts, and sets the time of each suite to the sum of its cases' times, which claims do not have.
    document.update_statistics()
    for element, suite in zip(document, suites, strict=True):
        if suite.seconds is not None:
            element.time = round(suite.seconds, 3)
    document.time = round(sum(element.time for element in document), 3)
    # The schema of Jenkins' xUnit plugin (junit-10.xsd) does not allow this attribute here.
    document._elem.attrib.pop("skipped", None)
    text: bytes = document.tostring()
    return text.decode()


def _case(suite: Suite, case: Case) -> Any:
    from junitparser import Error, Failure, Skipped, TestCase

    element = TestCase(_xml(case.name), classname=_xml(f"rig.{suite.name}"))
    if case.seconds is not None:
        # A claim has no duration of its own: a reader shows nothing for it, where 0.000 would be wrong.
        element.time = round(case.seconds, 3)
    numbers = "\n".join(case.numbers)
    kinds = {"failed": (Failure, "claim"), "broken": (Error, "condition"), "skipped": (Skipped, "not-applicable")}
    if case.status in kinds:
        kind, word = kinds[case.status]
        result = kind(_xml(case.message), word)
        if case.status != "skipped" and numbers:
            result.text = _xml(numbers)
        element.result = [result]
    elif numbers:
        element.system_out = _xml(numbers)
    return element


# Characters that XML 1.0 does not allow, not even escaped (its production Char).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
