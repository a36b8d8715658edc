"""What silicon charges for, counted from a trace of Bochs' debugger: of each operation that the bench
guest marks, the instructions of the hypervisor between an exit and the entry after it.

The trace is of the program as it is released; nothing in it counts. Bochs prints an instruction a
line and, below it, each access to memory. Its own accesses to the VMCS and to page tables are not
counted: a processor keeps them elsewhere.
"""
import re
import subprocess

MARKS_MAX = 250
# So often is an operation marked. The shortest counts: the first time it is news, and now and then
# something else comes along.
TIMES = 5
# To the mark where an operation begins; then with the trace to the one where it ends.
COMMANDS = "c\n" + "trace on\ntrace-mem on\nc\ntrace off\ntrace-mem off\nc\n" * MARKS_MAX
LINE_BYTES = 64

INSTRUCTION = re.compile(r"^\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]+:([0-9a-f]+) \([^)]*\): "
                         r"(.*?) +; ([0-9a-f]+)$")
ACCESS = re.compile(r"^\[CPU0 \w\w\]: LIN 0x[0-9a-f]+ PHY 0x([0-9a-f]+) \(len=(\d+)")
MARK = "6687db"

FIELDS = ("vmread", "vmwrite", "wrmsr", "invalidate", "locked", "data_lines", "code_lines")
# Those that no change elsewhere in the program moves.
EXACT_FIELDS = ("exits", "vmread", "vmwrite", "wrmsr", "invalidate", "locked")
TITLES = ("VMREAD", "VMWRITE", "WRMSR", "INVxxx", "locked", "data", "code")


def kind_of(text, code):
    """The field that an instruction counts in, or None."""
    name = text.split()[0]
    if name in ("vmread", "vmwrite", "wrmsr"):
        return name
    if name in ("invept", "invvpid"):
        return "invalidate"
    if name == "lock" or code.startswith("f0") or (name == "xchg" and "[" in text):
        return "locked"
    return None


def lines_of(address, count):
    return range(address // LINE_BYTES, (address + count - 1) // LINE_BYTES + 1)


class Operation:
    """Counts of one marked operation."""

    def __init__(self):
        self.counts = dict.fromkeys(FIELDS[:5], 0)
        self.instructions = 0
        self.exits = 0
        self.data, self.code = set(), set()
        self.path = []  # addresses

    def take(self, address, text, code):
        self.instructions += 1
        self.path.append(address)
        kind = kind_of(text, code)
        if kind:
            self.counts[kind] += 1
        self.code.update(lines_of(address, len(code) // 2))

    def result(self):
        return {"exits": self.exits, "instructions": self.instructions, **self.counts,
                "data_lines": len(self.data), "code_lines": len(self.code)}


def exit_point(program):
    """The address of the exit point within its page: the program is loaded at a page's start."""
    done = subprocess.run(["nm", program], stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[2] == "vmx_exit_point":
            return int(fields[0], 16)
    raise ValueError(f"{program} has no exit point")


def operations(lines, point):
    """An Operation for each pair of marks. `point`: see exit_point."""
    done, current, in_host = [], None, False
    for line in lines:
        if line.startswith("[CPU0"):
            match = current and in_host and ACCESS.match(line)
            if match:
                current.data.update(lines_of(int(match.group(1), 16), int(match.group(2))))
            continue
        match = INSTRUCTION.match(line.rstrip("\n"))
        if not match:
            continue
        address, text, code = int(match.group(1), 16), match.group(2), match.group(3)
        if current is None:
            current, in_host = Operation(), False
        if not in_host and address & 0xfff == point & 0xfff:
            in_host = True
            current.exits += 1
        if in_host:
            current.take(address, text, code)
            in_host = text.split()[0] != "vmresume"
        elif code == MARK:
            done.append(current)
            current = None
    return done


def count(trace_path, program):
    with open(trace_path, encoding="utf-8", errors="replace") as file:
        found = operations(file, exit_point(program))
    return [min(found[i:i + TIMES], key=lambda operation: operation.instructions).result()
            for i in range(0, len(found), TIMES)]
