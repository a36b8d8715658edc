"""System tests of what shows exits: the trace, the monitor, the courses' CPUID leaves."""
import functools
import importlib.machinery
import importlib.util
import os
import re
import stat
import subprocess
import sys
import tempfile

from framework import Failure, TOP, Test

sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import trace  # noqa: E402

PROMPT = r"trapline> \x1b\[K"
SHELL = r"root@debian:/# "
OPEN = "\x01\r"
POWERED_OFF = r"RESULT vm=debian status=0 reason=\S+"


def debian(extra="", run=None, name="debian", initrd="initrd.img"):
    command = f' trapline.run="{run}"' if run else ""
    return (f"[vm {name}]\nmemory = 256M\nkernel = vmlinuz\ninitrd = {initrd}\n{extra}"
            f"cmdline = console=ttyS0 quiet cryptomgr.notests{command}\n")


def badguest(what, extra="", name="bad"):
    return f"[vm {name}]\nmemory = 64M\nkernel = badguest.elf\n{extra}cmdline = do={what}\n"


# --- the courses' leaves, read by Debian's own cpuid -----------------------------------------------
def unpacked_file(folder, name):
    """The file of this name, in /lib or in /usr/lib as the distribution has it."""
    found = [os.path.join(top, name) for top, _, names in os.walk(folder) if name in names]
    files = [path for path in found if os.path.isfile(path) and not os.path.islink(path)]
    if not files:
        raise Failure(f"the packages hold no file {name}")
    return files[0]


