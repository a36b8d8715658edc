"""System tests of thin mode: the machine itself goes on as the guest. docs/thin.md.

A start-up message to a core that waits for it in a guest jumps, in every Bochs, out of the sending
core's instruction and into the other's loop. Bochs 2.7 does not come back from there, and of a
broadcast, as firmware sends it, only one core takes it: hence a newer one, and two cores."""
import re
import subprocess

from framework import Test

THIN = "mode = thin\nconsole = serial\n"
# The run ends with these words, which no command line holds in one piece.
DONE = "that is a''ll"
DONE_SEEN = r"^that is all"


def linux(run, options="quiet"):
    """A stock Debian kernel by its EFI stub, with trapctl in its initramfs."""
    return (THIN + "boot = \\vmlinuz\nboot-options = initrd=\\initrd.img initrd=\\thin.img "
            f"console=ttyS0 {options} cryptomgr.notests "
            f'trapline.run="insmod /lib/modules/$(uname -r)/msr.ko; {run}; echo {DONE}; sleep 9"\n')


def few_exits(text):
    """Until the shell: next to nothing but CPUID; and none while nothing is done."""
    found = re.search(r"^EXITS all=(\d+)", text, re.MULTILINE)
    if not found or not 100 < int(found.group(1)) < 3000:
        return f"{found.group(1) if found else 'no'} exits up to the shell"
    return None


def file_has(image, name, patterns):
    """What a file on the boot volume lacks, or None."""
    done = subprocess.run(["mtype", "-i", image, "::" + name], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        return done.stdout
    for pattern in patterns:
        if not re.search(pattern, done.stdout, re.MULTILINE):
            return f"{name} has no '{pattern}'"
    return None


TESTS = [
    # Everything that an owner does: look, leave, and work on; and what must not get through.
    Test("thin-debian", linux("thin-probe; trapctl; trapctl rate 2; trapctl caps; trapctl off; "
                              "trapctl; uname -a"),
         cpus=1, limit_s=200, until=DONE_SEEN, check=few_exits,
         expect=[r"configuration +thin mode", r"^Thin mode: 1 core; ",
                 r"guest is up", r"^thin-probe: 0 surprises", r"^0 +CPUID +\d+", r"^RATE exits=0 ",
                 r"^hidden bytes +0x[0-9a-f]+", r"^core 0 is out of VMX operation",
                 r"thin mode is not here", r"^Linux debian "],
         reject=[r"^FAIL ", r"PANIC|Kernel panic|Oops|\] (BUG|WARNING): "]),
    # A second one inside finds no VT-x, and leaves the first alone.
    Test("thin-shell-second-inside", THIN, cpus=1, limit_s=120,
         shell=["trapline.efi", "trapline.efi", "echo that was all"], until=r"^that was all",
         expect=[r"^Thin mode: 1 core; ", r"VT-x +this processor has no VT-x",
                 r"TRAPLINE: refused: this processor has no VT-x", r"^that was all"]),
    # What was recorded is still there after a reset, and is told by the next start.
    Test("thin-reset", linux("trapctl; reboot"), cpus=1, limit_s=200,
         until=r"The exits of the last start are in .trapline.thin\.txt",
         expect=[r"^EXITS all=", r"The exits of the last start are in"],
         volume=lambda image: file_has(image, "trapline/thin.txt",
                                       [r"^core 0  CPUID +\d{3,}", r"the last exits"])),
    # NMIs that come while exits are handled reach the guest, each once.
    Test("thin-debian-nmi", linux("taskset 2 thin-probe spin & sleep 1; i=0; "
                                  "while [ $i -lt 40 ]; do echo l >/proc/sysrq-trigger; "
                                  "i=$((i + 1)); done; grep NMI: /proc/interrupts; trapctl"),
         cpus=2, limit_s=600, until=DONE_SEEN, long=True, needs="bochs-3",
         expect=[r"^Thin mode: 2 cores; ", r"NMI: +0 +40 ", r"^1 +CPUID +\d{4,}"]),
    # Cores that go and come, a way out on all of them, and a reset.
    Test("thin-debian-smp", linux("cd /sys/devices/system/cpu; echo 0 >cpu1/online; "
                                  "echo 1 >cpu1/online; cat online; trapctl; trapctl off; "
                                  "echo 0 >cpu1/online; echo 1 >cpu1/online; cat online"),
         cpus=2, limit_s=600, until=DONE_SEEN, long=True, needs="bochs-3",
         expect=[r"^Thin mode: 2 cores; ", r"guest is up \(Linux \S+, 2 CPUs", r"^0-1$",
                 r"^1 +INIT +\d+", r"^1 +SIPI +\d+", r"^core 0 is out of VMX operation",
                 r"^core 1 is out of VMX operation", r"^0-1$"]),
    Test("thin-debian-stock", linux("trapctl; trapctl off; uname -a", "quiet"), cpus=2,
         limit_s=1200, until=DONE_SEEN, long=True, needs="bochs-3", kernel="amd64",
         expect=[r"^Thin mode: 2 cores; ", r"guest is up \(Linux \S+-amd64, 2 CPUs",
                 r"^core 1 is out of VMX operation", r"^Linux debian "]),
]
