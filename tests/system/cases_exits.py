"""How many exits a boot takes, and that the platform which takes few of them is a whole one."""
import os
import re

from cases import debian
from framework import TOP, Test

MOST_ACCESSES = 500   # to ports and devices, without those that show characters


def example(name):
    with open(os.path.join(TOP, "examples", name), encoding="utf-8") as file:
        return file.read()


def guest_characters(text):
    """What the guest has shown: everything that is not a line of ours, after VMs are ready."""
    shown = text.split("VMs are ready", 1)[-1].replace("\r", "").split("\n")[1:]
    return sum(len(line) + 2 for line in shown if line and not line.startswith("["
               ) or re.match(r"\[ +\d+\.\d+\]", line))


def check_boot(text):
    line = re.search(r"EXITS vm=debian vcpu=0 total=(\d+)(.*)", text)
    if not line:
        return "there is no EXITS line"
    count = {name: int(number) for name, number in re.findall(r" (\w+)=(\d+)", line.group(2))}
    accesses = count.get("IO_INSTRUCTION", 0) + count.get("EPT_VIOLATION", 0)
    # A character is a look at LSR and a write to THR.
    accesses -= 2 * guest_characters(text)
    if accesses > MOST_ACCESSES:
        return f"{accesses} accesses to ports and devices"
    return None


def smp_selftest(extra=""):
    return (f"console = serial\n[vm s]\nvcpus = 2\nmemory = 64M\nkernel = selftest.elf\n{extra}"
            "cmdline = only=smp,lapic\n")


PASSED = [r"^\d+ passed, 0 failed, \d+ skipped$", r"RESULT vm=s status=0 reason=debug-exit"]

TESTS = [
    # A loop of PAUSEs ends the turn of a vCPU that shares its core, and only of such a one.
    Test("pause-loops-of-2-on-1-core", smp_selftest(), cpus=1,
         expect=[PASSED[0], r"EXITS vm=s vcpu=0 .* PAUSE=\d{3,}", PASSED[1]]),
    Test("halts-that-poll", smp_selftest("halt-poll = 1000\n"), cpus=2, expect=PASSED,
         reject=[r"EXITS .* PAUSE="]),

    Test("boot-exits", example("boot-exits.cfg"), expect=[r"RESULT vm=debian status=0 reason=debug-exit"],
         check=check_boot),

    # The console's interrupt comes, there is a date, PCI is found, and the power goes off.
    Test("debian-reduced",
         debian(run="cat /proc/interrupts; ls /sys/bus/pci/devices; date +%Y")
         .replace("kernel =", "platform = reduced\nkernel ="),
         expect=[r"^ +\d+: +[1-9]\d* +IO-APIC +4-edge +ttyS0", r"^0000:00:00\.0$", r"^20[1-9]\d$",
                 r"RESULT vm=debian status=0 reason=power-off"]),
]
