"""What tools/run does once python3 is there: build, fetch the guest, make the disk image, start."""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import config as config_file  # noqa: E402
from pylib import diskimage, emulator, session  # noqa: E402

BUILD = os.path.join(TOP, "build")
RUNS = os.path.join(BUILD, "run")
STATUS_CANNOT_START = 2
# With nested KVM Trapline speaks within seconds; a KVM that has not got there by now never will.
KVM_MARKER_LIMIT_S = 60

DESCRIPTION = """\
Runs Trapline and the guests that a config names. Without an argument: installs what is missing
(asking first), builds, gets a stock Debian kernel, makes an initramfs and a disk image, and starts
a Debian guest whose console is this terminal. `poweroff` ends it; Ctrl-A X leaves at once. Every
other key goes to the guest, Ctrl-A with another key included.
"""
EPILOG = """\
clock: with a terminal as standard input and without --serial the machine keeps wall-clock time.
Otherwise it is deterministic: the same image gives the same output, tick for tick (Bochs, one
processor); the guest then gets no input, and its clock says 2020-01-01. --clock overrides this.

exit status: that of the first virtual machine that ended with one other than 0, as Trapline's line
"RESULT vm=<name> status=<n> reason=<word>" says; 0 if all ended with 0, or on Ctrl-A X, or when the
pattern of --until came; 124 when a time limit ended it; 125 when the machine ended without a RESULT
line, or Trapline panicked; 126 when Trapline refused to start on it; 2 when it could not be started.
"""


def fail(message):
    print(f"tools/run: {message}", file=sys.stderr)
    sys.exit(STATUS_CANNOT_START)


def memory_mb(text):
    size = config_file.parse_size(text)
    if not size or size % emulator.MB:
        raise argparse.ArgumentTypeError(f"'{text}' is no size; expected one like 1024M or 2G")
    return size // emulator.MB


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 1 or more")
    return int(text)


def pattern(text):
    try:
        return re.compile(text, re.MULTILINE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no regular expression: {error}")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tools/run", description=DESCRIPTION, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--config", default=os.path.join(TOP, "examples", "debian.cfg"), metavar="FILE",
        help="the trapline.cfg (default: examples/debian.cfg)")
    add("--path", action="append", default=[], metavar="FOLDER",
        help="look for the config's files here too; repeatable")
    add("--host", choices=("auto", "kvm", "bochs", "tcg"), default="auto",
        help="the machine: nested KVM, Bochs, or QEMU without VT-x (default: KVM if it can, "
             "else Bochs)")
    add("--cpus", type=positive, metavar="N", help="processors (default: what the config needs)")
    add("--memory", type=memory_mb, metavar="M",
        help="memory, like 2G (default: what the config needs, at least 1024M)")
    add("--cpu-model", metavar="NAME", help="the machine's processor model (Bochs: "
        f"{emulator.Bochs.default_model})")
    add("--timeout", type=float, metavar="S", help="end it after this many seconds")
    add("--cpu-timeout", type=float, metavar="S",
        help="end it when the emulator has used this many seconds of processor time")
    add("--serial", metavar="FILE", help="write all of the serial output to this file, and show "
        "none of it")
    add("--until", type=pattern, metavar="REGEX", help="end it when the serial output matches")
    add("--clock", choices=("auto", "wall", "fixed"), default="auto",
        help="wall-clock time or deterministic (default: see below)")
    add("--ips", type=positive, metavar="N", help="Bochs: instructions a second of its clock")
    add("--kernel", choices=("cloud", "amd64"), default="cloud",
        help="Debian kernel flavour that the name vmlinuz stands for (default: cloud)")
    add("--efi", default=os.path.join(BUILD, "BOOTX64.EFI"), metavar="FILE",
        help="the EFI program to start (default: build/BOOTX64.EFI)")
    add("--bochs", metavar="PATH", help="the Bochs to use (default: the one on the path)")
    add("--image", metavar="FILE", help="start from this disk image instead of making one")
    add("--add", action="append", default=[], type=diskimage.addition, metavar="NAME=FILE",
        help="put this file on the boot volume too, at this name; repeatable")
    add("--stick", action="store_true", help="the disk is a USB stick (QEMU)")
    add("--read-only", action="store_true", help="a USB stick that can't be written to (QEMU)")
    add("--secure-boot", action="store_true",
        help="firmware with Secure Boot on, which accepts what tools/sign --test-key signed (QEMU)")
    add("--monitor", metavar="SOCKET", help="QEMU's own monitor, on a socket of that name")
    add("--debugger", metavar="FILE", help="Bochs, where it has its debugger: commands for it; the "
        "instruction `xchg bx, bx` stops for the next one")
    add("--net", action="store_true", help="an e1000 network card, and behind it a network that the "
        "emulator plays, with a host that answers DHCP and ping; nothing outside is reached")
    add("--stay", action="store_true",
        help="when Trapline goes back to firmware, stay with it")
    add("--shell", metavar="FILE",
        help="let firmware start its shell, which runs this script; Trapline is trapline.efi")
    add("--allow-missing", action="store_true",
        help="start although the config names files that are not there")
    add("--no-config", action="store_true",
        help="leave trapline.cfg out of the image (to test Trapline's answer)")
    add("--no-build", action="store_true", help="use what is built and fetched already")
    add("--keep", metavar="FOLDER", help="leave image, emulator configuration and logs here")
    add("--print", action="store_true", dest="show",
        help="show the emulator's configuration and command, and start nothing")
    add("--yes", "-y", action="store_true", help="do not ask before a command is run as root")
    return parser.parse_args()


