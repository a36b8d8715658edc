"""What the laboratory said, as data, as a table, as a page, and as a comparison.

The lines are described in arch/x86/vmx/lab_print.c.
"""
import difflib
import html as html_module
import re

from . import lab

VERDICTS = ("pass", "known", "FAIL", "skipped")
GPR_TYPES = {"cr.gpr", "dr.gpr", "insn.reg1", "insn.reg2", "insn.base", "insn.index"}
WORDS = {
    "cr.type": ("MOV to", "MOV from", "CLTS", "LMSW"),
    "intr.type": ("external interrupt", "reserved", "NMI", "hardware exception",
                  "software interrupt", "privileged software exception", "software exception",
                  "other event"),
    "apic.type": ("linear read", "linear write", "fetch", "event delivery"),
    "task.source": ("CALL", "IRET", "JMP", "task gate"),
    "next": ("enters again", "lets others run", "waits for an event", "the VM ends"),
}


def nearest(name, names):
    found = difflib.get_close_matches(name, names, n=3, cutoff=0.3)
    return found or sorted(names)[:3]


def parse_line(line):
    """('exit', {key: value}) of a line that begins with LAB; None for others."""
    if not line.startswith("LAB "):
        return None
    word, _, rest = line[4:].partition(" ")
    fields = {}
    for key, quoted, plain in re.findall(r'([\w.-]+)=(?:"([^"]*)"|(\S*))', rest):
        fields[key] = quoted or plain
    return word, fields


def number(text):
    return int(text, 0)


def _changes(text):
    made = []
    for change in text.split(",") if text else ():
        match = re.fullmatch(r"(\w+):(0x[0-9a-f]+)>(0x[0-9a-f]+)", change)
        if match:
            made.append({"what": match.group(1), "before": match.group(2), "after": match.group(3)})
    return made


def parse(text):
    report = {"machine": {}, "capabilities": {}, "runs": [], "total": {}, "errors": []}
    run = None
    for line in text.splitlines():
        parsed = parse_line(line.strip())
        if not parsed:
            continue
        word, fields = parsed
        if word == "machine":
            report["machine"] = fields
        elif word == "capability":
            report["capabilities"][fields.pop("word")] = fields
        elif word == "run":
            run = {"experiment": fields["experiment"], "variant": fields.get("variant", ""),
                   "exits": [], "values": {}, "checks": []}
            report["runs"].append(run)
        elif word == "exit" and run is not None:
            changed = _changes(fields.pop("changed", ""))
            run["exits"].append({"facts": fields, "changed": changed})
        elif word == "access" and run is not None:
            run.setdefault("accesses", []).append(fields)
        elif word == "value" and run is not None:
            run["values"][fields["name"]] = fields["value"]
        elif word == "check" and run is not None:
            run["checks"].append(fields)
        elif word == "end" and run is not None:
            run.update(reason=number(fields["reason"]), verdict=fields["verdict"],
                       exit_count=number(fields["exits"]), ticks=number(fields["ticks"]),
                       expected=fields["expected"], observed=fields["observed"])
        elif word == "total":
            report["total"] = {key: number(value) for key, value in fields.items()}
        elif word in ("error", "nearest"):
            report["errors"].append(fields)
    report["runs"] = [run for run in report["runs"] if "verdict" in run]
    return report


# --- a table -------------------------------------------------------------------------------------
def shorten(text, width):
    return text if len(text) <= width else text[:width - 3] + "..."


def reason_text(number_, reasons):
    return "VMfail" if number_ == lab.VMFAIL else f"{number_} {reasons.get(number_, '?')}"


def reason_names():
    return {row["number"]: row["name"] for row in lab.read_exits()}


def note_of(run):
    said = [c["text"] for c in run["checks"] if c["verdict"] != "pass"]
    return said[-1] if said else ""


def print_table(report, experiments, quiet=False):
    reasons = reason_names()
    form = "{:34} {:26} {:30} {:30} {:>7}  {}"
    print(form.format("experiment", "reason", "expected", "observed", "ticks", "verdict"))
    for run in report["runs"]:
        if quiet and run["verdict"] == "pass":
            continue
        name = run["experiment"] + (f" [{run['variant']}]" if run["variant"] else "")
        observed = "-" if run["verdict"] == "skipped" else shorten(run["observed"], 30)
        print(form.format(shorten(name, 34), shorten(reason_text(run["reason"], reasons), 26),
                          shorten(run["expected"], 30), observed, run["ticks"], run["verdict"]))
        if run["verdict"] != "pass":
            for check in run["checks"]:
                if check["verdict"] != "pass":
                    print(f"    {check['verdict']}: {check['text']}")
    total = report["total"]
    print(f"\n{total['pass']} pass, {total['known']} with a known difference, {total['fail']} FAIL, "
          f"{total['skipped']} skipped; {total['ticks']} ticks")
    if total.get("leaked"):
        print(f"{total['leaked']} bytes of memory were not given back")


