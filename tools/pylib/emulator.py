"""The machines that Trapline can be run on here: Bochs, QEMU with nested KVM, QEMU without VT-x.

Each class knows how to find its program, what it can't do, and which files and command line start
it. None of them starts anything: tools/run and the tests do, through pylib.session.
"""
import os
import re
import shutil
import subprocess

FIXED_TIME = 1577836800  # 2020-01-01 00:00:00 UTC: what a deterministic run's clock shows
FIXED_IPS = 100_000_000  # and its instructions, and TSC ticks, a second
MB = 1 << 20
NET_ADDRESS = "52:54:00:12:34:56"  # locally administered

OVMF_2M = ("/usr/share/ovmf/OVMF.fd",)
OVMF_2M_PAIRS = (("/usr/share/OVMF/OVMF_VARS.fd", "/usr/share/OVMF/OVMF_CODE.fd"),
                 ("/usr/share/edk2/ovmf/OVMF_VARS.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd"))
OVMF_4M_PAIRS = (("/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_CODE_4M.fd"),
                 ("/usr/share/edk2/x64/OVMF_VARS.4m.fd", "/usr/share/edk2/x64/OVMF_CODE.4m.fd"))
# Secure Boot is on, and accepts what is signed with the key that the package publishes for tests.
OVMF_SECURE = ("/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")


class EmulatorError(Exception):
    """Why a machine can't be started, in words for the person who asked for it."""


class Settings:
    """What is wanted of a machine, whichever it is."""

    def __init__(self, cpus=1, memory_mb=1024, cpu_model=None, wall_clock=False, ips=None,
                 stick=False, read_only=False, secure_boot=False, monitor=None,
                 debugger=None, net=False):
        self.cpus, self.memory_mb, self.cpu_model = cpus, memory_mb, cpu_model
        self.wall_clock = wall_clock
        self.ips = ips
        self.stick, self.read_only = stick or read_only, read_only
        self.secure_boot = secure_boot
        self.monitor = monitor
        self.debugger = debugger  # commands for Bochs' debugger
        self.net = net


class Firmware:
    """An OVMF image: one file, or the two halves that make it up."""

    def __init__(self, parts):
        self.parts = parts
        self.size_bytes = sum(os.path.getsize(part) for part in parts)

    def as_file(self, work):
        """The path of the whole image; halves are joined into the folder `work`."""
        if len(self.parts) == 1:
            return self.parts[0]
        joined = os.path.join(work, "OVMF.fd")
        with open(joined, "wb") as output:
            for part in self.parts:
                with open(part, "rb") as file:
                    shutil.copyfileobj(file, output)
        return joined


def find_firmware(sizes_mb):
    """The first OVMF image of one of these sizes, in this order; None if there is none."""
    candidates = [(path,) for path in OVMF_2M] + list(OVMF_2M_PAIRS) + list(OVMF_4M_PAIRS)
    present = [Firmware(parts) for parts in candidates if all(map(os.path.isfile, parts))]
    for size in sizes_mb:
        for firmware in present:
            if firmware.size_bytes == size * MB:
                return firmware
    return None


class Plan:
    """All that starts a machine: command, environment, and files to write into its folder."""

    def __init__(self, argv, environment=None, files=None, log=None, prepare=None):
        self.argv = argv
        self.environment = environment or {}
        self.files = files or {}
        self.log = log
        self.prepare = prepare

    def show(self):
        lines = []
        for name, text in self.files.items():
            lines += [f"# {name}", text.rstrip("\n"), ""]
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        return "\n".join(lines + ["# command", " ".join(settings + self.argv)])