@functools.lru_cache(maxsize=None)
def cpuid_initrd():
    """The initramfs with Debian's packages cpuid and libc6 added: archives may follow each other."""
    loader = importlib.machinery.SourceFileLoader(
        "linux_build", os.path.join(TOP, "guest", "linux", "build"))
    spec = importlib.util.spec_from_loader("linux_build", loader)
    build = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(build)
    archive = build.Archive()
    for folder in ("lib", "lib/x86_64-linux-gnu", "lib64"):
        archive.directory(folder)
    with tempfile.TemporaryDirectory() as work:
        for package in ("cpuid", "libc6"):
            deb = subprocess.run([os.path.join(TOP, "tools", "debian-package"), package], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout.strip()
            subprocess.run(["dpkg-deb", "-x", deb, work], check=True)
        for target, name in (("bin/cpuid", "cpuid"),
                             ("lib/x86_64-linux-gnu/libc.so.6", "libc.so.6"),
                             ("lib64/ld-linux-x86-64.so.2", "ld-linux-x86-64.so.2")):
            with open(unpacked_file(work, name), "rb") as file:
                archive.add(target, stat.S_IFREG | 0o755, file.read())
    with open(os.path.join(TOP, "build", "guest", "initrd.img"), "rb") as file:
        return file.read() + archive.finish()


LEAF = re.compile(r"^ +0x(4fffff[0-9a-f]{2}) 0x([0-9a-f]+): eax=0x([0-9a-f]{8}) "
                  r"ebx=0x([0-9a-f]{8}) ecx=0x([0-9a-f]{8}) edx=0x([0-9a-f]{8})$", re.MULTILINE)
# Asked for each reason twice, reasons that the SDM does not define, and the totals in the end. All of
# them take a while: each is a program's start.
ALL_REASONS = list(range(70)) + [70, 200]
SOME_REASONS = [0, 1, 2, 7, 10, 12, 28, 30, 31, 32, 35, 38, 42, 48, 52, 55, 69, 70, 200]
READ_ALL = ("for n in 1 2; do for r in {reasons}; do for l in {leaves}; do "
            "cpuid -1 -r -l 0x$l -s $r; done; done; done; for l in {totals}; do "
            "cpuid -1 -r -l 0x$l -s 35; done")
# layout: leaves by reason (exits, then ticks), leaves of totals (exits, then ticks)
LAYOUTS = {
    "s21": (("4ffffffe", None), ("4fffffff", "4fffffff")),
    "f21": (("4ffffffd", "4ffffffc"), ("4fffffff", "4ffffffe")),
    "f22": (("4ffffffe", "4fffffff"), ("4ffffffc", "4ffffffd")),
}
UNDEFINED = (0, 0, 0, 0xffffffff)


def counters(text):
    """What Trapline said at the end: exits and ticks by reason."""
    exits = {}
    line = re.search(r"EXITS vm=debian vcpu=0 total=(\d+)(.*)", text)
    if not line:
        return None, None
    for name, count in re.findall(r" (\w+)=(\d+)", line.group(2)):
        exits[trace.reason_number(name)] = int(count)
    ticks = {trace.reason_number(row.name): row.sum for row in trace.Dump(text.encode()).ticks}
    return exits, ticks


def compare_reason(reason, what, first, second, final):
    """Counters only grow, and those of exits that do not happen any more stay."""
    if not first <= second <= final:
        return f"{what} of reason {reason}: {first}, then {second}, and {final} at the end"
    # These happen while a kernel boots, and never again.
    if reason == 55 and second != final:
        return f"{what} of reason {reason}: {second}, and {final} at the end"
    return None


def check_leaves(layout, reasons, text):
    (exits_leaf, ticks_leaf), (all_exits_leaf, all_ticks_leaf) = LAYOUTS[layout]
    reads = {}
    for leaf, subleaf, *registers in LEAF.findall(text):
        reads.setdefault((leaf, int(subleaf, 16)), []).append(tuple(int(r, 16) for r in registers))
    exits, ticks = counters(text)
    if exits is None:
        return "there is no EXITS line"
    seen = 0
    for reason in reasons:
        for leaf, final, what in ((exits_leaf, exits, "exits"), (ticks_leaf, ticks, "ticks")):
            if leaf is None:
                continue
            values = reads.get((leaf, reason), [])
            if len(values) < 2:
                return f"leaf {leaf} of reason {reason} was read {len(values)} times"
            if reason not in trace.REASONS or reason > 69:
                if values[0] != UNDEFINED:
                    return f"leaf {leaf} of reason {reason}, which is undefined: {values[0]}"
                continue
            numbers = [eax if what == "exits" else ebx << 32 | ecx
                       for eax, ebx, ecx, edx in values[:2]]
            if any(edx for _, _, _, edx in values):
                return f"leaf {leaf} of reason {reason}: EDX is not 0"
            problem = compare_reason(reason, what, *numbers, final.get(reason, 0))
            if problem:
                return problem
            seen += numbers[1] > 0
    if seen < 5:
        return f"only {seen} counters were above 0"
    total = reads[(all_exits_leaf, 35)][-1]
    total_exits, total_ticks = total[0], reads[(all_ticks_leaf, 35)][-1]
    total_ticks = total_ticks[1] << 32 | total_ticks[2]
    before = sum(reads[(exits_leaf, r)][1][0] for r in reasons if r in exits)
    if not before < total_exits <= sum(exits.values()):
        return f"all exits: {total_exits}, not from {before} to {sum(exits.values())}"
    if not 0 < total_ticks <= sum(ticks.values()):
        return f"all ticks: {total_ticks}, and {sum(ticks.values())} at the end"
    return None


def leaves_test(layout, long):
    leaves, totals = LAYOUTS[layout]
    reasons = ALL_REASONS if long else SOME_REASONS
    command = READ_ALL.format(reasons=" ".join(map(str, reasons)),
                              leaves=" ".join(leaf for leaf in leaves if leaf),
                              totals=" ".join(dict.fromkeys(totals)))
    return Test(f"leaves-{layout}-by-debian-cpuid",
                "console = serial\n" + debian(f"cpuid-leaves = {layout}\n", run=command,
                                              initrd="initrd-cpuid.img"),
                files={"initrd-cpuid.img": cpuid_initrd}, limit_s=500 if long else 240,
                long=long, expect=[POWERED_OFF],
                check=functools.partial(check_leaves, layout, reasons))


# --- the trace -----------------------------------------------------------------------------------
def check_dump(text):
    dump = trace.Dump(text.encode())
    if dump.complaints:
        return "; ".join(dump.complaints)
    if len(dump.records) != 1024:
        return f"{len(dump.records)} exits in the ring; expected 1024"
    numbers = [record.number for record in dump.records]
    if numbers != list(range(numbers[0], numbers[0] + 1024)):
        return "the ring has gaps"
    exits, ticks = counters(text)
    if sum(exits.values()) != numbers[-1] + 1:
        return f"{numbers[-1] + 1} exits recorded, {sum(exits.values())} counted"
    counts = {trace.reason_number(row.name): row.count for row in dump.ticks}
    if counts != exits or set(ticks) != set(exits):
        return "the ticks' counts differ from the exits'"
    if any(not row.least <= row.sum // row.count <= row.most for row in dump.ticks):
        return "a mean lies outside of least and most"
    # The end of every run: the power-off by ACPI.
    if "out port 0x604, 2 bytes, 0x3401" not in trace.describe(dump.records[-1]):
        return f"the last exit is {trace.describe(dump.records[-1])}"
    return None


# --- the monitor ----------------------------------------------------------------------------------
def at_prompt(*pairs):
    """Dialogue: each command, and what must come before the next prompt."""
    steps = []
    for command, pattern in pairs:
        steps.append((PROMPT, command + "\r"))
        if pattern:
            steps.append((pattern, ""))
    return steps


TESTS = [
    leaves_test("f22", long=False),
    leaves_test("s21", long=True),
    leaves_test("f21", long=True),

    Test("trace-dump",
         "console = serial\n" + debian("trace = dump\naccounting = on\n", run="true"),
         expect=[r"TRACE-BEGIN debian 0 version=1 ", r"TRACE-END debian 0", POWERED_OFF],
         check=check_dump),

    Test("trace-on-triple-fault",
         "console = serial\n" + badguest("triple-fault", "trace = on\n"), status=254, limit_s=90,
         expect=[r"vm bad vCPU 0: triple fault", r"the last exits, the latest last",
                 r"time +ticks +rip +exit", r"IO_INSTRUCTION \(30\): out port 0x3f8, 1 byte, 0x",
                 r"TRIPLE_FAULT \(2\)", r"RESULT vm=bad status=254 reason=crash"],
         reject=[r"TRACE-BEGIN"]),

    Test("monitor-commands",
         "console = serial\n" + debian("trace = on\naccounting = on\n"),
         limit_s=300,
         dialogue=[(SHELL, OPEN)] + at_prompt(
             ("", None),
             ("help", r"caps \[true\] \[CORE\] +what VMX can do"),
             ("vms", r"0 debian +running +1 +256MB .*has the keyboard"),
             ("exits", r"CPUID +\d+ +\d+ +\d+ +\d+\.\d% +\+\d+"),
             ("exits debian", r"CPUID +\d+ +\d+ +\d+ +\d+\.\d% +\+0"),
             ("trace 3", r"debian vCPU 0: \d+ exits recorded\r\n +time"),
             ("regs", r"rip [0-9a-f]{16}  rflags [0-9a-f]{8}  cpl"),
             ("vmcs debian link", r"VMCS_LINK_POINTER +ffffffffffffffff"),
             ("ept 0x1000", r"host-physical 0x[0-9a-f]+, in a page of \d+ KB, rights rwx, type WB"),
             ("ept fee00000", r"not mapped: an access is an EPT violation"),
             # Where the boot loader's parameters lie is RAM; the ACPI tables' signature is known.
             ("mem e0000 16 phys", r"00000000000e0000  52 53 44 20 50 54 52 20 .*RSD PTR "),
             ("disas 0.0", r"[0-9a-f]{16}  ([0-9a-f]{2} )+ +\S+"),
             ("caps", r"  HLT exiting: Can set=Yes, Can clear=Yes\r\n"),
             ("mitigations", r"mitigations = auto on Skylake server .*(?s:.*)branch target injection +VULNERABLE +microcode without IBRS"),
             ("log 4", r"1 of 1 VMs are ready"),
             ("nonsense", r"no command 'nonsense'"),
             ("quit", r"\(back to the guest\)")) + [
                 ("", "uname\r"), (r"\nLinux\r\n", ""), (SHELL, "poweroff\r")],
         expect=[POWERED_OFF]),

    Test("monitor-pause-step-break",
         "console = serial\n" + debian(), limit_s=300,
         dialogue=[(SHELL, "while :; do :; done\r"), (r"done\r\n", OPEN)] + at_prompt(
             ("", None),
             ("step", r"debian runs; 'pause' it first"),
             ("resume", r"debian: it is not paused"),
             ("pause", r"debian: paused"),
             ("vms", r"0 debian +paused"),
             ("step", r"vm debian vCPU 0: step to [0-9a-f]{16} "),
             ("step 3", r"(?s)step to .*step to .*step to "),
             ("break exit cpuid", None),
             ("break", r"vCPU 0: at exits CPUID"),
             ("resume", r"debian: runs"),
             ("quit", r"\(back to the guest\)")) + [
                 ("", "\x03"), (SHELL, "busybox true\r"),
                 (r"vm debian vCPU 0: exit CPUID at [0-9a-f]{16}  cpuid", OPEN)] + at_prompt(
             ("", None),
             ("vms", r"0 debian +paused"),
             ("break clear", None),
             ("break", None),
             ("resume", r"debian: runs"),
             ("quit", r"\(back to the guest\)")) + [(SHELL, "poweroff\r")],
         expect=[POWERED_OFF]),

    # Ctrl-A twice is the guest's: at its shell, the start of the line.
    Test("monitor-ctrl-a-for-the-guest",
         "console = serial\n" + debian(),
         dialogue=[(SHELL, "cho guest-got-it"), ("cho guest-got-it", "\x01\x01e\r"),
                   (r"\nguest-got-it\r\n", ""), (SHELL, "poweroff\r")],
         expect=[POWERED_OFF]),

    # What is typed may be anything: the VM and the monitor go on.
    Test("monitor-nonsense",
         "console = serial\n" + debian(),
         dialogue=[(SHELL, OPEN),
                   (PROMPT, "\x1b[[[99999999~" + "x" * 300 + "\x15\x17\x0b\x1bOZ\x02\x7f\r"),
                   (PROMPT, "mem ffffffffffffffff 99999999999999999999 phys\r"),
                   (PROMPT, "mem ffffffffffffffff 4096\r"), (r"not mapped, or no RAM", ""),
                   (PROMPT, "mem ffffffffffffffff 4096 phys\r"), (r"no RAM", ""),
                   (PROMPT, "ept ffffffffffffffff\r"), (r"is beyond the 48 bits", ""),
                   (PROMPT, "regs debian.7\r"), (r"rip ", ""),
                   (PROMPT, "disas 0 18446744073709551615\r"), (r"\r\n", ""),
                   (PROMPT, "break exit 35\r"), (r"break \[VM\]", ""),
                   (PROMPT, "a b c d e f g h i j k l m\r"), (r"no command takes more than 8", ""),
                   (PROMPT, "caps 99\r"), (r"'99' is no core", ""),
                   (PROMPT, "\x04"), (r"back to the guest", "uname\r"), (r"\nLinux\r\n", ""),
                   (SHELL, "poweroff\r")],
         expect=[POWERED_OFF]),

    # Panes on a serial line, and a fault of our own: where, registers, who called, what the guest did
    # last, the other core. Whatever pane is shown, all of that is.
    Test("panes-and-panic",
         "console = serial\n" + badguest("spin", "trace = on\n", "one") +
         badguest("spin", "trace = on\n", "two"), status=125, cpus=2,
         limit_s=40,
         dialogue=[(r"are ready", ""), (r"\[one\] badguest: spin", "\x014"),
                   (r"--- 4 one ---\r\nbadguest: spin", "\x015"),
                   (r"--- 5 two ---\r\nbadguest: spin", "\x013"),
                   (r"--- 3 log ---\r\n(.*\r\n)*.*are ready\r\n", OPEN),
                   (r"--- 2 monitor ---", ""), (PROMPT, "view\r"),
                   (r"  1 all\r\n  2 monitor\r\n  3 log\r\n  4 one\r\n  5 two\r\n", ""),
                   (PROMPT, "view 9\r"), (r"no pane '9'", ""), (PROMPT, "view two\r"),
                   (r"--- 5 two ---", OPEN), (PROMPT, "\x04"), (r"--- 5 two ---", OPEN),
                   (PROMPT, "panic\r"), (r"'panic now' ends everything", ""),
                   (PROMPT, "panic fault\r"), (r"PANIC: halted", "")],
         expect=[r"PANIC on core 0: #PF page fault, error code 0x2",
                 r"write at address 0x7ffffffff000, which is not mapped",
                 r"at run_panic\+0x[0-9a-f]+ \(text\+0x[0-9a-f]+\), code [0-9a-f]{8} at 0x",
                 r"rax [0-9a-f]{16} rbx ", r"cs 0x[0-9a-f]+ ss ",
                 r"perhaps from \S+\+0x", r"called from operator_key\+0x",
                 r"called from core_run\+0x",
                 r"vm \S+ vCPU 0 at 0x[0-9a-f]+, last exit [A-Z]", r"core 1 is stopped at \S+\+0x", r"PANIC: halted"]),

    # A VM on another core: its state is asked for there.
    Test("monitor-two-vms",
         "console = serial\n" + debian("trace = on\n", name="one") + debian(name="two"),
         cpus=2, memory="1024M", limit_s=400, long=True,
         dialogue=[(r"\[two\] .*guest is up", ""), (SHELL, OPEN)] + at_prompt(
             ("", None),
             ("regs", r"which VM\?"),
             ("vms", r"0 one +running"),
             ("regs one", r"one vCPU 0, core \d: "),
             ("regs two", r"two vCPU 0, core \d: "),
             ("vmcs two.0 rip", r"GUEST_RIP +[0-9a-f]{16}"),
             ("pause two", r"two: paused"),
             ("vms", r"1 two +paused"),
             ("resume two", r"two: runs"),
             ("caps", r"core 1: the same as the one before"),
             ("keyboard two", r"two: has the keyboard"),
             ("quit", r"\(back to the guest\)")) + [
                 ("", "poweroff\r"), (r"RESULT vm=two status=0", "\r"), (SHELL, "poweroff\r")],
         expect=[r"RESULT vm=two status=0", r"RESULT vm=one status=0"]),
]
