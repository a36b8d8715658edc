"""System tests of thin mode: the machine itself goes on as the guest. docs/thin.md.

A start-up message to a core that waits for it in a guest jumps, in every Bochs, out of the sending
core's instruction and into the other's loop. Bochs 2.7 does not come back from there, and of a
broadcast, as firmware sends it, only one core takes it: hence a newer one, and two cores."""
import os
import re
import subprocess
import time

from framework import TOP, Test

THIN = "mode = thin\nconsole = serial\n"
# The run ends with these words, which no command line holds in one piece.
DONE = "that is a''ll"
DONE_SEEN = r"^that is all"


# The boot volume, by the kernel's own driver.
MOUNT = ("modprobe -a ata_piix sd_mod vfat nls_cp437 nls_ascii; "
         "until [ -e /dev/sda ]; do sleep 1; done; mount -t vfat /dev/sda /root")


def linux(run, options="quiet"):
    """A stock Debian kernel by its EFI stub, with trapctl in its initramfs."""
    images = "initrd=\\initrd.img initrd=\\thin.img"
    if "modprobe" in run:
        images += " initrd=\\modules.img"
    return (THIN + f"boot = \\vmlinuz\nboot-options = {images} "
            f"console=ttyS0 {options} cryptomgr.notests "
            f'trapline.run="insmod /lib/modules/$(uname -r)/msr.ko; {run}; echo {DONE}; sleep 9"\n')


# Until it surely sleeps, by the clock.
ASLEEP_S = 40
# Bochs tells a TSC of 3.5 GHz where it has leaf 15H, and ticks at 100 MHz: a second of the guest's
# clock is then 35. This model has no such leaf, and its kernel measures.
NO_TSC_LEAF = "corei7_haswell_4770"
WRITE = MOUNT + "; echo written inside >/root/inside.txt; sync"
READ = "dd if=/dev/sda of=/dev/null bs=4k iflag=direct"
# What the devices did before and behind a second's exits.
WATCH = ("sleep 0.5; grep -E 'ata_|eth' /proc/interrupts; trapctl rate 1; "
         "grep -E 'ata_|eth' /proc/interrupts")
NETWORK = ("modprobe e1000; ip link set eth0 up; udhcpc -n -q; "
           "tftp -g -r bochsrc -l /tmp/got 192.168.10.1; grep ethmod /tmp/got")


def devices(cpus, bochs):
    """A disk and a network card, at work while no exit happens."""
    return Test(
        f"thin-debian-devices-{cpus}",
        linux(f"{WRITE}; {NETWORK}; trapctl; ping -q -i 0.05 -c 100 192.168.10.1 & {READ} & "
              f"{WATCH}; wait; trapctl rate 2; trapctl off"),
        cpus=cpus, limit_s=900, until=DONE_SEEN, long=True, needs=bochs, kernel="amd64",
        arguments=["--net"], cpu_model=NO_TSC_LEAF, volume=was_written,
        expect=[f"^Thin mode: {cpus} core", r"^eth0 has 192\.168\.10\.\d+ from 192\.168\.10\.1",
                r"^e1000: .*ethmod=vnet", r"^RATE exits=0 ", r" 0% packet loss",
                r"^RATE exits=0 ", f"^core {cpus - 1} is out of VMX operation"],
        reject=[r"PANIC|Kernel panic|Oops|\] (BUG|WARNING): "],
        check=lambda text: worked(text, "ata_piix") or worked(text, "eth0"))


def stock(cpus, bochs):
    return Test(
        f"thin-debian-stock-{cpus}", linux("trapctl; trapctl off; uname -a"), cpus=cpus,
        limit_s=900, until=DONE_SEEN, long=True, needs=bochs, kernel="amd64",
        expect=[f"^Thin mode: {cpus} core", fr"guest is up \(Linux \S+-amd64, {cpus} CPU",
                f"^core {cpus - 1} is out of VMX operation", r"^Linux debian "],
        reject=[r"PANIC|Kernel panic|Oops|\] (BUG|WARNING): "])


