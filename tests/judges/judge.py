"""What another parser sees in a file: judge.py JUDGE FILE.

Prints a JSON list of [[key, ...], value], in the order of the file where the parser keeps it. A
list element's key is its number. Strings are strings, nothing is null, and what else the format
knows is {"as": ...}.
"""

import json
import sys
import textwrap


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


def read_xml(path):
    """Each attribute, text and tail, in order; white space around a text is layout."""
    from lxml import etree

    def walk(element, keys):
        for name, value in element.attrib.items():
            yield [*keys, "@" + name], value
        text = element.text
        if len(element) == 0 or (text and text.strip()):
            yield [*keys, "text"], text and text.strip(" \t\r\n")
        for number, child in enumerate(element):
            if isinstance(child.tag, str):
                yield from walk(child, [*keys, f"{number} {child.tag}"])
            if child.tail and child.tail.strip():
                yield [*keys, f"{number} tail"], child.tail.strip(" \t\r\n")

    root = etree.parse(path, etree.XMLParser(resolve_entities=False)).getroot()
    return {" / ".join(keys): value for keys, value in walk(root, [root.tag])}


def read_hcl(path):
    import hcl2
    from hcl2.utils import SerializationOptions

    options = SerializationOptions(with_comments=False, explicit_blocks=False)

    def heredoc(text):
        # The parser's own reading loses the last line end.
        first, *lines, _ = text.split("\n")
        if first.startswith("<<-"):
            lines = textwrap.dedent("\n".join(lines)).split("\n")
        return "".join(line + "\n" for line in lines)

    def plain(value):
        if isinstance(value, str) and value.startswith('"<<'):
            return heredoc(value[1:-1])
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        # A string comes as it is written; what else is text is an expression.
        if isinstance(value, str) and value.startswith('"'):
            return json.loads(value, strict=False).replace("$${", "${").replace("%%{", "%{")
        return value

    with open(path, encoding="utf-8-sig", newline="") as file:
        return plain(hcl2.loads(file.read(), serialization_options=options))


JUDGES = {
    "tomllib": read_toml,
    "json": read_json,
    "lxml": read_xml,
    "python-hcl2": read_hcl,
}

if __name__ == "__main__":
    _, judge, path = sys.argv
    json.dump(list(leaves(JUDGES[judge](path))), sys.stdout)
