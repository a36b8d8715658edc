"""Reads the laboratory's experiments: guest/lab/<name>/experiment.txt, and the list of exits.

The format stands in docs/lab.md, "An experiment's data". A mistake is answered with file, line and
what was expected.
"""
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(TOP, "guest", "lab")
VMFAIL = 0xffff
END_STAGE = 16
MOST_PAGES = 16
HEADER_KEYS = ("title", "reason", "questions", "sdm", "explain", "exercise", "predict", "order")
WISHES = ("avoid", "prefer", "require", "forbid")
GPRS = ("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
        "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15")
SYMBOLS = {name: number for number, name in enumerate(GPRS)}
OPERATORS = {"=": "LAB_EQ", "!=": "LAB_NE", ">=": "LAB_GE", "<=": "LAB_LE", "&=": "LAB_BITS"}
ASSIGNS = {"=": "LAB_SET", "|=": "LAB_OR", "&~=": "LAB_AND_NOT"}
RIGHTS = {"none": 0, "r": 1, "w": 2, "rw": 3, "x": 4, "rx": 5, "rwx": 7}


class LabError(Exception):
    """A mistake in an experiment's data, with file and line."""


def parse_number(text):
    match = re.fullmatch(r"(0x[0-9a-fA-F]+|\d+)([KM]?)", text)
    if not match:
        return None
    return int(match.group(1), 0) << {"": 0, "K": 10, "M": 20}[match.group(2)]


def read_exits(path=os.path.join(TOP, "arch", "x86", "vmx", "exits.def")):
    """The rows of exits.def: {number, name, handler, needs, experiment, sdm, doc}."""
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            match = re.match(r'EXIT\((\d+), (\w+), (\w+), ([^"]*?), "([^"]*)", "([^"]*)", "([^"]*)"\)',
                             line)
            if match:
                number, *rest = match.groups()
                rows.append(dict(zip(("name", "handler", "needs", "experiment", "sdm", "doc"), rest),
                                 number=int(number)))
    return rows


class Check:
    def __init__(self, fact, operator, value):
        self.fact, self.operator, self.value = fact, operator, value
        self.known, self.known_text = 0, None


class Expect:
    def __init__(self, kind, reason_name, reason, least, most, checks):
        self.kind, self.reason_name, self.reason = kind, reason_name, reason
        self.least, self.most, self.checks = least, most, checks
        self.missing = None


class Action:
    """`text` is the line as it was written, for reports."""

    def __init__(self, kind, line, **fields):
        self.kind, self.line, self.stage = kind, line, 0
        self.assign, self.value_kind = "LAB_SET", "LAB_VALUE_NUMBER"
        self.name = self.text = None
        self.a = self.b = self.c = self.value = 0
        self.__dict__.update(fields)


class Variant:
    def __init__(self, name):
        self.name = name
        self.actions, self.expects = [], []
        self.end, self.status, self.limit_ms = "debug-exit", 0, 1000
        self.honoured, self.honoured_reason = None, 0
        self.note = ""
        self.begins = True
        self.stop = 0