# GRUB puts an argument with spaces in quotes as a whole, and escapes those that are in it.
FROM_GRUB = (f"insmod /lib/modules/$(uname -r)/msr.ko; trapctl; trapctl rate 1; trapctl off; "
             f"echo {DONE}; sleep 9").replace("''", "${none}").replace(" ", "${IFS}")
GRUB_CFG = f"""\
set timeout=0
menuentry Debian {{
    echo GRUB loads the kernel
    linux /vmlinuz console=ttyS0 quiet cryptomgr.notests 'trapline.run={FROM_GRUB}'
    initrd /initrd.img /thin.img
}}
"""


def from_grub(cpus, bochs):
    """Debian's GRUB, its menu, and the kernel that it loads from the boot volume."""
    guest = os.path.join(TOP, "build", "guest")
    arguments = []
    for name, path in (("EFI/debian/grub.cfg", "{folder}/grub.cfg"),
                       ("vmlinuz", os.path.join(guest, "cloud", "vmlinuz")),
                       ("initrd.img", os.path.join(guest, "initrd.img")),
                       ("thin.img", os.path.join(guest, "thin.img"))):
        arguments += ["--add", f"{name}={path}"]
    return Test(
        f"thin-grub-{cpus}", THIN + "boot = \\EFI\\debian\\grubx64.efi\n", cpus=cpus, limit_s=600,
        until=DONE_SEEN, long=True, needs=bochs, files={"grub.cfg": GRUB_CFG.encode()},
        arguments=arguments, cpu_model=NO_TSC_LEAF,
        expect=[f"^Thin mode: {cpus} core", r"Welcome to GRUB", r"GRUB loads the kernel",
                fr"guest is up \(Linux \S+, {cpus} CPU", r"^RATE exits=0 ",
                f"^core {cpus - 1} is out of VMX operation"],
        reject=[r"PANIC|Kernel panic|Oops|\] (BUG|WARNING): "])


def worked(text, device):
    """What is wrong if the device did not interrupt between WATCH's two looks. Each look has a line
    for each of its interrupts, with the counts of all cores."""
    counts = [sum(int(word) for word in line.split()[1:] if word.isdigit())
              for line in text.splitlines() if line.endswith(" " + device)]
    half = len(counts) // 2
    if sum(counts[half:]) < sum(counts[:half]) + 10:
        return f"{device} interrupted {sum(counts[:half])} times, a second later {sum(counts[half:])}"
    return None


def log_has(image, pattern):
    """What the emulator's own log lacks, or None."""
    with open(os.path.join(os.path.dirname(image), "bochs.log"), encoding="utf-8",
              errors="replace") as file:
        return None if re.search(pattern, file.read()) else f"Bochs' log has no '{pattern}'"


