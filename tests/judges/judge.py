"""What another parser sees in a file: judge.py JUDGE FILE.

Prints a JSON list of [[key, ...], value], in the order of the file where the parser keeps it. A
list element's key is its number. Strings are strings, nothing is null, and what else the format
knows is {"as": ...}.
"""

import json
import sys


def leaves(value, path=()):
    """Every scalar below `value`, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, str(number)))
    elif value is None or isinstance(value, str):
        yield [path, value]
    else:
        # Not a string, and that is all that counts.
        yield [path, {"as": str(value)}]


def read_toml(path):
    import tomllib

    with open(path, "rb") as file:
        return tomllib.load(file)


def read_json(path):
    with open(path, encoding="utf-8-sig") as file:
        return json.load(file)


JUDGES = {
    "tomllib": read_toml,
    "json": read_json,
}

if __name__ == "__main__":
    _, judge, path = sys.argv
    json.dump(list(leaves(JUDGES[judge](path))), sys.stdout)
