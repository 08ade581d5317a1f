"""What another parser sees in a file: judge.py JUDGE FILE.

Prints a JSON list of [[key, ...], value], in the order of the file where the parser keeps it. A
list element's key is its number. Strings are strings, nothing is null, and what else the format
knows is {"as": ...}.
"""

import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time

# A python of another build finds Debian's packages as well.
sys.path.append("/usr/lib/python3/dist-packages")


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


def read_go_ini(path):
    program = os.path.join(os.path.dirname(__file__), "go-ini.go")
    return json.loads(said_by(compiled(program, "gopkg.in/ini.v1"), path))


def compiled(program, package):
    """The path of a Go program with one package of Debian's, compiled once."""
    with open(program, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    path = os.path.join(os.environ["JUDGE_CACHE"], f"go-{digest}")
    if not os.path.exists(path):
        sources = sorted(glob.glob(f"/usr/share/gocode/src/{package}/*.go"))
        sources = [source for source in sources if not source.endswith("_test.go")]
        with tempfile.TemporaryDirectory(dir=os.environ["JUDGE_CACHE"]) as directory:
            object = os.path.join(directory, package + ".o")
            os.makedirs(os.path.dirname(object))
            said_by("gccgo", "-c", "-o", object, "-fgo-pkgpath=" + package, *sources)
            main = os.path.join(directory, "main.o")
            said_by("gccgo", "-c", "-o", main, "-I", directory, program)
            said_by("gccgo", "-o", os.path.join(directory, "program"), main, object)
            # Other tests may be at it too.
            os.replace(os.path.join(directory, "program"), path)
    return path


def read_mysql(path):
    """Each option as the server would get it on its command line."""
    groups = said_by("sed", "-n", r"s/^\[\([^]]*\)\].*/\1/p", path).split()
    print_group = ("my_print_defaults", f"--defaults-file={path}")
    lines = {group: said_by(*print_group, group).split("\n--") for group in groups}
    pairs = {g: [line.removeprefix("--").rstrip("\n").split("=", 1) for line in each if line] for g, each in lines.items()}
    return {g: [{p[0]: p[1] if len(p) > 1 else None} for p in each] for g, each in pairs.items()}


def read_dotenv(path):
    import dotenv

    return dotenv.dotenv_values(path, interpolate=False, encoding="utf-8")


def read_sh(path):
    """The variables that a shell has after reading the file."""
    script = 'set -a; . "$0"; exec env -0'
    output = subprocess.run(
        ["/bin/sh", "-eu", "-c", script, path], env={}, check=True, capture_output=True
    ).stdout
    pairs = sorted(pair.decode().split("=", 1) for pair in output.split(b"\0") if pair)
    return {name: value for name, value in pairs if name not in ("PWD", "OLDPWD", "SHLVL", "_")}


def read_javaproperties(path):
    import javaproperties

    with open(path, "rb") as file:
        return javaproperties.load(file)


def read_redis(path):
    """What a Redis that was started with the file answers to CONFIG GET."""
    with open(path, encoding="utf-8") as file:
        names = [line.split()[0] for line in file if line.strip() and not line.startswith("#")]
    with tempfile.TemporaryDirectory() as directory:
        socket = os.path.join(directory, "socket")
        options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory]
        with subprocess.Popen(["redis-server", path, *options], stdout=subprocess.DEVNULL) as server:
            try:
                while not os.path.exists(socket):
                    if server.poll() is not None:
                        sys.exit("redis-server ended")
                    time.sleep(0.02)
                return {name: config_get(socket, name) for name in names}
            finally:
                server.terminate()


def config_get(path, name):
    import socket

    def read_value(stream):
        length = int(stream.readline()[1:])
        return stream.read(length + 2)[:-2].decode()

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(f"CONFIG GET {name}\r\n".encode())
        with connection.makefile("rb") as stream:
            assert stream.readline() == b"*2\r\n", name
            assert read_value(stream) == name
            return read_value(stream)