# --- one in full ---------------------------------------------------------------------------------
def fact_text(name, value):
    if name in GPR_TYPES:
        return f"{name} {lab.GPRS[number(value) & 15]}"
    words = WORDS.get(name)
    if words and number(value) < len(words):
        return f"{name} {words[number(value)]}"
    return f"{name} {value}"


NOT_FACTS = ("n", "reason", "name", "ticks", "rip", "next")


def exit_lines(item):
    facts = item["facts"]
    yield (f"exit {facts['n']}: reason {facts['reason']}, {facts['name']}, "
           f"{facts['ticks']} ticks in the hypervisor")
    said = [fact_text(key, value) for key, value in facts.items() if key not in NOT_FACTS]
    if said:
        yield "    the processor said:  " + ", ".join(said)
    for change in item["changed"]:
        yield f"    changed:             {change['what']} {change['before']} -> {change['after']}"
    yield "    then:                " + fact_text("next", facts["next"])[5:]


def life_lines(item, row):
    """The steps of one exit, with the VMCS fields that each reads and writes."""
    needs = {"NEED_LEN": "VM-exit instruction length", "NEED_QUAL": "exit qualification",
             "NEED_GPA": "guest-physical address",
             "NEED_INTR": "VM-exit interruption information and error code",
             "NEED_INSN": "VM-exit instruction information",
             "NEED_VECT": "IDT-vectoring information and error code"}
    reads = [text for need, text in needs.items() if need in row["needs"]]
    changed = [change["what"] for change in item["changed"]]
    fields = [name for name in changed if name in lab.known_fields()]
    registers = [name for name in changed if name not in lab.known_fields()]
    moved = "GUEST_RIP" in fields
    yield "the life of this exit, step by step:"
    yield "    1. The processor saves the guest's state into the guest-state area, writes the exit"
    yield "       information, loads the host-state area and goes on at HOST_RIP."
    yield "    2. entry.asm keeps the guest's general-purpose registers in struct vmx_vcpu."
    yield "    3. vmx_exit() reads the exit reason" + \
        f" ({item['facts']['reason']}) and finds the row {row['name']} of exits.def."
    yield "    4. The row's collector reads: " + (", ".join(reads) or "nothing more") + "."
    yield f"    5. {row['handler']}() does the work" + \
        (f"; it writes the registers {', '.join(registers)}." if registers else ".")
    others = [name for name in fields if name != "GUEST_RIP"]
    if others:
        yield "       VMCS fields written: " + ", ".join(others) + "."
    if moved:
        yield "    6. advance_rip() reads GUEST_RIP, the interruptibility state and RFLAGS, and writes"
        yield f"       GUEST_RIP: {int(item['facts']['rip'], 0)} bytes further, the instruction's length."
    else:
        yield "    6. RIP stays: the instruction is not done, or it is over already."
    yield "    7. run_ready() looks for work of this core and for events; it writes the"
    yield "       VMX-preemption timer value, and the entry's event if there is one."
    yield "    8. entry.asm loads the registers; VMRESUME checks and loads the guest's state."


def access_lines(run):
    """Each VMREAD and VMWRITE of the first exit, in order: the debug build reports them."""
    accesses = run.get("accesses", ())
    if accesses:
        yield "each access to the VMCS by the first exit, in order:"
    for access in accesses:
        when = "from exit to handler's end" if access["when"] == "exit" else "on the way to the entry"
        yield f"    VM{access['kind'].upper():6}{access['field']:42} {when}"


def print_side_by_side(runs):
    """The variants of one experiment, a column each."""
    rows = [("", [run["variant"] or "-" for run in runs]),
            ("verdict", [run["verdict"] for run in runs]),
            ("exits", [str(run["exit_count"]) for run in runs]),
            ("which", [shorten(run["observed"], 24) for run in runs]),
            ("ticks", [str(run["ticks"]) for run in runs])]
    for name in sorted({name for run in runs for name in run["values"]}):
        rows.append((name, [run["values"].get(name, "-") for run in runs]))
    print("side by side:")
    for start in range(0, len(runs), 4):
        columns = range(start, min(start + 4, len(runs)))
        widths = {c: max(len(row[1][c]) for row in rows) for c in columns}
        for name, cells in rows:
            print("  " + f"{name:20}" + "  ".join(f"{cells[c]:{widths[c]}}" for c in columns).rstrip())
        print()


def print_full(report, experiments):
    rows = {row["number"]: row for row in lab.read_exits()}
    for error in report["errors"]:
        print(error.get("text") or f"    near it: {error['name']}")
    for run in report["runs"]:
        experiment = experiments.get(run["experiment"])
        variant = next((v for v in experiment.all_variants() if v.name == run["variant"]), None) \
            if experiment else None
        print(f"== {run['experiment']}" + (f" [{run['variant']}]" if run["variant"] else "")
              + (f": {experiment.header['title']}" if experiment else ""))
        for action in variant.actions if variant else ():
            print(f"    the VM has:          {action.line}")
        if variant and variant.note:
            print(f"    note:                {variant.note}")
        for item in run["exits"]:
            for line in exit_lines(item):
                print("  " + line)
        if run["exits"] and run["experiment"] == "cpuid":
            for line in life_lines(run["exits"][0], rows[number(run["exits"][0]["facts"]["reason"])]):
                print("  " + line)
        for line in access_lines(run):
            print("  " + line)
        for name, value in run["values"].items():
            print(f"  the guest says: {name} = {value}")
        for check in run["checks"]:
            print(f"  {check['verdict']:7} {check['text']}")
        print(f"  verdict: {run['verdict']}\n")
    if len(report["runs"]) > 1:
        print_side_by_side(report["runs"])
    if report["runs"] and report["runs"][0]["experiment"] in experiments:
        experiment = experiments[report["runs"][0]["experiment"]]
        print("Why: " + experiment.header["explain"])
        print("SDM volume 3: \"" + experiment.header["sdm"] + "\"")


