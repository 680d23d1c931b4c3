# SPDX-License-Identifier: MIT
"""Turn the names that Rust and C++ compilers give to functions into those of the source.

Rust's v0 names (RFC 2603, `_RNvCs1_6kernel4init`), which the kernel's Rust code has, are read completely. Of Rust's
older names and of C++ (the Itanium ABI, `_ZN6Driver4initEv`), the path is read; a name with templates stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["demangle"]

_DEEPEST = 200  # nesting of a name
_MOST_STEPS = 10_000  # in one name: each back reference to a part with two of them doubles the work
_LONGEST = 4000  # characters of a readable name
_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize",
    "l": "i32", "m": "u32", "n": "i128", "o": "u128", "s": "i16", "t": "u16", "u": "()", "v": "...", "x": "i64",
    "y": "u64", "z": "!", "p": "_",
}  # fmt: skip
_SIGNED = frozenset("alnsxi")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LEGACY_ESCAPES = {
    "SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ",",
}  # fmt: skip
_LEGACY_HASH = re.compile(r"h[0-9a-f]{16}")
_ESCAPE = re.compile(r"\$(?:u(?P<code>[0-9a-f]{1,6})|(?P<name>[A-Z]{1,2}))\$|(?P<dots>\.\.)")


def demangle(name: str) -> str:
    """Return the readable form of a function's name; the name itself where it is not mangled or not understood.

    A suffix that the compiler added, such as `.cold`, is dropped.
    """
    if not name.startswith(("_R", "_ZN")):
        return name
    symbol = name.split(".llvm.", 1)[0]
    try:
        if name.startswith("_R"):
            return _V0(symbol[2:].split(".", 1)[0]).symbol()
        return _path_of(symbol[3:]) or name
    except (_NotUnderstoodError, IndexError, ValueError, OverflowError):
        return name


class _NotUnderstoodError(Exception):
    """The name does not follow the grammar, or nests too deep."""


def _path_of(text: str) -> str | None:
    """Return the path of `_ZN` names: lengths and identifiers up to E. None for what has templates or substitutions."""
    parts: list[str] = []
    at = 0
    while text[at].isdigit():
        digits = re.match(r"\d+", text[at:])
        assert digits is not None  # there is one digit at least
        at += len(digits[0])
        length = int(digits[0])
        if not 0 < length <= len(text) - at:
            return None
        parts.append(text[at : at + length])
        at += length
    if not parts or text[at] != "E":
        return None
    if _LEGACY_HASH.fullmatch(parts[-1]):
        return "::".join(_unescaped(part) for part in parts[:-1]) or None
    return "::".join(parts)


def _unescaped(part: str) -> str:
    def readable(match: re.Match[str]) -> str:
        if match["dots"]:
            return "::"
        if match["code"]:
            return chr(int(match["code"], 16))
        return _LEGACY_ESCAPES.get(match["name"], match[0])

    return _ESCAPE.sub(readable, part[1:] if part.startswith("_$") else part)


def _lifetime_name(place: int) -> str:
    return f"'{chr(ord('a') + place)}" if 0 <= place < 26 else f"'_{place}"


class _V0:
    """The parser of one v0 name. Each method reads one production of the RFC's grammar and returns it as text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.steps = 0
        self.lifetimes = 0

    def symbol(self) -> str:
        if self.peek().isdigit():
            raise _NotUnderstoodError  # a later version of the encoding
        found = self.path(in_value=True)
        if len(found) > _LONGEST:
            raise _NotUnderstoodError
        return found

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def next(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def eat(self, letter: str) -> bool:
        if self.peek() != letter:
            return False
        self.at += 1
        return True

    def base62(self) -> int:
        """Read a number in base 62, which ends with `_`: 0 without digits, otherwise one more than the digits say."""
        if self.eat("_"):
            return 0
        value = 0
        while (letter := self.next()) != "_":
            value = value * 62 + _DIGITS.index(letter)
        return value + 1

    def disambiguator(self) -> int:
        return self.base62() + 1 if self.eat("s") else 0

    def identifier(self) -> str:
        encoded = self.eat("u")
        digits = re.match(r"0|[1-9]\d*", self.text[self.at :])
        if digits is None:
            raise _NotUnderstoodError
        self.at += len(digits[0])
        self.eat("_")
        length = int(digits[0])
        word = self.text[self.at : self.at + length]
        if len(word) < length:
            raise _NotUnderstoodError
        self.at += length
        return _unpunycoded(word) if encoded else word

    def referred(self, read: Callable[[], str]) -> str:
        """Read what stands at the place that a back reference names."""
        target = self.base62()
        back, self.at = self.at, target
        if target >= back - 1:
            raise _NotUnderstoodError
        found = self.nested(read)
        self.at = back
        return found

    def nested(self, read: Callable[[], str]) -> str:
        self.depth += 1
        self.steps += 1
        if self.depth > _DEEPEST or self.steps > _MOST_STEPS:
            raise _NotUnderstoodError
        found = read()
        self.depth -= 1
        if len(found) > _LONGEST:
            raise _NotUnderstoodError
        return found

    def path(self, *, in_value: bool = False) -> str:
        return self.nested(lambda: self._path(in_value))

    def _path(self, in_value: bool) -> str:
        tag = self.next()
        if tag == "C":
            self.disambiguator()
            return self.identifier()
        if tag == "N":
            return self._in_namespace(in_value)
        if tag in "MX":
            self.disambiguator()
            self.path()  # where the implementation stands
            kind = self.type()
            return f"<{kind} as {self.path()}>" if tag == "X" else f"<{kind}>"
        if tag == "Y":
            return f"<{self.type()} as {self.path()}>"
        if tag == "I":
            base = self.path(in_value=in_value)
            arguments = ", ".join(self._until_end(self.generic_argument))
            return f"{base}::<{arguments}>" if in_value else f"{base}<{arguments}>"
        if tag == "B":
            return self.referred(lambda: self.path(in_value=in_value))
        raise _NotUnderstoodError

    def _in_namespace(self, in_value: bool) -> str:
        namespace = self.next()
        outer = self.path(in_value=in_value)
        number = self.disambiguator()
        word = self.identifier()
        if namespace.isupper():
            kind = {"C": "closure", "S": "shim"}.get(namespace, namespace)
            return f"{outer}::{{{kind}{':' + word if word else ''}#{number}}}"
        return f"{outer}::{word}" if word else outer

    def _until_end(self, read: Callable[[], str]) -> list[str]:
        found = []
        while not self.eat("E"):
            found.append(read())
        return found

    def lifetime(self) -> str:
        number = self.base62()
        if number == 0:
            return "'_"
        return _lifetime_name(self.lifetimes - number)

    def generic_argument(self) -> str:
        if self.eat("L"):
            return self.lifetime()
        return self.constant() if self.eat("K") else self.type()

    def type(self) -> str:
        return self.nested(self._type)

    def _type(self) -> str:
        tag = self.next()
        if tag in _BASIC:
            return _BASIC[tag]
        if tag == "A":
            return f"[{self.type()}; {self.constant()}]"
        if tag == "S":
            return f"[{self.type()}]"
        if tag == "T":
            parts = self._until_end(self.type)
            return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
        if tag in "RQ":
            name = f"{found} " if self.eat("L") and (found := self.lifetime()) != "'_" else ""
            return f"&{name}{'mut ' if tag == 'Q' else ''}{self.type()}"
        if tag in "PO":
            return f"*{'const' if tag == 'P' else 'mut'} {self.type()}"
        if tag == "F":
            return self._bound(self._function)
        if tag == "D":
            bounds = self._bound(lambda: " + ".join(self._until_end(self._dyn_trait)))
            if not self.eat("L"):
                raise _NotUnderstoodError
            life = self.lifetime()
            return f"dyn {bounds}" + (f" + {life}" if life != "'_" else "")
        if tag == "B":
            return self.referred(self.type)
        self.at -= 1
        return self.path()

    def _bound(self, read: Callable[[], str]) -> str:
        """Read what may begin with a binder, `for<'a>`."""
        before = self.lifetimes
        count = self.base62() + 1 if self.eat("G") else 0
        if count > _DEEPEST:
            raise _NotUnderstoodError
        names = [_lifetime_name(before + number) for number in range(count)]
        self.lifetimes += count
        found = (f"for<{', '.join(names)}> " if names else "") + read()
        self.lifetimes = before
        return found

    def _function(self) -> str:
        unsafe = "unsafe " if self.eat("U") else ""
        abi = ""
        if self.eat("K"):
            abi = 'extern "C" ' if self.eat("C") else f'extern "{self.identifier().replace("_", "-")}" '
        arguments = ", ".join(self._until_end(self.type))
        result = self.type()
        return f"{unsafe}{abi}fn({arguments})" + ("" if result == "()" else f" -> {result}")

    def _dyn_trait(self) -> str:
        found = self.path()
        bindings = []
        while self.eat("p"):
            name = self.identifier()
            bindings.append(f"{name} = {self.type()}")
        if not bindings:
            return found
        joined = ", ".join(bindings)
        return f"{found[:-1]}, {joined}>" if found.endswith(">") else f"{found}<{joined}>"

    def constant(self) -> str:
        if self.eat("B"):
            return self.referred(self.constant)
        kind = self.next()
        if kind == "p":
            return "_"
        negative = kind in _SIGNED and self.eat("n")
        end = self.text.index("_", self.at)
        digits, self.at = self.text[self.at : end], end + 1
        value = int(digits or "0", 16)
        if kind == "b":
            return "true" if value else "false"
        if kind == "c":
            return repr(chr(value))
        if kind not in _BASIC:
            raise _NotUnderstoodError
        return f"{'-' if negative else ''}{value}"


def _unpunycoded(word: str) -> str:
    """Return an identifier that is not ASCII. v0 writes the delimiter of RFC 3492 as `_`."""
    plain, _, rest = word.rpartition("_")
    return f"{plain}-{rest}".encode().decode("punycode") if plain else rest.encode().decode("punycode")