def read_systemd(path):
    """What a manager in a test run makes of a service: its dump, of the settings told here."""
    told = ("Description", "Environment", "LogExtraFields", "User", "Type")
    told += ("WorkingDirectory", "RestartSec", "UMask", "Command Line")
    with tempfile.TemporaryDirectory() as directory:
        # What any service wants; nothing of this machine.
        for target in ("basic", "sysinit", "shutdown"):
            with open(os.path.join(directory, target + ".target"), "w") as file:
                file.write("[Unit]\nDefaultDependencies=no\n")
        shutil.copy(path, os.path.join(directory, "sample.service"))
        dump, complaints = by_nobody(
            directory,
            "/usr/lib/systemd/systemd",
            "--test",
            "--user",
            "--unit=sample.service",
            "--log-target=console",
            "--log-level=warning",
            SYSTEMD_UNIT_PATH=directory,
            XDG_RUNTIME_DIR=directory,
            HOME=directory,
        )
    # It goes on without what it cannot read.
    if "sample.service" in complaints:
        sys.exit(complaints)
    _, dump = dump.split("\t-> Unit sample.service:\n")
    dump = dump.split("\t-> Unit ", 1)[0]
    pairs = [line.strip("\t").split(": ", 1) for line in dump.splitlines()]
    return [{pair[0]: pair[1]} for pair in pairs if pair[0] in told]


def by_nobody(directory, *argv, **env):
    """What a program prints that is not run by root, and what it complains about."""
    for root, _, files in os.walk(directory):
        for name in ["", *files]:
            os.chown(os.path.join(root, name), 65534, 65534)
    process = subprocess.run(
        argv, env=env, capture_output=True, user=65534, group=65534, extra_groups=[], text=True
    )
    if process.returncode != 0:
        sys.exit(process.stderr)
    return process.stdout, process.stderr


def read_postgresql(path):
    """What a server would start with, setting by setting."""
    server = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))[-1]
    with open(path, encoding="utf-8") as file:
        names = re.findall(r"^[ \t]*([\w.]+)[ \t=]", file.read(), re.MULTILINE)
    with tempfile.TemporaryDirectory() as directory:
        file = shutil.copy(path, os.path.join(directory, "postgresql.conf"))

        def setting(name):
            said, _ = by_nobody(directory, server, "-D", directory, "-C", name)
            return said.removesuffix("\n")

        return {name: setting(name) for name in names}


def openssh_settings(path, said):
    """Those that the file sets, in the order in which OpenSSH tells them."""
    with open(path, encoding="utf-8") as file:
        names = {re.split(r"[ \t=]", line.strip(), maxsplit=1)[0].lower() for line in file}
    pairs = [line.split(" ", 1) for line in said.splitlines()]
    return [{pair[0]: pair[1]} for pair in pairs if pair[0] in names]


def read_sshd(path):
    """The settings for one user, for whom a `Match` may hold."""
    # Where a daemon that starts wants to be locked up.
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        key = os.path.join(directory, "key")
        said_by("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        said = said_by("/usr/sbin/sshd", "-T", "-f", path, "-h", key, "-C", "user=alice,host=h,addr=192.0.2.1")
    return openssh_settings(path, said)


def read_ssh(path):
    return openssh_settings(path, said_by("ssh", "-G", "-F", path, "shop"))


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
    "configparser": read_configparser,
    "git": read_git,
    "php": read_php,
    "php raw": lambda path: read_php(path, "INI_SCANNER_RAW"),
    "go-ini": read_go_ini,
    "mysql": read_mysql,
    "tomllib": read_toml,
    "json": read_json,
    "json5": read_json5,
    "pyyaml": read_pyyaml,
    "ruamel": read_ruamel,
    "dotenv": read_dotenv,
    "sh": read_sh,
    "javaproperties": read_javaproperties,
    "redis": read_redis,
    "systemd": read_systemd,
    "sshd": read_sshd,
    "ssh": read_ssh,
    "postgresql": read_postgresql,
    "lxml": read_xml,
    "python-hcl2": read_hcl,
}

if __name__ == "__main__":
    _, judge, path = sys.argv
    json.dump(list(leaves(JUDGES[judge](path))), sys.stdout)
