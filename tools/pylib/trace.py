"""Trapline's trace of VM exits: what stands in a serial log, and what it means.

The lines are those of arch/x86/vmx/trace_text.c (TRACE-BEGIN, TRACE, TRACE-END) and recorder.c
(TICKS). Names of reasons come from arch/x86/vmx/exits.def, so that they can't drift apart. A log may
hold anything: a line that is not what it should be is counted and left out.
"""
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VERSION = 1
ENTRY_FAILURE = 1 << 31
OPEN, ADVANCED = 1, 2
NEXT_WORDS = {0: None, 1: "yields", 2: "sleeps", 3: "ends"}
EVENT_VALID = 1 << 31
EVENT_TYPES = ("external interrupt", "reserved type", "NMI", "hardware exception",
               "software interrupt", "privileged software exception", "software exception",
               "other event")
EXCEPTIONS = {0: "#DE", 1: "#DB", 3: "#BP", 4: "#OF", 5: "#BR", 6: "#UD", 7: "#NM", 8: "#DF",
              10: "#TS", 11: "#NP", 12: "#SS", 13: "#GP", 14: "#PF", 16: "#MF", 17: "#AC",
              18: "#MC", 19: "#XM", 20: "#VE", 21: "#CP"}
REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
             "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")

BEGIN = re.compile(rb"TRACE-BEGIN (\S+) (\d+) version=(\d+) tsc_hz=(\d+) start_tsc=([0-9a-f]+) "
                   rb"first=(\d+) count=(\d+)")
RECORD = re.compile(rb"TRACE (\S+) (\d+) (\d+) ([0-9a-f]+) (\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) "
                    rb"([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)$")
TICKS = re.compile(rb"TICKS vm=(\S+) vcpu=(\d+) reason=(\S+) count=(\d+) sum=(\d+) least=(\d+) "
                   rb"most=(\d+) log2=([0-9:,]*)")


def _read_reasons():
    pattern = re.compile(r'^EXIT\((\d+), (\w+),.*"([^"]*)"\)$', re.MULTILINE)
    with open(os.path.join(TOP, "arch", "x86", "vmx", "exits.def"), encoding="utf-8") as file:
        return {int(number): (name, doc) for number, name, doc in pattern.findall(file.read())}


REASONS = _read_reasons()


def reason_name(number):
    return REASONS[number][0] if number in REASONS else f"UNKNOWN_{number}"


def reason_number(text):
    """The reverse, for the command line. ValueError: there is none."""
    if text.isdigit():
        return int(text)
    for number, (name, _doc) in REASONS.items():
        if name.lower() == text.lower().replace("-", "_"):
            return number
    raise ValueError(f"no exit reason is called '{text}'; arch/x86/vmx/exits.def lists them")


class Vcpu:
    """What TRACE-BEGIN says of a vCPU."""

    def __init__(self, version, tsc_hz, start_tsc, first, count):
        self.version, self.tsc_hz, self.start_tsc = version, tsc_hz, start_tsc
        self.first, self.count = first, count


class Record:
    """One exit."""

    def __init__(self, fields):
        self.vm = fields[0].decode("utf-8", "replace")
        self.vcpu, self.number = int(fields[1]), int(fields[2])
        self.tsc, self.ticks, self.reason = int(fields[3], 16), int(fields[4]), int(fields[5])
        (self.rip, self.qualification, self.detail, self.value, self.injected, self.queued,
         self.next, self.flags) = (int(field, 16) for field in fields[6:])

    @property
    def basic_reason(self):
        return self.reason & 0xffff

    @property
    def name(self):
        return reason_name(self.basic_reason)


class Ticks:
    """One vCPU's exits of one reason, summed up by Trapline."""

    def __init__(self, fields):
        self.vm, self.vcpu = fields[0].decode("utf-8", "replace"), int(fields[1])
        self.name = fields[2].decode("utf-8", "replace")
        self.count, self.sum, self.least, self.most = (int(field) for field in fields[3:7])
        pairs = (pair.split(b":") for pair in fields[7].split(b",") if pair.count(b":") == 1)
        self.log2 = {int(bucket): int(count) for bucket, count in pairs if bucket and count}