def was_written(image):
    return file_has(image, "inside.txt", ["^written inside"])


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
    Test("thin-debian", linux("thin-probe; trapctl; trapctl rate 2; trapctl caps; "
                              "trapctl trace | tail -n 1; trapctl; trapctl off; trapctl; uname -a"),
         cpus=1, limit_s=200, until=DONE_SEEN, check=few_exits,
         expect=[r"configuration +thin mode", r"^Thin mode: 1 core; ",
                 r"guest is up", r"^thin-probe: 0 surprises", r"^0 +CPUID +\d+", r"^RATE exits=0 ",
                 r"^hidden bytes +0x[0-9a-f]+", r"^TRACE-END thin 0", r"^0 +WRMSR ",
                 r"^core 0 is out of VMX operation", r"thin mode is not here", r"^Linux debian "],
         # No exit takes 100,000 ticks, also not the one that switches recording on again.
         reject=[r"^FAIL ", r"^0 +[A-Z_]+ +\d+ +\d+ +\d{6,}$",
                 r"PANIC|Kernel panic|Oops|\] (BUG|WARNING): "]),
    # Hypercalls, and unusual accesses to the port of the hot key, by a program of firmware's; then a
    # second one inside finds no VT-x, and leaves the first alone.
    Test("thin-shell-second-inside", THIN + "hot-key = serial\nboot = \\thin-call.efi\n", cpus=1,
         limit_s=120, files={"thin-call.efi": "build/thin-call.efi"},
         shell=["trapline.efi", "trapline.efi", "echo that was all"], until=r"^that was all",
         expect=[r"^Thin mode: 1 core; ", r"^by a string$", r"^ok +thin-call: 0 surprises",
                 r"VT-x +this processor has no VT-x",
                 r"TRAPLINE: refused: this processor has no VT-x", r"^that was all"]),
    Test("thin-shell-2", THIN, cpus=2, limit_s=120, long=True, needs="bochs-3",
         shell=["trapline.efi", "trapline.efi", "echo that was all"], until=r"^that was all",
         expect=[r"^Thin mode: 2 cores; ", r"TRAPLINE: refused: this processor has no VT-x",
                 r"^that was all"]),
    # Commands among what is typed to the system: they are Trapline's, the rest is the system's, Ctrl-A
    # typed twice included; and what has nothing to do with the port takes no exits still.
    Test("thin-hot-key", THIN + "hot-key = serial\nboot = \\vmlinuz\nboot-options = "
         "initrd=\\initrd.img initrd=\\thin.img console=ttyS0 quiet cryptomgr.notests\n",
         cpus=1, limit_s=200,
         dialogue=[(r"root@debian:/# ", "\x01?"), (r"Ctrl-A: itself\r\n", "echo o\x01"),
                   (r"echo o", "ene\r"), (r"\nCPUID +\d+\r\n", ""), (r"\none\r\n.*# ", "\x01t"),
                   (r"core 0: .*\r\n.*IO_INSTR", "\x01c"),
                   (r"hidden 0x[0-9a-f]+ from", "echo g''o; cat -v\r"),
                   (r"\ngo\r\n", "x\x01\x01y\r"), (r"x\^Ay\r\nx\^Ay\r\n", "\x04"),
                   (r"# ", "trapctl rate 2; echo that is a''ll\r")],
         until=DONE_SEEN, expect=[r"^RATE exits=\d\d? ", DONE_SEEN]),
    # What was recorded is still there after a reset, and is told by the next start.
    Test("thin-reset", linux("trapctl; reboot"), cpus=1, limit_s=200,
         until=r"The exits of the last start are in .trapline.thin\.txt",
         expect=[r"^EXITS all=", r"The exits of the last start are in"],
         volume=lambda image: file_has(image, "trapline/thin.txt",
                                       [r"^core 0  CPUID +\d{3,}", r"the last exits"])),
    # The power goes off as the chipset does it: Bochs ends (hence no RESULT). 2.7 shows no ACPI, without
    # which no kernel knows how.
    Test("thin-debian-power-off", linux("trapctl; poweroff"), status=125, cpus=2, limit_s=300,
         long=True, needs="bochs-3", expect=[r"^EXITS all=", r"reboot: Power down"],
         volume=lambda image: log_has(image, "ACPI control: soft power off")),
    Test("thin-debian-reset-smp", linux("trapctl; reboot"), cpus=2, limit_s=300, long=True,
         needs="bochs-3", until=r"The exits of the last start are in[\s\S]*^Thin mode: 2 cores",
         expect=[r"^EXITS all=", r"The exits of the last start are in", r"^Thin mode: 2 cores; "],
         volume=lambda image: file_has(image, "trapline/thin.txt",
                                       [r"^core 0  CPUID +\d{3,}", r"^core 1  CPUID +\d{3,}"])),
    # NMIs that come while exits are handled reach the guest, each once.
    Test("thin-debian-nmi", linux("taskset 2 thin-probe spin & sleep 1; i=0; "
                                  "while [ $i -lt 40 ]; do echo l >/proc/sysrq-trigger; "
                                  "i=$((i + 1)); done; grep NMI: /proc/interrupts; trapctl"),
         cpus=2, limit_s=600, until=DONE_SEEN, long=True, needs="bochs-3",
         expect=[r"^Thin mode: 2 cores; ", r"NMI: +0 +40 ", r"^1 +CPUID +\d{4,}"]),
    # Cores that go and come, a way out on all of them, and the same again.
    Test("thin-debian-smp", linux("cd /sys/devices/system/cpu; "
                                  "replug() { for n in cpu[1-9]; do echo 0 >$n/online; done; "
                                  "cat online; for n in cpu[1-9]; do echo 1 >$n/online; done; "
                                  "cat online; }; "
                                  "trapctl; replug; trapctl; trapctl off; replug; trapctl"),
         cpus=2, limit_s=600, until=DONE_SEEN, long=True, needs="bochs-3", cpu_model=NO_TSC_LEAF,
         expect=[r"^Thin mode: 2 cores; ", r"guest is up \(Linux \S+, 2 CPUs", r"^1 +INIT +2 ",
                 r"^0$", r"^0-1$", r"^1 +INIT +3 ", r"^1 +SIPI +3 ",
                 r"^core 0 is out of VMX operation", r"^core 1 is out of VMX operation",
                 r"^0$", r"^0-1$", r"thin mode is not here"]),
    # The boot volume is written by the guest's own driver; and the disk works while nothing exits.
    Test("thin-debian-disk", linux(WRITE + f"; {READ} & {WATCH}; wait"), cpus=1, limit_s=200,
         until=DONE_SEEN, cpu_model=NO_TSC_LEAF, check=lambda text: worked(text, "ata_piix"),
         expect=[r"^Thin mode: 1 core; ", r"^RATE exits=0 "], volume=was_written),
    # Sleep up to the last step, where only the chipset's part is left out: the other core unplugged and
    # started again, with what the kernel saves and restores of the boot core.
    Test("thin-debian-suspend", linux("cd /sys/power; trapctl; "
                                      "echo 1 >/sys/module/suspend/parameters/pm_test_delay; "
                                      "for t in freezer devices platform processors core; do "
                                      "echo $t >pm_test; echo mem >state && echo passed $t; done; "
                                      "trapctl; trapctl rate 1; trapctl off; "
                                      "echo mem >state && echo passed off"),
         cpus=2, limit_s=600, until=DONE_SEEN, long=True, needs="bochs-3", kernel="amd64",
         cpu_model=NO_TSC_LEAF,
         expect=[r"^Thin mode: 2 cores; ", r"^EXITS all=", r"^passed freezer", r"^passed devices",
                 r"^passed platform", r"^passed processors", r"^passed core", r"^1 +INIT +4 ",
                 r"^RATE exits=0 ", r"^core 1 is out of VMX operation", r"^passed off"],
         reject=[r"PANIC|Kernel panic|Oops|\] (BUG|WARNING): "]),
    # Out of s2idle, in which the cores wait with their clocks stopped, by a key on the serial line.
    Test("thin-debian-s2idle", linux("echo enabled >/sys/class/tty/ttyS0/power/wakeup; "
                                     "echo going to sl''eep; sleep 0.5; "
                                     "echo freeze >/sys/power/state && echo awa''ke; "
                                     "trapctl; trapctl rate 1; trapctl off"),
         cpus=2, limit_s=600, long=True, needs="bochs-3", cpu_model=NO_TSC_LEAF, until=DONE_SEEN,
         dialogue=[(r"\ngoing to sleep", lambda folder: time.sleep(ASLEEP_S)), ("", "\r")],
         expect=[r"^Thin mode: 2 cores; ", r"^awake", r"^RATE exits=0 ",
                 r"^core 1 is out of VMX operation"]),
    stock(1, None), stock(2, "bochs-3"), devices(1, None), devices(2, "bochs-3"),
    from_grub(1, None), from_grub(2, "bochs-3"),
]
