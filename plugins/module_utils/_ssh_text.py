# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines and words of sshd_config and ssh_config, as OpenSSH splits them. Pure and lossless."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# readconf.c and servconf.c take the keyword with strdelim(): blanks, at most one "=" on either side, quotes allowed.
_KEYWORD = re.compile(r'[ \t\r]*(?:=[ \t\r]*)?("?)([A-Za-z0-9]+)\1(?:[ \t\r]*=[ \t\r]*|[ \t\r]+|(?=[\n\f])|\Z)')
_SPECIAL = re.compile(r"""['"\\#]""")
_TRAILING_BLANK = " \t\r\n\f"


class Line(NamedTuple):
    """One line that is neither blank nor a comment."""

    #: Counted from 1.
    number: int
    #: In lower case; OpenSSH ignores case.
    keyword: str
    #: Everything behind the keyword and its separator.
    rest: str

    @property
    def arguments(self) -> list[str]:
        """The words behind the keyword, without quotes, escapes and trailing comment."""
        return split_arguments(self.rest)


def split_lines(text: str) -> list[str]:
    """
    The lines with their endings, which join to ``text`` again.

    Only a newline ends a line here, as for getline(3); str.splitlines() knows more endings.
    """
    lines = text.split("\n")
    tail = lines.pop()
    return [line + "\n" for line in lines] + ([tail] if tail else [])


# A run looks at each file from several sides, and there may be hundreds of them.
@lru_cache(maxsize=2048)
def directives(text: str) -> tuple[Line, ...]:
    """Every line of ``text`` that has a keyword."""
    found = ((number, line, _KEYWORD.match(line)) for number, line in enumerate(split_lines(text), start=1))
    return tuple(
        Line(number, match.group(2).lower(), line[match.end() :].rstrip(_TRAILING_BLANK))
        for number, line, match in found
        if match
    )


def split_arguments(text: str) -> list[str]:
    """
    Words of a line as argv_split() in OpenSSH's misc.c takes them.

    A comment ends the line, single and double quotes group, a backslash escapes quotes, itself
    and, outside quotes, a blank. An unfinished quote runs to the end of the line.
    """
    if not _SPECIAL.search(text):
        return [word for word in text.replace("\t", " ").split(" ") if word]
    words: list[str] = []
    position, end = 0, len(text)
    while position < end:
        if text[position] in " \t":
            position += 1
            continue
        if text[position] == "#":
            break
        word, quote = [], ""
        while position < end:
            character = text[position]
            following = text[position + 1 : position + 2]
            if character == "\\" and following and (following in "'\"\\" or (not quote and following == " ")):
                word.append(following)
                position += 1
            elif not quote and character in " \t":
                break
            elif not quote and character in "'\"":
                quote = character
            elif character == quote:
                quote = ""
            else:
                word.append(character)
            position += 1
        words.append("".join(word))
    return words


def quote_argument(word: str) -> str:
    """The word as one argument: quoted where it holds a blank, and escaped only where it must be."""
    escaped = re.sub(r"""(['"]|\\(?=['"\\]|\Z))""", r"\\\1", word)
    return f'"{escaped}"' if " " in word or "\t" in word else escaped
