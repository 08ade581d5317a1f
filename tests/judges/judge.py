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


def read_pyyaml(path):
    import yaml

    # One document or several are a list of them.
    with open(path, "rb") as file:
        return list(yaml.safe_load_all(file))


def read_ruamel(path):
    from ruamel.yaml import YAML

    with open(path, "rb") as file:
        return list(YAML(typ="safe", pure=True).load_all(file))


def read_json5(path):
    import json5

    with open(path, encoding="utf-8-sig") as file:
        return json5.load(file)


JUDGES = {
    "tomllib": read_toml,
    "json": read_json,
    "json5": read_json5,
    "pyyaml": read_pyyaml,
    "ruamel": read_ruamel,
}

if __name__ == "__main__":
    _, judge, path = sys.argv
    json.dump(list(leaves(JUDGES[judge](path))), sys.stdout)