class Bochs:
    """Bochs: interprets every instruction, VMX included, the same on every machine."""

    kind = "bochs"
    has_vmx = True
    default_model = "corei7_skylake_x"

    def __init__(self, path=None):
        self.path = path or shutil.which("bochs")
        if not self.path:
            raise EmulatorError("bochs is missing; tools/setup run installs it")
        try:
            done = subprocess.run([self.path, "--help"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace", timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmulatorError(f"{self.path} does not start: {error}") from error
        match = re.search(r"Bochs x86 Emulator (\d+)\.(\d+)(\.devel)?", done.stdout)
        if not match:
            raise EmulatorError(f"{self.path} does not say that it is Bochs")
        self.version = (int(match.group(1)), int(match.group(2)))
        # With it OVMF learns of memory, processors and ACPI; it came on the way from 3.0 to 3.1.
        self.has_fw_cfg = self.version >= ((3, 0) if match.group(3) else (3, 1))
        # A build with the debugger stops at its prompt unless a file tells it to go on; from 3.0
        # on the debugger is asked for by an option of its own.
        options = re.findall(r"^\s*(-\w+) ", done.stdout, re.MULTILINE)
        self.has_debugger = "-rc" in options and "-debugger" not in options
        self.name = "Bochs %d.%d" % self.version + (match.group(3) or "")

    def _models(self):
        done = subprocess.run([self.path, "--help", "cpu"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=20, check=False)
        return [line.strip() for line in done.stdout.splitlines()
                if re.fullmatch(r"[a-z0-9_]+", line.strip())]

    def _check(self, settings):
        for wanted, name in ((settings.stick, "--stick and --read-only"),
                             (settings.secure_boot, "--secure-boot"),
                             (settings.monitor, "--monitor")):
            if wanted:
                raise EmulatorError(f"{name}: QEMU has that, {self.name} has not")
        if settings.cpus not in (1, 2, 4, 8):
            raise EmulatorError(f"--cpus {settings.cpus}: {self.name} has 1, 2, 4 or 8 processors")
        if settings.debugger and not self.has_debugger:
            raise EmulatorError(f"--debugger: {self.name} was built without its debugger")
        limit = 3072 if self.version < (3, 0) else 4096
        if not 256 <= settings.memory_mb <= limit:
            raise EmulatorError(f"--memory {settings.memory_mb}M: {self.name} gives 256M to "
                                f"{limit}M")
        model = settings.cpu_model or self.default_model
        if model not in self._models():
            raise EmulatorError(f"--cpu-model {model}: {self.name} does not know it; it knows "
                                + " ".join(self._models()))
        return model

    def _firmware(self):
        # 2.7 can't map the 4 MB image; from 3.0 on either will do.
        firmware = find_firmware((2,) if self.version < (3, 0) else (2, 4))
        if not firmware:
            wanted = "2 MB" if self.version < (3, 0) else "2 or 4 MB"
            raise EmulatorError(
                f"{self.name} needs OVMF as an image of {wanted}, and there is none under "
                "/usr/share/ovmf or /usr/share/OVMF. Debian 12's package ovmf has it; Debian 13 "
                "and Ubuntu 24.04 no longer do, so use Bochs 3 there (--bochs PATH), or the "
                "container (docker build -t trapline tools)")
        return firmware

    def _video_rom(self):
        share = os.path.join(os.path.dirname(os.path.dirname(self.path)), "share")
        for path in (os.path.join(share, "bochs", "VGABIOS-lgpl-latest"),
                     os.path.join(share, "bochs", "VGABIOS-lgpl-latest.bin"),
                     "/usr/share/bochs/VGABIOS-lgpl-latest", "/usr/share/vgabios/vgabios.bin",
                     "/usr/share/seabios/vgabios-stdvga.bin"):
            if os.path.isfile(path):
                return path
        raise EmulatorError("Bochs needs a VGA BIOS; install the package vgabios or seabios")

    def plan(self, settings, image, work, serial_port):
        """`serial_port`: where on 127.0.0.1 someone listens for the machine's COM1."""
        model = self._check(settings)
        firmware = self._firmware()
        clock = ("sync=slowdown, time0=utc" if settings.wall_clock
                 else f"sync=none, time0={FIXED_TIME}")
        # To keep up with the wall clock it may not promise more than an ordinary machine can hold.
        ips = settings.ips or FIXED_IPS
        if settings.wall_clock and not settings.ips and self.version >= (3, 0):
            ips = 2 * FIXED_IPS
        host_memory = min(settings.memory_mb, 2048)
        lines = [
            "config_interface: textconfig",
            "display_library: term",
            f"memory: guest={settings.memory_mb}, host={host_memory}",
            f"cpu: model={model}, count={settings.cpus}, ips={ips}, "
            "reset_on_triple_fault=0",
            f"romimage: file={firmware.as_file(work)}, "
            f"address={0x100000000 - firmware.size_bytes:#x}",
            f"vgaromimage: file={self._video_rom()}",
            "pci: enabled=1, chipset=i440fx",
            "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
            f"ata0-master: type=disk, path={image}, mode=flat",
            "boot: disk",
            f"clock: {clock}",
            # A socket, because Bochs opens a terminal device without blocking: it would lose
            # output that is not fetched in time, and input that the guest has no room for.
            f"com1: enabled=1, mode=socket-client, dev=127.0.0.1:{serial_port}",
            f"log: {os.path.join(work, 'bochs.log')}",
            "panic: action=fatal",
            "error: action=report",
            "info: action=ignore",
            "debug: action=ignore",
        ]
        if self.has_fw_cfg:
            lines.append("fw_cfg: enabled=1")
        if settings.net:
            # What its host gives by TFTP would lie in this folder.
            lines.append(f"e1000: enabled=1, mac={NET_ADDRESS}, ethmod=vnet, ethdev={work}")
        if settings.debugger:
            lines.append("magic_break: enabled=1")
        files = {"bochsrc": "\n".join(lines) + "\n"}
        argv = [self.path, "-q", "-f", os.path.join(work, "bochsrc")]
        if self.has_debugger:
            files["rc"] = settings.debugger or "c\n"
            argv += ["-rc", os.path.join(work, "rc")]

        def prepare():
            # Left behind by a run that was killed; with it Bochs refuses the disk.
            for lock in (image + ".lock",):
                if os.path.exists(lock):
                    os.unlink(lock)

        # Its screen is drawn on a terminal that nobody looks at; it only wants TERM to be set.
        return Plan(argv, {"TERM": "vt100"}, files, os.path.join(work, "bochs.log"), prepare)


class Qemu:
    """QEMU: with nested KVM the fast way, with TCG a machine without VT-x."""

    def __init__(self, kind):
        self.kind = kind
        self.has_vmx = kind == "kvm"
        self.path = shutil.which("qemu-system-x86_64")
        if not self.path:
            raise EmulatorError("qemu-system-x86_64 is missing; tools/setup run installs it")
        done = subprocess.run([self.path, "--version"], stdout=subprocess.PIPE, text=True,
                              timeout=20, check=False)
        match = re.search(r"version (\d+)\.(\d+)", done.stdout)
        self.version = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
        self.name = "QEMU %d.%d" % self.version + (" with KVM" if kind == "kvm" else
                                                  " (TCG, no VT-x)")

    @staticmethod
    def _firmware(settings, work):
        if not settings.secure_boot:
            firmware = find_firmware((2, 4))
            if not firmware:
                raise EmulatorError("OVMF is missing (package ovmf); tools/setup run installs it")
            return ["-machine", "q35", "-bios", firmware.as_file(work)]
        variables, code = OVMF_SECURE
        if not all(map(os.path.isfile, OVMF_SECURE)):
            raise EmulatorError("--secure-boot: " + " and ".join(OVMF_SECURE) + " are needed; "
                                "Debian's package ovmf has them")
        copy = os.path.join(work, "variables.fd")
        shutil.copyfile(variables, copy)
        # Only firmware in system-management mode may write to the flash.
        return ["-machine", "q35,smm=on",
                "-global", "driver=cfi.pflash01,property=secure,value=on",
                "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
                "-drive", f"if=pflash,format=raw,unit=1,file={copy}"]

    @staticmethod
    def _disk(settings, image):
        read_only = ",readonly=on" if settings.read_only else ""
        drive = ["-drive", f"file={image},format=raw,if=none,id=boot{read_only}"]
        if not settings.stick:
            return drive + ["-device", "ide-hd,drive=boot"]
        return drive + ["-device", "qemu-xhci", "-device", "usb-storage,id=stick,drive=boot"]

    def plan(self, settings, image, work, serial_port):
        monitor = f"unix:{settings.monitor},server=on,wait=off" if settings.monitor else "none"
        network = f"user,restrict=on,model=e1000,mac={NET_ADDRESS}" if settings.net else "none"
        argv = [self.path, *self._firmware(settings, work), "-accel", self.kind,
                "-m", str(settings.memory_mb), "-smp", str(settings.cpus),
                *self._disk(settings, image),
                "-chardev", f"socket,id=com1,host=127.0.0.1,port={serial_port}",
                "-serial", "chardev:com1",
                "-nic", network, "-display", "none", "-monitor", monitor, "-no-reboot"]
        model = settings.cpu_model or ("host" if self.kind == "kvm" else None)
        if model:
            argv += ["-cpu", model]
        if not settings.wall_clock:
            argv += ["-rtc", "base=2020-01-01T00:00:00"]
        return Plan(argv, log=os.path.join(work, "emulator.out"))


# A boot sector that asks CPUID for VMX and leaves by the debug-exit port with 0x10 or 0x11:
#   mov eax, 1; cpuid; shr ecx, 5; and cl, 1; mov al, cl; add al, 0x10; out 0xf4, al; jmp $
PROBE_CODE = bytes.fromhex("66b8010000000fa266c1e90580e10188c80410e6f4ebfe")
PROBE_LIMIT_S = 15


def nested_kvm_problem(work):
    """Why nested KVM can't be used here; None if it can. Starts a guest to know: a /dev/kvm may be
    there and not be able to."""
    if not os.path.exists("/dev/kvm"):
        return "there is no /dev/kvm"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm may not be used by this user (group kvm)"
    parameter = "/sys/module/kvm_intel/parameters/nested"
    if not os.path.exists(parameter):
        return "/dev/kvm is there, but not by kvm_intel, so its guests have no VT-x"
    with open(parameter, encoding="ascii") as file:
        if file.read().strip() not in ("Y", "1"):
            return f"{parameter} is off"
    if not shutil.which("qemu-system-x86_64"):
        return "qemu-system-x86_64 is missing"
    return probe_vmx(work, "kvm")


def probe_vmx(work, accelerator):
    """Runs PROBE_CODE; None if the guest sees VMX, else what was seen."""
    disk = os.path.join(work, "probe.img")
    with open(disk, "wb") as file:
        file.write(PROBE_CODE.ljust(510, b"\0") + b"\x55\xaa")
    argv = ["qemu-system-x86_64", "-accel", accelerator, "-m", "16", "-display", "none", "-nic",
            "none", "-serial", "none", "-monitor", "none", "-no-reboot",
            "-drive", f"file={disk},format=raw", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    if accelerator == "kvm":
        argv += ["-cpu", "host"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=PROBE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"a guest under KVM did not answer within {PROBE_LIMIT_S} s"
    if done.returncode == (0x11 << 1 | 1):
        return None
    if done.returncode == (0x10 << 1 | 1):
        return "CPUID in a guest shows no VMX"
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"a guest under KVM did not start ({last})"


def choose(host, work, bochs_path=None):
    """The emulator for --host, and a sentence about why. `work` is a folder for the probe."""
    if host == "bochs":
        return Bochs(bochs_path), None
    if host == "tcg":
        return Qemu("tcg"), None
    problem = nested_kvm_problem(work)
    if host == "kvm":
        if problem:
            raise EmulatorError(f"--host kvm: nested KVM can't be used: {problem}")
        return Qemu("kvm"), None
    if problem:
        return Bochs(bochs_path), f"nested KVM can't be used: {problem}"
    return Qemu("kvm"), None
