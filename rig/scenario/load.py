# SPDX-License-Identifier: MIT
"""Find and load a scenario: a directory with scenario.toml, checked completely before a guest starts."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.assets import assets
from rig.errors import UsageError
from rig.scenario import vocabulary
from rig.scenario.expressions import Expression, parse_expression
from rig.scenario.line_numbers import line_of
from rig.scenario.suggestion import did_you_mean
from rig.scenario.templates import check_template
from rig.validation import describe_problem

if TYPE_CHECKING:
    from rig.scenario.parameter import Parameter
    from rig.scenario.schema import Claim, ScenarioFile

__all__ = ["CheckedClaim", "Scenario", "find_scenario", "list_scenarios", "load_scenario", "read_summary"]

FILE = "scenario.toml"
STORY = "README.md"
LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class CheckedClaim:
    """A claim with its parsed expressions: `values` in the order of evaluation, `expr`, and `when` if it has one."""

    claim: Claim
    expr: Expression
    when: Expression | None
    values: dict[str, Expression]

    @property
    def names(self) -> frozenset[str]:
        """Every name that the verdict depends on; `when` only decides whether the claim applies."""
        return self.expr.names.union(*(value.names for value in self.values.values()))


@dataclass(frozen=True)
class Scenario:
    """A loaded scenario: its directory, the content of scenario.toml, and the parsed expressions."""

    name: str
    directory: Path
    file: ScenarioFile
    claims: tuple[CheckedClaim, ...]
    checks: tuple[Expression, ...]
    whens: dict[int, Expression]
    """The `when` of the plan's steps, by the step's index."""

    @property
    def parameters(self) -> dict[str, Parameter]:
        return self.file.parameters

    @property
    def path(self) -> Path:
        return self.directory / FILE

    def story(self) -> str:
        """Return README.md, or the summary when there is none."""
        try:
            return (self.directory / STORY).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return f"# {self.file.title}\n\n{self.file.summary}\n"

    def template_names(self) -> frozenset[str]:
        """Return the names that this scenario's templates may use."""
        return frozenset(self.parameters) | {"params", "guest", "sysctls", "to_the_end"}


def list_scenarios(root: Path | None = None) -> list[Path]:
    """Return the scenario directories below `root`, sorted by name; None stands for the catalogue shipped with rig."""
    root = assets("scenarios") if root is None else root
    return sorted(path.parent for path in root.glob(f"*/{FILE}")) if root.is_dir() else []


def find_scenario(scenario: str, root: Path | None = None) -> Path:
    """Return the directory of a scenario.

    scenario: a name in the catalogue, or the path of a directory or of its scenario.toml.
    Raises UsageError when there is no such scenario.
    """
    catalogue = {directory.name: directory for directory in list_scenarios(root)}
    looks_like_a_path = "/" in scenario or scenario in (".", "..")
    if not looks_like_a_path and scenario in catalogue:
        return catalogue[scenario]
    directory = Path(scenario).expanduser()
    if directory.name == FILE and directory.is_file():
        directory = directory.parent
    if (directory / FILE).is_file():
        return directory.resolve()
    if directory.is_dir():
        raise UsageError(
            f"there is no {FILE} in this directory",
            where=directory,
            remedy="'rig new NAME' makes a directory that runs as it is",
        )
    if looks_like_a_path:
        raise UsageError("there is no such directory", where=scenario, remedy="'rig list' shows the catalogue's names")
    raise UsageError(f"unknown scenario '{scenario}'", remedy=did_you_mean(scenario, catalogue, kind="scenario"))


def read_summary(directory: Path) -> str:
    """Return the summary of a scenario without checking the rest of its file, which takes some 20 ms.

    Title and summary stand above the first table. A file whose beginning has anything else is checked completely.
    Raises UsageError for such a file if it is invalid.
    """
    head = _read(directory / FILE).partition("\n[")[0]
    try:
        found = tomllib.loads(head)
    except (tomllib.TOMLDecodeError, RecursionError):
        found = {}
    summary = found.get("summary")
    if found.keys() == {"title", "summary"} and isinstance(summary, str):
        return summary
    return load_scenario(str(directory)).file.summary


def load_scenario(scenario: str, root: Path | None = None) -> Scenario:
    """Load and check a scenario. Raises UsageError that names the file, the line, the key and the remedy."""
    directory = find_scenario(scenario, root)
    path = directory / FILE
    text = _read(path)
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"not valid TOML: {error}", where=path, remedy="see https://toml.io for the syntax") from None
    file = _validate(content, path, text)
    return _check(directory, file, path, text)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError("the file is larger than 1 MB", where=path, remedy="a scenario is a page or two")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 at byte {error.start}", where=path, remedy="save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=path, remedy="check its permissions") from None


def _validate(content: dict[str, Any], path: Path, text: str) -> ScenarioFile:
    from pydantic import ValidationError

    from rig.scenario.schema import ScenarioFile

    try:
        return ScenarioFile.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    # Report unknown keys first: a misspelt key is also reported as a missing one, and the spelling is the cause.
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    first, *others = [_problem(problem, text, ScenarioFile) for problem in problems]
    where, what, remedy = first
    detail = [f"{path}{place}: {also}" + (f" ({cure})" if cure else "") for place, also, cure in others]
    raise UsageError(what, where=f"{path}{where}", remedy=remedy or None, detail="\n".join(detail) or None)