# --- a page --------------------------------------------------------------------------------------
STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;
color:#1c2024;background:#fff}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid #d8dce0;vertical-align:top}
code,pre{font:13px/1.4 ui-monospace,monospace}pre{background:#f4f5f7;padding:.7em;overflow-x:auto}
.pass{color:#14702c}.known{color:#8a6100}.FAIL{color:#b3141a;font-weight:bold}.skipped{color:#667}
summary{cursor:pointer}@media(prefers-color-scheme:dark){body{background:#16181b;color:#dde1e5}
pre{background:#22262b}th,td{border-color:#3a4046}.pass{color:#6bc46d}.known{color:#d6a53c}
.FAIL{color:#ff7a76}}"""


def html(report, experiments):
    esc = html_module.escape
    reasons = reason_names()
    machine = report["machine"]
    out = ["<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Trapline: exit laboratory</title>",
           f"<style>{STYLE}</style><h1>Exit laboratory</h1><p>"
           + esc(", ".join(f"{key} {value}" for key, value in machine.items() if value)) + "</p>"]
    total = report["total"]
    out.append("<p>" + ", ".join(f"{total[key]} {key}" for key in ("pass", "known", "fail", "skipped"))
               + f"; {report.get('seconds', 0)} s</p>")
    out.append("<table><tr><th>experiment<th>reason<th>expected<th>observed<th>ticks<th>verdict</tr>")
    for run in report["runs"]:
        name = run["experiment"] + (f" [{run['variant']}]" if run["variant"] else "")
        experiment = experiments.get(run["experiment"])
        lines = []
        for item in run["exits"]:
            lines += exit_lines(item)
        lines += [f"the guest says: {key} = {value}" for key, value in run["values"].items()]
        lines += [f"{check['verdict']}: {check['text']}" for check in run["checks"]]
        explain = experiment.header["explain"] if experiment else ""
        section = experiment.header["sdm"] if experiment else ""
        out.append(
            f"<tr><td><details><summary>{esc(name)}</summary><p>{esc(explain)}</p>"
            f"<p>SDM volume 3, &ldquo;{esc(section)}&rdquo;</p>"
            f"<pre>{esc(chr(10).join(lines))}</pre></details>"
            f"<td>{esc(reason_text(run['reason'], reasons))}<td>{esc(run['expected'])}"
            f"<td>{esc(run['observed'])}<td>{run['ticks']}"
            f"<td class={run['verdict']}>{run['verdict']}</tr>")
    out.append("</table></html>")
    return "\n".join(out)


# --- two machines --------------------------------------------------------------------------------
def compare(a, b):
    """Lines that say what differs between two reports."""
    def index(report):
        return {(run["experiment"], run["variant"]): run for run in report["runs"]}
    left, right = index(a), index(b)
    for word in sorted(set(a["capabilities"]) | set(b["capabilities"])):
        one, other = a["capabilities"].get(word), b["capabilities"].get(word)
        if one != other:
            yield f"capability {word}: {one} | {other}"
    for key in sorted(set(left) | set(right)):
        name = key[0] + (f" [{key[1]}]" if key[1] else "")
        if key not in left or key not in right:
            yield f"{name}: only in the {'second' if key not in left else 'first'}"
            continue
        one, other = left[key], right[key]
        if one["verdict"] != other["verdict"]:
            yield f"{name}: {one['verdict']} | {other['verdict']}"
            for run in (one, other):
                if note_of(run):
                    yield f"    {note_of(run)}"
        elif one["observed"] != other["observed"]:
            yield f"{name}: {one['observed']} | {other['observed']}"
        else:
            yield from compare_exits(name, one, other)
        for value in sorted(set(one["values"]) & set(other["values"])):
            if one["values"][value] != other["values"][value]:
                yield f"{name}: {value} = {one['values'][value]} | {other['values'][value]}"


def compare_exits(name, one, other):
    for number_, (a, b) in enumerate(zip(one["exits"], other["exits"]), 1):
        for fact in sorted(set(a["facts"]) | set(b["facts"])):
            if fact != "ticks" and a["facts"].get(fact) != b["facts"].get(fact):
                yield (f"{name}, exit {number_}: {fact} = {a['facts'].get(fact)} | "
                       f"{b['facts'].get(fact)}")
    if one["ticks"] != other["ticks"]:
        yield f"{name}: {one['ticks']} ticks | {other['ticks']} ticks"
