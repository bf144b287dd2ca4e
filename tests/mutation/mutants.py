"""Mutants of a C++ header: one operator or constant of its code changed at a time.

The sources are formatted by clang-format, so that a binary operator has a space on each side and
a pointer or a reference has not: words suffice where a parser would be needed otherwise.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

EQUIVALENT = Path(__file__).resolve().parent / "equivalent.txt"

# What each piece of code becomes, one at a time. A comparison moves its border and turns round.
CHANGES = {
    "+": ["-"],
    "-": ["+"],
    "*": ["/"],
    "/": ["*"],
    "%": ["*"],
    "+=": ["-="],
    "-=": ["+="],
    "*=": ["/="],
    "/=": ["*="],
    "<": ["<=", ">="],
    "<=": ["<", ">"],
    ">": [">=", "<="],
    ">=": [">", "<"],
    "==": ["!="],
    "!=": ["=="],
    "&&": ["||"],
    "||": ["&&"],
}
CONSTANTS = {
    "0": ["1"],
    "1": ["0"],
    "0.0": ["1.0"],
    "1.0": ["0.0"],
    "0.5": ["1.0"],
    "2.0": ["1.0"],
}


def one_of(words):
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


BINARY = re.compile(rf"(?<=\s)({one_of(CHANGES)})(?=\s|$)")
NEGATION = re.compile(r"(?<=[\s(\[{*])([-!])(?=[\w(*.])")
CONSTANT = re.compile(rf"(?<![\w.])({one_of(CONSTANTS)})(?![\w.])")
# Without a meaning for the result: the compiler's business, and fetches ahead of time.
SKIPPED = re.compile(r"^\s*(#|static_assert|template <|\[\[gnu)|prefetch|kFar|kNear")


@dataclass(frozen=True)
class Mutant:
    header: str
    line: int  # from 1
    column: int
    before: str
    after: str
    text: str  # the whole line as it becomes, without its indent and comment

    def __str__(self):
        return f"{self.header}:{self.line}: {self.before} -> {self.after or 'nothing'}: {self.text}"

    def applied(self, source):
        """Return the header's text with the one change made."""
        lines = source.splitlines(keepends=True)
        row = lines[self.line - 1]
        end = self.column + len(self.before)
        assert row[self.column : end] == self.before
        lines[self.line - 1] = row[: self.column] + self.after + row[end:]
        return "".join(lines)


def changes_of(code):
    """Yield (column, before, after) for a line of code."""
    for match in BINARY.finditer(code):
        yield from ((match.start(), match[1], after) for after in CHANGES[match[1]])
    yield from ((match.start(), match[1], "") for match in NEGATION.finditer(code))
    for match in CONSTANT.finditer(code):
        yield from ((match.start(), match[1], after) for after in CONSTANTS[match[1]])


def mutants_of(header, source):
    """Return all mutants of a header's text, in their order."""
    found = []
    for number, line in enumerate(source.splitlines(), 1):
        code = line.split("//")[0].rstrip()
        if SKIPPED.search(code):
            continue
        for column, before, after in sorted(changes_of(code)):
            changed = code[:column] + after + code[column + len(before) :]
            found.append(Mutant(header, number, column, before, after, changed.strip()))
    return found


def sample(mutants, most, seed):
    """Return at most ``most`` of a header's mutants, in their order; the seed decides which."""
    if most is None or len(mutants) <= most:
        return mutants
    chosen = random.Random(f"{seed} {mutants[0].header}").sample(range(len(mutants)), most)
    return [mutants[k] for k in sorted(chosen)]


def equivalents():
    """Return {(header, changed line): reason} of equivalent.txt."""
    found, reason = {}, ""
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            header, text = line.split(": ", 1)
            found[header, text] = reason
    return found
