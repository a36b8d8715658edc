"""Reads what the tools need from a trapline.cfg: which files it names, how much memory and how many
virtual processors its machines want.

This is not the judge of the file: Trapline itself is, when it starts. What is not understood here
is left alone, so that a wrong file reaches Trapline and is answered there.
"""
import codecs
import re


class Mention:
    """A file that the config names: the line, the key and the path as written there. `required`:
    without it Trapline cannot start; else it may lie on another volume."""

    def __init__(self, line, key, path, required=True):
        self.line, self.key, self.path, self.required = line, key, path, required


class Config:
    """The parts of a trapline.cfg that the tools look at."""

    def __init__(self, text):
        self.mentions = []
        self._in_menu = False
        self.vcpus = []
        self.memory_bytes = []
        self.vm_names = []
        for number, line in enumerate(text.splitlines(), 1):
            self._read_line(number, strip_comment(line))

    def _read_line(self, number, line):
        if line.startswith("["):
            self._in_menu = line[1:].split()[:1] == ["menu"]
        section = re.fullmatch(r"\[\s*vm\s+(\S+)\s*\]", line)
        if section:
            self.vm_names.append(section.group(1))
            return
        key, equals, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not value:
            return
        if key in ("kernel", "initrd", "lab") or (key == "config" and self._in_menu):
            self.mentions.append(Mention(number, key, value))
        elif key == "boot":
            self.mentions.append(Mention(number, key, value, required=False))
        elif key == "boot-options":
            self.mentions += [Mention(number, key, path, required=False) for path in
                              re.findall(r"(?:^|\s)(?:initrd=|(?=\\))(\S+)", value)]
        elif key == "module":
            self.mentions.append(Mention(number, key, value.split()[0]))
        elif key == "vcpus" and value.isdigit():
            self.vcpus.append(int(value))
        elif key == "memory":
            size = parse_size(value)
            if size is not None:
                self.memory_bytes.append(size)


    @property
    def entries(self):
        """The files of a menu's entries."""
        return [mention for mention in self.mentions if mention.key == "config"]

    def absorb(self, entry):
        """What a menu's entry needs, added to what the others do: one of them runs at a time."""
        self.mentions += entry.mentions
        self.vcpus += entry.vcpus
        self.memory_bytes = max(self.memory_bytes, entry.memory_bytes, key=sum)


def strip_comment(line):
    """A comment begins with # at the start of a line or after a space, outside double quotes."""
    quoted = False
    for index, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == "#" and not quoted and (index == 0 or line[index - 1].isspace()):
            return line[:index].strip()
    return line.strip()


def parse_size(text):
    """'512M' as bytes; a bare number is in MB. None if it is no size."""
    match = re.fullmatch(r"(\d+)\s*([KMG]?)i?B?", text.strip(), re.IGNORECASE)
    if not match:
        return None
    shift = {"K": 10, "M": 20, "": 20, "G": 30}[match.group(2).upper()]
    return int(match.group(1)) << shift


def decode(data):
    """The text of a config as an editor may have saved it. Never fails."""
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
                           (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(mark):
            return data[len(mark):].decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def read_config(path):
    with open(path, "rb") as file:
        return Config(decode(file.read()))
