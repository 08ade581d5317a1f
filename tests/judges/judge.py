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
def read_configparser(path):
    import configparser

    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    parser.optionxform = str
    with open(path, encoding="utf-8-sig") as file:
        parser.read_file(file)
    # Without the repetition of the defaults in each section.
    return {name: dict(parser._sections.get(name, parser._defaults)) for name in parser}


def said_by(*argv):
    import subprocess

    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout.decode()


def read_git(path):
    """Pairs, for a key may stand there several times."""
    items = said_by("git", "config", "--list", "--null", "--file", path).split("\0")[:-1]
    # Without a line feed the key has no value.
    pairs = [item.split("\n", 1) for item in items]
    return [{pair[0]: pair[1] if len(pair) > 1 else None} for pair in pairs]


def read_php(path, mode="INI_SCANNER_NORMAL"):
    script = f"echo json_encode(parse_ini_file($argv[1], true, {mode}), JSON_THROW_ON_ERROR);"
    return json.loads(said_by("php", "-n", "-r", script, path))


def read_mysql(path):
    """Each option as the server would get it on its command line."""
    groups = said_by("sed", "-n", r"s/^\[\([^]]*\)\].*/\1/p", path).split()
    print_group = ("my_print_defaults", f"--defaults-file={path}")
    lines = {group: said_by(*print_group, group).split("\n--") for group in groups}
    pairs = {g: [line.removeprefix("--").rstrip("\n").split("=", 1) for line in each if line] for g, each in lines.items()}
    return {g: [{p[0]: p[1] if len(p) > 1 else None} for p in each] for g, each in pairs.items()}


JUDGES = {
    "configparser": read_configparser,
    "git": read_git,
    "php": read_php,
    "php raw": lambda path: read_php(path, "INI_SCANNER_RAW"),
    "mysql": read_mysql,
    "tomllib": read_toml,
    "json": read_json,
    "json5": read_json5,
    "pyyaml": read_pyyaml,
    "ruamel": read_ruamel,
}

if __name__ == "__main__":
    _, judge, path = sys.argv
    json.dump(list(leaves(JUDGES[judge](path))), sys.stdout)