class Experiment:
    def __init__(self, name, reasons):
        self.name, self.reasons = name, reasons
        self.header = {key: "" for key in HEADER_KEYS}
        self.common = Variant("")
        self.variants = []
        self.pages = {}
        self.path = os.path.join(FOLDER, name, "experiment.txt")
        self.line = 0

    @property
    def reason(self):
        return self.reasons.get(self.header["reason"], VMFAIL)

    def all_variants(self):
        return self.variants or [self.common]

    def fail(self, expected, found):
        shown = os.path.relpath(self.path, TOP)
        raise LabError(f"{shown}:{self.line}: found {found}; expected {expected}")

    # --- values ---
    def number(self, text, what="a number"):
        value = SYMBOLS.get(text, parse_number(text))
        if value is None:
            self.fail(what, f"'{text}'")
        return value

    def page(self, name):
        if name not in self.pages:
            if len(self.pages) == MOST_PAGES:
                self.fail(f"at most {MOST_PAGES} pages", "one more")
            self.pages[name] = len(self.pages)
        return self.pages[name]

    def value(self, text):
        """(kind, number) of something that may also be a page or the EPT pointer."""
        if text == "eptp":
            return {"value_kind": "LAB_VALUE_EPTP", "value": 0}
        if text.startswith("field:"):
            if text[6:] not in known_fields():
                self.fail("a field of vmcs_fields.def", f"'{text[6:]}'")
            return {"value_kind": "LAB_VALUE_FIELD", "text": text[6:]}
        if text.startswith("page:"):
            return {"value_kind": "LAB_VALUE_PAGE", "value": self.page(text[5:])}
        return {"value": self.number(text, "a number, page:NAME or eptp")}

    def reason_number(self, name):
        if name == "VMFAIL":
            return VMFAIL
        if name not in self.reasons:
            self.fail("the name of an exit reason, as in exits.def", f"'{name}'")
        return self.reasons[name]

    # --- lines ---
    def read(self, text):
        lines = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                if lines and not line.strip():
                    lines.append(None)
                continue
            if line[0] in " \t" and lines and lines[-1]:
                lines[-1][1] += " " + line.strip()
            else:
                lines.append([number, line.rstrip()])
        current = self.common
        for entry in lines:
            if not entry:
                continue
            self.line, line = entry
            section = re.fullmatch(r"\[variant ([a-z0-9-]+)\]", line)
            if section:
                current = Variant(section.group(1))
                current.limit_ms = self.common.limit_ms
                self.variants.append(current)
            else:
                self.read_line(current, line)
        for variant in self.variants:
            variant.actions = self.common.actions + variant.actions
            variant.expects = self.common.expects + variant.expects
            variant.stop = variant.stop or self.common.stop
            if self.common.end != "debug-exit" and variant.end == "debug-exit":
                variant.end, variant.status = self.common.end, self.common.status
            if self.common.honoured and not variant.honoured:
                variant.honoured = self.common.honoured
                variant.honoured_reason = self.common.honoured_reason
        for key in ("title", "reason", "sdm", "explain"):
            if not self.header[key]:
                self.fail(f"a line '{key} = ...'", "none")
        if self.header["reason"] != "VMFAIL" and self.header["reason"] not in self.reasons:
            self.fail("the name of an exit reason, as in exits.def", f"'{self.header['reason']}'")

    def read_line(self, variant, line):
        key, _, rest = line.partition(" ")
        rest = rest.strip()
        header = re.match(r"(\w+) = (.*)", line)
        if header and header.group(1) in HEADER_KEYS and variant is self.common:
            self.header[header.group(1)] = header.group(2)
            return
        reader = getattr(self, "line_" + key.replace("-", "_"), None)
        if not reader:
            words = sorted(name[5:].replace("_", "-") for name in dir(self)
                           if name.startswith("line_"))
            self.fail("one of " + ", ".join(HEADER_KEYS + tuple(words)), f"'{key}'")
        reader(variant, rest, line)

    def match(self, pattern, rest, form):
        match = re.fullmatch(pattern, rest)
        if not match:
            self.fail(f"'{form}'", f"'{rest}'")
        return match.groups()

    def add(self, variant, kind, line, **fields):
        variant.actions.append(Action(kind, line, **fields))

    def line_at(self, variant, rest, line):
        stage, action = self.match(r"(\d+|end) (.*)", rest, "at 1..15|end ACTION")
        before = len(variant.actions)
        self.read_line(variant, action)
        for made in variant.actions[before:]:
            made.stage = END_STAGE if stage == "end" else int(stage)

    def line_policy(self, variant, rest, line):
        name, wish = self.match(r"(\w+) = (\w+)", rest, "policy NAME = require")
        if wish not in WISHES:
            self.fail(" | ".join(WISHES), f"'{wish}'")
        if name not in known_wishes():
            self.fail("a wish of vm_policy.def", f"'{name}'")
        self.add(variant, "LAB_POLICY", line, name=name, a=WISHES.index(wish))

    def line_needs(self, variant, rest, line):
        if rest not in known_wishes():
            self.fail("a wish of vm_policy.def", f"'{rest}'")
        self.add(variant, "LAB_NEEDS", line, name=rest)

    def line_number(self, variant, rest, line):
        name, operator, value = self.match(r"(\w+) (=|\|=|&~=) (\S+)", rest, "number NAME = N")
        self.add(variant, "LAB_NUMBER", line, name=name, assign=ASSIGNS[operator],
                 value=self.number(value))

    def line_vmcs(self, variant, rest, line):
        name, operator, value = self.match(r"(\w+) (=|\|=|&~=) (\S+)", rest, "vmcs FIELD = VALUE")
        if name not in known_fields():
            self.fail("a field of vmcs_fields.def", f"'{name}'")
        self.add(variant, "LAB_VMCS", line, name=name, assign=ASSIGNS[operator], **self.value(value))

    def line_page(self, variant, rest, line):
        if re.fullmatch(r"[\w-]+", rest):
            self.page(rest)
            return
        name, fill, offset, value = self.match(
            r"([\w-]+) (?:fill (\S+)|at (\S+) = (\S+))", rest, "page NAME [fill N | at OFFSET = N]")
        if fill:
            self.add(variant, "LAB_FILL", line, b=self.page(name), value=self.number(fill))
        else:
            self.add(variant, "LAB_PAGE", line, b=self.page(name), a=self.number(offset),
                     **self.value(value))

    def line_ept(self, variant, rest, line):
        gpa, size, rights = self.match(r"(\S+) (\S+) = (\w+)", rest, "ept GPA BYTES = rwx")
        if rights not in RIGHTS:
            self.fail(" | ".join(RIGHTS), f"'{rights}'")
        self.add(variant, "LAB_EPT", line, a=self.number(gpa), b=RIGHTS[rights],
                 c=self.number(size))

    def line_ept_map(self, variant, rest, line):
        gpa, value, rights = self.match(r"(\S+) = (\S+) (\w+)", rest, "ept-map GPA = page:NAME rwx")
        self.add(variant, "LAB_EPT_MAP", line, a=self.number(gpa), b=RIGHTS.get(rights, 0),
                 **self.value(value))

    def line_ept_entry(self, variant, rest, line):
        gpa, value = self.match(r"(\S+) = (\S+)", rest, "ept-entry GPA = BITS")
        self.add(variant, "LAB_EPT_ENTRY", line, a=self.number(gpa), b=self.number(value))

    def line_ept_apic(self, variant, rest, line):
        self.add(variant, "LAB_EPT_APIC", line, a=self.number(rest))

    def line_msr(self, variant, rest, line):
        msr, what = self.match(r"(\S+) = (pass|trap|trap-read|trap-write)", rest,
                               "msr N = pass | trap | trap-read | trap-write")
        self.add(variant, "LAB_MSR", line, a=self.number(msr),
                 b={"pass": 0, "trap": 3, "trap-read": 1, "trap-write": 2}[what])

    def line_port(self, variant, rest, line):
        port, what = self.match(r"(\S+) = (pass|trap)", rest, "port N = pass | trap")
        self.add(variant, "LAB_PORT", line, a=self.number(port), b=int(what == "trap"))

    def line_interrupt(self, variant, rest, line):
        self.add(variant, "LAB_POST", line, a=self.number(rest))

    def line_nmi(self, variant, rest, line):
        self.add(variant, "LAB_POST", line, a=0x100)

    def line_invvpid(self, variant, rest, line):
        self.add(variant, "LAB_INVVPID", line)

    def line_invept(self, variant, rest, line):
        self.add(variant, "LAB_INVEPT", line)

    def line_report(self, variant, rest, line):
        name, what, first, second = self.match(
            r"([\w.-]+) = (vmcs|page|ept) (\S+)(?: (\S+))?", rest,
            "report NAME = vmcs FIELD | page NAME OFFSET | ept GPA LEVEL")
        fields = {"text": name}
        if what == "vmcs":
            fields["name"] = first
        elif what == "page":
            fields.update(b=self.page(first), a=self.number(second or "0"))
        else:
            fields.update(a=self.number(first), b=self.number(second or "1"))
        self.add(variant, "LAB_REPORT_" + what.upper(), line, **fields)
        variant.actions[-1].stage = END_STAGE

    def checks(self, words):
        made = []
        for word in words:
            match = re.fullmatch(r"([\w.]+?)(!=|>=|<=|&=|=)(\S+)", word)
            if not match:
                self.fail("FACT=VALUE", f"'{word}'")
            made.append(Check(match.group(1), OPERATORS[match.group(2)],
                              self.number(match.group(3)) & (1 << 64) - 1))
        return made

    def expect(self, variant, kind, rest, default):
        words = rest.split()
        if not words:
            self.fail("the name of an exit reason", "nothing")
        name, least, most = words.pop(0), *default
        times = re.fullmatch(r"x(\d+)(?:\.\.(\d+))?", words[0]) if words else None
        if times:
            words.pop(0)
            least = int(times.group(1))
            most = int(times.group(2) or least)
        variant.expects.append(Expect(kind, name, self.reason_number(name), least, most,
                                      self.checks(words)))

    def line_exit(self, variant, rest, line):
        self.expect(variant, "LAB_EXPECT_EXIT", rest, (1, 1))

    def line_count(self, variant, rest, line):
        self.expect(variant, "LAB_EXPECT_COUNT", rest, (1, 1))

    def line_value(self, variant, rest, line):
        name, operator, value = self.match(r"([\w.-]+) (!=|>=|<=|&=|=) (\S+)", rest, "value NAME = N")
        check = Check(name, OPERATORS[operator], self.number(value))
        variant.expects.append(Expect("LAB_EXPECT_VALUE", "", 0, 0, 0, [check]))

    def line_known(self, variant, rest, line):
        none = re.fullmatch(r"none : (.*)", rest)
        if none and variant.expects and variant.expects[-1].kind == "LAB_EXPECT_EXIT":
            variant.expects[-1].missing = none.group(1)
            return
        fact, value, text = self.match(r"([\w.-]+) = (\S+) : (.*)", rest, "known FACT = N : TEXT")
        for check in reversed(variant.expects[-1].checks if variant.expects else []):
            if check.fact == fact:
                check.known, check.known_text = self.number(value), text
                return
        self.fail("a fact of the line before", f"'{fact}'")

    def line_end(self, variant, rest, line):
        how, status = self.match(r"= ([\w-]+)(?: (\d+))?", rest, "end = crash | debug-exit N")
        variant.end, variant.status = how, int(status or 0)

    def line_limit(self, variant, rest, line):
        variant.limit_ms, = (self.number(text) for text in self.match(r"= (\d+)", rest, "limit = MS"))

    def line_began(self, variant, rest, line):
        self.match(r"= no", rest, "began = no")
        variant.begins = False

    def line_stop(self, variant, rest, line):
        variant.stop, = (self.number(text) for text in self.match(r"= (\d+)", rest, "stop = N"))
        variant.end = "stopped"

    def line_note(self, variant, rest, line):
        variant.note, = self.match(r"= (.*)", rest, "note = TEXT")

    def line_honoured(self, variant, rest, line):
        reason, text = self.match(r"(\w+) : (.*)", rest, "honoured REASON : CONTROL")
        variant.honoured, variant.honoured_reason = text, self.reason_number(reason)


