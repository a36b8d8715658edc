"""What tools/explain reads and concludes: the lines of a comparison of the explainer with the
processor, the list of known differences, and the classes that a result falls into.
"""
import collections
import fnmatch
import re

KINDS = ("accepted", "laxer", "stricter", "other")
# A line of the emulator's log that says why an entry failed, or that the machine can't go on.
SAID = re.compile(r"^(\d+)[a-z]\[[^\]]*\] +(.*(?:VMFAIL|VMENTER|VMABORT|FAIL:|LoadMSRs|StoreMSRs"
                  r"|VMEXIT CR|exception).*)$", re.MULTILINE)


class ExplainError(Exception):
    """What is wrong with a run, its output, or the list of differences."""


# --- the list of known differences -----------------------------------------------------------------
class Difference:
    """A row: which values, which versions of the emulator, what it does instead, and why."""

    def __init__(self, line, pattern, versions, got, kind, why):
        self.line, self.pattern, self.versions = line, pattern, versions
        self.got, self.kind, self.why = got, kind, why
        self.seen = 0

    def matches(self, result, version):
        return (version in self.versions and fnmatch.fnmatchcase(result.name, self.pattern)
                and fnmatch.fnmatchcase(result.got, self.got))


def read_differences(text):
    """Rows of "PATTERN VERSIONS GOT KIND", one or more, followed by indented lines that say why."""
    rows, group = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            if not group:
                raise ExplainError(f"line {number}: an explanation of nothing")
            for row in group:
                row.why = (row.why + " " + line.strip()).strip()
            continue
        if group and group[-1].why:
            group = []
        words = line.split()
        if len(words) != 4 or words[3] not in KINDS:
            raise ExplainError(f"line {number}: found '{line}'; expected PATTERN VERSIONS GOT and "
                               + " or ".join(KINDS))
        group.append(Difference(number, words[0], words[1].split(","), words[2], words[3], ""))
        rows.append(group[-1])
    for row in rows:
        if not row.why:
            raise ExplainError(f"line {row.line}: nothing says why")
    return rows


# --- what a machine says ---------------------------------------------------------------------------
class Result:
    """One value of one case, as it was entered or not."""

    def __init__(self, name, predicted=None, got=None, first="-", breaks=0, reason=0, why=None):
        self.name, self.predicted, self.got, self.first = name, predicted, got, first
        self.breaks, self.reason, self.why = breaks, reason, why
        self.said, self.difference = [], None
        self.rule, self.number, self.value = name.rsplit(".", 2)

    @property
    def agrees(self):
        return self.predicted == self.got


def parse_words(line):
    return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))


def parse_serial(text):
    """(results, the words of the entry that nothing came after or None, complete, stamps)."""
    results, open_entry, complete, stamps = [], None, False, []
    for line in text.splitlines(keepends=True):
        if not line.startswith("EXPLAIN ") or not line.endswith("\n"):
            continue
        words = parse_words(line)
        try:
            if line.startswith("EXPLAIN enter "):
                open_entry = {key: words[key] for key in ("n", "case", "predicted", "tsc")}
            elif line.startswith("EXPLAIN case="):
                results.append(Result(words["case"], words["predicted"], words["got"],
                                      words["first"], int(words["breaks"]), int(words["exit"])))
                stamps.append((int(open_entry["tsc"]), results[-1]))
                open_entry = None
            elif line.startswith("EXPLAIN skip "):
                results.append(Result(words["case"], why=words["why"].strip('"')))
                open_entry = None
            elif line.startswith("EXPLAIN error "):
                raise ExplainError(words["text"].strip('"'))
            elif line.startswith("EXPLAIN total "):
                complete = True
        except (KeyError, TypeError, ValueError):
            raise ExplainError(f"'{line.strip()}' is not a line of this version") from None
    return results, open_entry, complete, stamps


def attribute(log, stamps):
    """What the emulator said belongs to the entry that began last before it."""
    for match in SAID.finditer(log):
        before = [result for stamp, result in stamps if stamp <= int(match.group(1))]
        if before:
            before[-1].said.append(match.group(2).strip())


# --- conclusions -----------------------------------------------------------------------------------
def attach(results, differences, version):
    """Attaches to each disagreement its explanation; an ended machine may be an agreement."""
    for result in results:
        if result.why or result.agrees:
            continue
        for row in differences:
            if row.matches(result, version):
                result.difference = row
                row.seen += 1
                break


def classify(result):
    if result.why:
        return "skipped"
    if result.agrees:
        return "agreed"
    if not result.difference:
        return "unexplained"
    if result.difference.kind == "accepted" and result.predicted == "enters":
        return "agreed"
    return "explained"


def summary(results, version, machines):
    classes = collections.Counter(classify(result) for result in results)
    rules = {result.rule for result in results}
    entered = [result for result in results if not result.why]
    # Really tested: the bad value broke this rule and nothing else.
    tested = {result.rule for result in entered if result.value == "bad"
              and result.first == result.rule and result.breaks == 1}
    agreed = {rule for rule in tested if all(
        classify(result) == "agreed" for result in entered if result.rule == rule)}
    return {"emulator": version, "rules": len(rules), "values": len(results),
            "entered": len(entered), "agreed": classes["agreed"],
            "explained": classes["explained"], "unexplained": classes["unexplained"],
            "skipped": classes["skipped"], "rules_entered": len(tested),
            "rules_agreed": len(agreed), "machines": machines}


def as_json(result):
    fields = {key: getattr(result, key) for key in
              ("name", "predicted", "got", "first", "breaks", "reason", "why", "said")}
    fields["class"] = classify(result)
    fields["explanation"] = result.difference.why if result.difference else None
    return fields