class Dump:
    """All that a serial log holds. A vCPU whose ring was printed twice counts once, as it was last."""

    def __init__(self, data):
        self.vcpus, self.complaints, self.ticks = {}, [], []
        records, ticks, broken = {}, {}, 0
        for line in data.replace(b"\r", b"\n").split(b"\n"):
            if b"TRACE" in line:
                begin, record = BEGIN.search(line), RECORD.search(line)
                if begin:
                    key = begin.group(1).decode("utf-8", "replace"), int(begin.group(2))
                    self.vcpus[key] = Vcpu(int(begin.group(3)), int(begin.group(4)),
                                           int(begin.group(5), 16), int(begin.group(6)),
                                           int(begin.group(7)))
                    records[key] = {}
                    if self.vcpus[key].version != VERSION:
                        raise ValueError(f"the trace is of version {self.vcpus[key].version}, this "
                                         f"tool reads version {VERSION}")
                elif record:
                    exit_ = Record(record.groups())
                    records.setdefault((exit_.vm, exit_.vcpu), {})[exit_.number] = exit_
                elif re.search(rb"TRACE \S+ \d", line):
                    broken += 1
            elif b"TICKS vm=" in line:
                match = TICKS.search(line)
                if match:
                    row = Ticks(match.groups())
                    ticks[(row.vm, row.vcpu, row.name)] = row
        if broken:
            self.complaints.append(f"{broken} TRACE line{'s are' if broken > 1 else ' is'} damaged "
                                   "and left out")
        for key, vcpu in self.vcpus.items():
            if len(records[key]) != vcpu.count:
                self.complaints.append(f"{key[0]} vCPU {key[1]}: {len(records[key])} of "
                                       f"{vcpu.count} exits are there")
        self.ticks = list(ticks.values())
        self.records = sorted((record for by_number in records.values()
                               for record in by_number.values()),
                              key=lambda record: (record.tsc, record.vm, record.vcpu))

    def start_tsc(self, record):
        vcpu = self.vcpus.get((record.vm, record.vcpu))
        return vcpu.start_tsc if vcpu else 0

    def tsc_hz(self, record):
        vcpu = self.vcpus.get((record.vm, record.vcpu))
        return vcpu.tsc_hz if vcpu and vcpu.tsc_hz else 1000000


# --- what a record means -------------------------------------------------------------------------
def describe_event(information):
    kind, vector = information >> 8 & 7, information & 0xff
    text = EVENT_TYPES[kind] + ("" if kind == 2 else f" {vector}")
    if kind in (3, 5, 6) and vector in EXCEPTIONS:
        text += " " + EXCEPTIONS[vector]
    return text


def describe_qualification(record):
    """What the exit was about, in words; None where its reason says it all."""
    q, detail, value = record.qualification, record.detail, record.value
    reason = record.basic_reason
    if reason == 10:
        return f"leaf {detail & 0xffffffff:#x}.{detail >> 32:x}"
    if reason in (31, 32):
        return f"{detail & 0xffffffff:#x} = {value:#x}"
    if reason == 30:
        size = (q & 7) + 1
        text = f"{'rep ' if q >> 5 & 1 else ''}{'in' if q >> 3 & 1 else 'out'}" \
               f"{'s' if q >> 4 & 1 else ''} port {q >> 16 & 0xffff:#x}, {size} " \
               f"byte{'' if size == 1 else 's'}, "
        if q >> 4 & 1:
            return text + f"memory at {value:#x}"
        return text + f"{value & (1 << 8 * size) - 1:#x}"
    if reason == 28:
        register, gpr = f"cr{q & 15}", REGISTERS[q >> 8 & 15]
        return (f"mov {register}, {gpr} = {value:#x}", f"mov {gpr}, {register} = {value:#x}", "clts",
                f"lmsw {q >> 16 & 0xffff:#x}")[q >> 4 & 3]
    if reason == 29:
        register, gpr = f"dr{q & 7}", REGISTERS[q >> 8 & 15]
        pair = (gpr, register) if q >> 4 & 1 else (register, gpr)
        return f"mov {pair[0]}, {pair[1]} = {value:#x}"
    if reason == 48:
        access = " ".join(word for bit, word in ((0, "read"), (1, "write"), (2, "fetch"))
                          if q >> bit & 1)
        allowed = "".join(letter if q >> bit & 1 else "-" for bit, letter in
                          ((3, "r"), (4, "w"), (5, "x")))
        return f"{access} at GPA {detail:#x}, allowed {allowed}" + \
               (f", GLA {value:#x}" if q >> 7 & 1 else "")
    if reason == 49:
        return f"GPA {detail:#x}"
    if reason in (0, 1) and detail & EVENT_VALID:
        text = describe_event(detail & 0xffffffff)
        return text + (f", error code {detail >> 32:#x}" if detail >> 11 & 1 else "")
    return f"qualification {q:#x}" if q else None


def describe(record):
    parts = [record.name]
    if record.reason & ENTRY_FAILURE:
        parts[0] += " (VM entry failed)"
    about = describe_qualification(record)
    if about:
        parts[0] += ": " + about
    if record.injected & EVENT_VALID:
        parts.append("entered with " + describe_event(record.injected))
    if record.queued & EVENT_VALID:
        parts.append("queues " + describe_event(record.queued))
    if record.flags & OPEN:
        parts.append("its handler did not come back")
    elif NEXT_WORDS.get(record.next, "?"):
        parts.append(NEXT_WORDS.get(record.next, "?"))
    return "; ".join(parts)