# --- making ready ------------------------------------------------------------------------------
def call(command, what):
    """Runs a step of the build; its output is shown if it fails."""
    done = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode:
        sys.stderr.write(done.stdout[-8000:])
        fail(f"{what} failed (`{' '.join(command)}`); its output is above")


def note(message):
    print(f"tools/run: {message}", file=sys.stderr)


def build(options, parsed):
    """The EFI program, and of Debian's files those that the config names."""
    if os.path.abspath(options.efi) == os.path.join(BUILD, "BOOTX64.EFI"):
        if not os.path.exists(options.efi):
            note("building Trapline")
        call(["make", "-s", f"-j{os.cpu_count() or 1}"], "the build")
    beside = os.path.dirname(os.path.abspath(options.config))
    wanted = {diskimage.volume_path(mention.path) for mention in parsed.mentions
              if not diskimage.find_file(mention.path, [beside, *options.path])}
    if any(name and name.endswith(".elf") for name in wanted):
        call(["make", "-s", "guests"], "building the guest programs")
    flavour = os.path.join(BUILD, "guest", options.kernel)
    if "vmlinuz" in wanted:
        if not os.path.exists(os.path.join(flavour, "vmlinuz")):
            note("getting Debian's kernel (it is unpacked under build/, not installed)")
        call([os.path.join(TOP, "tools", "kernel"), options.kernel], "getting Debian's kernel")
    if "EFI/debian/grubx64.efi" in wanted:
        call([os.path.join(TOP, "tools", "grub")], "getting Debian's GRUB")
    if wanted & {"thin.img", "modules.img"}:
        call(["make", "-s", "trapctl"], "building trapctl")
        call([os.path.join(TOP, "guest", "linux", "build"), "--thin"], "building the initramfs")
    elif "initrd.img" in wanted:
        call([os.path.join(TOP, "guest", "linux", "build")], "building the initramfs")


def make_image(options, work):
    if options.image:
        if not os.path.isfile(options.image):
            fail(f"--image {options.image}: no such file")
        return options.image
    folders = [os.path.dirname(os.path.abspath(options.config)), *options.path,
               os.path.join(BUILD, "guest", options.kernel), os.path.join(BUILD, "guest")]
    files = diskimage.collect(options.config, folders, options.allow_missing)
    image = os.path.join(work, "disk.img")
    diskimage.build(image, options.efi, None if options.no_config else options.config, files,
                    dict(options.add), options.shell)
    return image


def remove_stale_runs():
    """Folders of runs that were killed before they could clean up."""
    for name in os.listdir(RUNS):
        match = re.match(r"(\d+)-", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            shutil.rmtree(os.path.join(RUNS, name), ignore_errors=True)


def make_work_folder(options):
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
        return os.path.abspath(options.keep)
    os.makedirs(RUNS, exist_ok=True)
    remove_stale_runs()
    return tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=RUNS)


def read_debugger_commands(path):
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        return fail(f"--debugger {path}: {error.strerror}")