_lists = {}


def _names(path, pattern):
    if path not in _lists:
        with open(os.path.join(TOP, path), encoding="utf-8") as file:
            _lists[path] = set(re.findall(pattern, file.read(), re.MULTILINE))
    return _lists[path]


def known_wishes():
    return _names("arch/x86/vmx/vm_policy.def", r"^VM_WISH\((\w+),")


def known_fields():
    return _names("arch/x86/vmx/vmcs_fields.def", r"^VMCS_FIELD\((\w+),")


def experiment_names(folder=FOLDER):
    return sorted(name for name in os.listdir(folder)
                  if os.path.isfile(os.path.join(folder, name, "experiment.txt")))


def read_experiment(name, folder=FOLDER):
    reasons = {row["name"]: row["number"] for row in read_exits()}
    experiment = Experiment(name, reasons)
    experiment.path = os.path.join(folder, name, "experiment.txt")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise LabError(f"guest/lab/{name}: expected a name of a-z, 0-9 and '-', at most 31")
    with open(experiment.path, encoding="utf-8") as file:
        experiment.read(file.read())
    return experiment


def read_all(folder=FOLDER):
    """In the order of their reasons, then of their names; those with 'order = last' at the end."""
    made = [read_experiment(name, folder) for name in experiment_names(folder)]
    return sorted(made, key=lambda e: (e.header["order"] == "last", e.reason, e.name))