# --- formats -------------------------------------------------------------------------------------
def as_text(records, dump):
    lines = [f"{'VM':<12} {'vCPU':>4} {'number':>9} {'time':>14} {'ticks':>8}  {'rip':<16}  exit"]
    for record in records:
        ticks = "-" if record.flags & OPEN else record.ticks
        lines.append(f"{record.vm:<12} {record.vcpu:>4} {record.number:>9} "
                     f"{record.tsc - dump.start_tsc(record):>14} {ticks:>8}  {record.rip:016x}  "
                     f"{describe(record)}")
    return "\n".join(lines) + "\n"


def _add_up(records, dump):
    """{(vm, reason): [count, sum, least, most]}: of the whole run where Trapline counted ticks, else
    of the exits that the ring still holds."""
    rows = {}
    counted = {(row.vm, row.vcpu) for row in dump.ticks}
    items = [(row.vm, row.name, row.count, row.sum, row.least, row.most) for row in dump.ticks]
    items += [(record.vm, record.name, 1, record.ticks, record.ticks, record.ticks)
              for record in records if (record.vm, record.vcpu) not in counted]
    for vm, name, count, total, least, most in items:
        row = rows.setdefault((vm, name), [0, 0, least, most])
        row[0] += count
        row[1] += total
        row[2], row[3] = min(row[2], least), max(row[3], most)
    return rows


def as_summary(records, dump):
    rows = _add_up(records, dump)
    whole = {}
    for (vm, _name), row in rows.items():
        whole[vm] = whole.get(vm, 0) + row[1]
    lines = [f"{'VM':<12} {'reason':<24} {'count':>9} {'ticks':>12} {'a exit':>8} {'least':>8} "
             f"{'most':>9} {'share':>7}"]
    for (vm, name), row in sorted(rows.items(), key=lambda item: (item[0][0], -item[1][1])):
        share = 100 * row[1] / whole[vm] if whole[vm] else 0
        lines.append(f"{vm:<12} {name:<24} {row[0]:>9} {row[1]:>12} {row[1] // row[0]:>8} "
                     f"{row[2]:>8} {row[3]:>9} {share:>6.1f}%")
    return "\n".join(lines) + "\n"


def as_json(records, dump):
    return {
        "version": VERSION,
        "vcpus": [{"vm": vm, "vcpu": number, "tsc_hz": vcpu.tsc_hz, "start_tsc": vcpu.start_tsc}
                  for (vm, number), vcpu in sorted(dump.vcpus.items())],
        "exits": [{"vm": r.vm, "vcpu": r.vcpu, "number": r.number,
                   "time_ticks": r.tsc - dump.start_tsc(r), "ticks": r.ticks, "reason": r.reason,
                   # As text: a reader that takes numbers for doubles would lose digits.
                   "name": r.name, "rip": hex(r.rip), "qualification": hex(r.qualification),
                   "detail": hex(r.detail), "value": hex(r.value), "injected": hex(r.injected),
                   "queued": hex(r.queued), "next": r.next, "advanced": bool(r.flags & ADVANCED),
                   "open": bool(r.flags & OPEN), "text": describe(r)} for r in records],
        "ticks": [{"vm": t.vm, "vcpu": t.vcpu, "name": t.name, "count": t.count, "sum": t.sum,
                   "least": t.least, "most": t.most,
                   "log2": {str(bucket): count for bucket, count in sorted(t.log2.items())}}
                  for t in dump.ticks],
    }


def as_chrome(records, dump):
    """The Trace Event Format: a VM is a process, a vCPU a thread, an exit a complete event."""
    vms = {vm: number for number, vm in enumerate(sorted({r.vm for r in records}), 1)}
    events = [{"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": "VM " + vm}}
              for vm, pid in vms.items()]
    for vm, vcpu in sorted({(r.vm, r.vcpu) for r in records}):
        events.append({"name": "thread_name", "ph": "M", "pid": vms[vm], "tid": vcpu,
                       "args": {"name": f"vCPU {vcpu}"}})
    for record in records:
        us = 1e6 / dump.tsc_hz(record)
        events.append({"name": record.name, "cat": "exit", "ph": "X", "pid": vms[record.vm],
                       "tid": record.vcpu,
                       "ts": round((record.tsc - dump.start_tsc(record)) * us, 3),
                       "dur": round(record.ticks * us, 3),
                       "args": {"what": describe(record), "rip": f"{record.rip:#x}",
                                "ticks": record.ticks, "number": record.number}})
    return {"traceEvents": events, "displayTimeUnit": "ns"}