def choose_settings(options, parsed, interactive):
    """What the config needs, where the command line does not say."""
    cpus = options.cpus
    if cpus is None:
        cpus = 1
        while cpus < min(max(parsed.vcpus, default=1), 8):
            cpus *= 2
    memory = options.memory
    if memory is None:
        needed = sum(parsed.memory_bytes) // emulator.MB + 384
        memory = min(max(1024, -(-needed // 256) * 256), 3072)
    wall = interactive if options.clock == "auto" else options.clock == "wall"
    return emulator.Settings(cpus, memory, options.cpu_model, wall, options.ips, options.stick,
                             options.read_only, options.secure_boot, options.monitor,
                             read_debugger_commands(options.debugger), options.net)


# --- running -----------------------------------------------------------------------------------
def run_once(options, machine, settings, work, image, parsed, interactive, limit=None):
    """One start of one machine, with its console. Returns the session when it is over."""
    current = session.Session(machine, settings, image, work)
    terminal = session.Terminal() if interactive else None
    progress = session.Progress(f"{machine.name} is starting")
    write = None
    if not options.serial:
        output = sys.stdout.buffer

        def write(chunk):
            output.write(chunk)
            output.flush()

    serial_file = open(options.serial, "wb") if options.serial else None
    try:
        if terminal:
            terminal.enter()
        current.start()
        current.run(limit or options.timeout, write, terminal.descriptor if terminal else None,
                    progress, options.until, parsed.vm_names, serial_file,
                    options.stay, options.cpu_timeout)
    finally:
        progress.wipe()
        if current.process:
            current.kill()
        if terminal:
            terminal.leave()
        if serial_file:
            serial_file.close()
    return current


def wait_for_marker(options, machine, settings, work, image, parsed):
    """Whether Trapline gets as far as its first line on a machine that --host auto has chosen."""
    probe = session.Session(machine, settings, image, work)
    try:
        probe.start()
        probe.run(KVM_MARKER_LIMIT_S, until=re.compile("Trapline"))
    finally:
        if probe.process:
            probe.kill()
    return probe.transcript.marker_at is not None


def conclude(current, options, kept):
    """Says how it ended and returns the exit status."""
    machine = current.emulator.name
    status = current.transcript.status()
    outcome = current.outcome
    if outcome == "left":
        note("left by Ctrl-A X")
        return 0
    if outcome == "until":
        return 0
    shown = not options.serial and current.transcript.marker_at is not None
    if outcome == "timeout":
        limits = [f"{name} {limit:g} s" for name, limit in
                  (("--timeout", options.timeout), ("--cpu-timeout", options.cpu_timeout)) if limit]
        note("ended after " + " or ".join(limits))
        explain(current, shown, kept)
        return session.STATUS_TIMEOUT
    if outcome == "refused":
        note(f"Trapline refused to start: {current.transcript.refusal}")
        return session.STATUS_REFUSED
    if outcome == "panic":
        note("Trapline panicked; its report is in the serial output"
             + (f" ({options.serial})" if options.serial else " above"))
        return session.STATUS_NO_RESULT
    if outcome == "triple fault":
        note(f"{machine}: the machine itself had a triple fault")
        explain(current, shown, kept)
        return session.STATUS_NO_RESULT
    if status is None:
        note(f"{machine} ended without a RESULT line from Trapline")
        explain(current, shown, kept)
        return session.STATUS_NO_RESULT
    if outcome == "stuck":
        note(f"all guests have ended, yet the machine did not power off within "
             f"{session.GRACE_S} s; ended it")
    return status


def explain(current, shown, kept):
    """The last that was heard, for someone who wonders why."""
    if not shown:
        tail = session.plain(bytes(current.transcript.data)).strip().splitlines()[-12:]
        if tail:
            print("the end of its serial output:", file=sys.stderr)
            for line in tail:
                print(f"  {line}", file=sys.stderr)
    tail = current.log_tail()
    if tail:
        print(f"the end of what {current.emulator.name} itself said:", file=sys.stderr)
        for line in tail:
            print(f"  {line}", file=sys.stderr)
    if kept:
        print(f"all of it is in {kept}", file=sys.stderr)


def main():
    options = parse_arguments()
    try:
        beside = os.path.dirname(os.path.abspath(options.config))
        parsed = diskimage.read_all(options.config, [beside, *options.path])
    except OSError as error:
        fail(f"--config {options.config}: {error.strerror}; examples/ has some to start from")
    interactive = sys.stdin.isatty() and not options.serial
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))
    settings = choose_settings(options, parsed, interactive)
    if options.show:
        return show(options, settings)
    if not options.no_build:
        build(options, parsed)
    work = make_work_folder(options)
    keep = bool(options.keep)
    try:
        machine, why = emulator.choose(options.host, work, options.bochs)
        image = make_image(options, work)
        if machine.kind == "kvm" and options.host == "auto" and \
                not wait_for_marker(options, machine, settings, work, image, parsed):
            machine = emulator.Bochs(options.bochs)
            why = f"nested KVM did not get to Trapline within {KVM_MARKER_LIMIT_S} s"
        if why:
            note(f"on {machine.name} ({why})")
        if not interactive and not (options.serial or options.timeout or options.cpu_timeout or
                                    options.until):
            note("standard input is no terminal, so the guest gets no input")
        current = run_once(options, machine, settings, work, image, parsed, interactive)
        status = conclude(current, options, options.keep)
    except (emulator.EmulatorError, diskimage.ImageError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        status = 130
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)
    return status


def show(options, settings):
    """--print: what would be started, with the folder of the run as RUN."""
    with tempfile.TemporaryDirectory() as work:
        try:
            machine, why = emulator.choose(options.host, work, options.bochs)
            plan = machine.plan(settings, os.path.join(work, "disk.img"), work, 0)
        except emulator.EmulatorError as error:
            fail(str(error))
        text = plan.show().replace(work, os.path.join(RUNS, "RUN"))
        print(f"# {machine.name}" + (f" ({why})" if why else ""))
        print(text.replace("127.0.0.1:0", "127.0.0.1:PORT").replace("port=0", "port=PORT"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