def _problem(problem: Any, text: str, model: Any) -> tuple[str, str, str]:
    """Return an error of pydantic as (place, what, remedy)."""
    location: tuple[str | int, ...] = problem["loc"]
    kind = problem["type"]
    what, remedy = describe_problem(problem), ""
    if kind == "extra_forbidden":
        what = f"unknown key '{location[-1]}'"
        remedy = did_you_mean(str(location[-1]), _known_keys(model, location[:-1]))
    elif kind == "missing":
        what, remedy = f"the key '{location[-1]}' is missing", "add it"
    return _place(text, location), what, remedy


def _place(text: str, location: Sequence[str | int]) -> str:
    line = line_of(text, location)
    key = ".".join(str(part) for part in location)
    return (f":{line}" if line else "") + (f": {key}" if key else "")


def _known_keys(model: Any, location: Sequence[str | int]) -> list[str]:
    """Return the keys of the model at `location`, found by following the types of the fields."""
    import typing

    from pydantic import BaseModel

    def inner(annotation: Any) -> Any:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        for argument in typing.get_args(annotation):
            if (found := inner(argument)) is not None:
                return found
        return None

    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = inner(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _check(directory: Path, file: ScenarioFile, path: Path, text: str) -> Scenario:
    """Parse every expression and every template of the file."""
    fields = {"params": frozenset(file.parameters), "guest": vocabulary.GUEST_FIELDS}

    def place(*location: str | int) -> str:
        return f"{path}{_place(text, location)}"

    def before_the_run(expr: str, *location: str | int) -> Expression:
        return parse_expression(
            expr,
            where=place(*location),
            names=vocabulary.BEFORE,
            functions=vocabulary.PLAIN_FUNCTIONS,
            fields=fields,
        )

    claims = tuple(_check_claim(claim, place, index, fields) for index, claim in enumerate(file.claims))
    checks = tuple(before_the_run(check.expr, "checks", index, "expr") for index, check in enumerate(file.checks))
    whens = {
        index: before_the_run(step.when, "plan", "steps", index, "when")
        for index, step in enumerate(file.plan.steps)
        if step.when is not None
    }
    scenario = Scenario(directory.name, directory, file, claims, checks, whens)
    names = scenario.template_names()
    for index, check in enumerate(file.checks):
        check_template(check.message, where=place("checks", index, "message"), names=names)
    for index, claim in enumerate(file.claims):
        check_template(claim.text, where=place("claims", index, "text"), names=names)
    for index, program in enumerate(file.programs):
        check_template(program.source, where=place("programs", index, "source"), names=names)
    _check_steps(file, place, names)
    return scenario


def _check_steps(file: ScenarioFile, place: Any, names: frozenset[str]) -> None:
    programs = {program.name for program in file.programs}
    spawned = {str(step.keys["program"]) for step in file.plan.steps if step.do == "spawn"}
    for index, step in enumerate(file.plan.steps):
        known = names | {"item"} if step.repeat is not None else names
        check_template(str(step.repeat or ""), where=place("plan", "steps", index, "repeat"), names=names)
        for key, value in step.keys.items():
            for item in value if isinstance(value, list) else [value]:
                check_template(str(item), where=place("plan", "steps", index, key), names=known)
        if step.do == "spawn":
            run = str(step.keys.get("run", step.keys["program"]))
            if run not in programs and "{" not in run:
                raise UsageError(
                    f"'spawn' of the program '{run}', which [[programs]] does not define",
                    where=place("plan", "steps", index),
                    remedy=did_you_mean(run, programs, kind="program"),
                )
        elif "program" in step.keys and "{" not in str(step.keys["program"]):
            name = str(step.keys["program"])
            if name not in spawned and not any("{" in each for each in spawned):
                raise UsageError(
                    f"'{step.do}' refers to the program '{name}', which no step spawns",
                    where=place("plan", "steps", index),
                    remedy=did_you_mean(name, spawned, kind="program"),
                )


def _check_claim(claim: Claim, place: Any, index: int, fields: dict[str, frozenset[str]]) -> CheckedClaim:
    functions = {word for word, declared in vocabulary.words().items() if declared.kind == "function"}
    reserved = vocabulary.words().keys() - functions
    names = set(reserved)

    def parse(expr: str, key: str) -> Expression:
        return parse_expression(
            expr,
            where=f"{place('claims', index, key)}: claim '{claim.id}'",
            names=names,
            functions=functions,
            fields=fields,
        )

    when = None if claim.when is None else parse(claim.when, "when")
    values: dict[str, Expression] = {}
    for name, measure in claim.values.items():
        values[name] = parse(measure.expr, "values")
        if name in reserved or not name.isidentifier() or name.startswith("_"):
            raise UsageError(
                f"a value cannot be called '{name}'",
                where=place("claims", index, "values"),
                remedy="give it a name that the language of claims does not use",
            )
        names.add(name)
    return CheckedClaim(claim, parse(claim.expr, "expr"), when, values)
