"""The system tests, as a list. What the words mean stands at framework.Test."""
import os

from framework import TOP, Test

BANNER = r"^Trapline: Debian guest is up \(Linux \S+, 1 CPU, \d+ MB\)$"
PROMPT = r"root@debian:/# "
POWERED_OFF = r"RESULT vm=debian status=0 reason=\S+"


def debian(run=None, vcpus=1, memory="512M", extra=""):
    """A config with one Debian guest; `run` is a command for it instead of a shell."""
    command = f' trapline.run="{run}"' if run else ""
    return (f"console = serial\n"
            f"[vm debian]\n"
            f"vcpus = {vcpus}\n"
            f"memory = {memory}\n"
            f"kernel = vmlinuz\n"
            f"initrd = initrd.img\n"
            f"cmdline = console=ttyS0 quiet cryptomgr.notests{extra}{command}\n")


TESTS = [
    Test("debian-cloud-uname",
         debian(run="uname -a"),
         expect=[BANNER, r"^Linux debian 6\.\S+-cloud-amd64 .* x86_64 GNU/Linux$", POWERED_OFF]),

    # As a Windows editor saves it: byte-order mark, CRLF.
    Test("debian-cloud-status",
         b"\xef\xbb\xbf" + debian(run="exit 7").replace("\n", "\r\n").encode(), status=7,
         expect=[BANNER, r"^trapline\.run: ended with status 7$",
                 r"RESULT vm=debian status=7 reason=\S+"]),

    Test("debian-cloud-shell",
         debian(),
         dialogue=[(PROMPT, "uname -a\r"),
                   (r"Linux debian \S+-cloud-amd64 .*GNU/Linux\r\n", ""),
                   (PROMPT, "sleep 1000\r"),
                   (r"sleep 1000\r\n", "\x03"),
                   (PROMPT, "poweroff\r")],
         expect=[POWERED_OFF]),

    Test("debian-amd64-uname",
         debian(run="uname -a"), kernel="amd64", limit_s=400,
         expect=[BANNER, r"^Linux debian 6\.\S+-amd64 .* x86_64 GNU/Linux$", POWERED_OFF]),

    # On a machine without VT-x Trapline says so and gives the firmware back as it was: its shell
    # works, and the application can be started again.
    Test("no-vmx-refusal",
         debian(), host="tcg", status=126, limit_s=90,
         expect=[r"^TRAPLINE: refused: .*VT-x"]),
    Test("no-vmx-firmware-goes-on",
         debian(), host="tcg", status=125, limit_s=120, arguments=["--stay"],
         dialogue=[(r"TRAPLINE: refused: .*VT-x", ""),
                   (r"Shell> ", "FS0:\\EFI\\BOOT\\BOOTX64.EFI\r"),
                   (r"TRAPLINE: refused: .*VT-x", ""),
                   (r"Shell> ", "reset -s\r")]),

    Test("debian-cloud-nested-kvm",
         debian(run="uname -a"), host="kvm", needs="kvm", limit_s=120,
         expect=[BANNER, POWERED_OFF]),
]

# --- bad input: each is answered in one clear line -----------------------------------------------
REFUSED = 126
EVEN_MISSING = ["--allow-missing"]


def one_vm(*lines):
    return "\n".join(["[vm a]", *lines, ""])


def start_of(path, count):
    """The first bytes of a file that exists when the test runs: a copy that was broken off."""
    def read():
        with open(os.path.join(TOP, path), "rb") as file:
            return file.read(count)
    return read


def damaged_image():
    """What was built, with one bit changed in the middle: as a worn stick may give it."""
    with open(os.path.join(TOP, "build", "BOOTX64.EFI"), "rb") as file:
        image = bytearray(file.read())
    image[len(image) // 2] ^= 1
    return bytes(image)


TESTS += [
    Test("image-damaged", one_vm("kernel = k"), status=REFUSED, limit_s=90, host="tcg",
         arguments=EVEN_MISSING, files={"damaged.efi": damaged_image}, efi="damaged.efi",
         expect=[r"TRAPLINE: refused: this file is damaged; write it to the stick once more"]),
    Test("config-missing", one_vm("kernel = k"), status=REFUSED, limit_s=90,
         arguments=EVEN_MISSING + ["--no-config"],
         expect=[r"TRAPLINE: refused: .*trapline\.cfg.* is not on the boot volume"]),
    Test("config-empty", "", status=REFUSED, limit_s=90, arguments=EVEN_MISSING,
         expect=[r"TRAPLINE: refused: .*trapline\.cfg.* is empty"]),
    Test("config-syntax-error", one_vm("memory = 64M", "what is this", "kernel = k"),
         status=REFUSED, limit_s=90, arguments=EVEN_MISSING,
         expect=[r"TRAPLINE: refused: .*trapline\.cfg.* 3: found 'what is this'; expected "]),
    Test("config-unknown-key", one_vm("memory = 64M", "colour = red", "kernel = k"),
         status=REFUSED, limit_s=90, arguments=EVEN_MISSING,
         expect=[r"TRAPLINE: refused: .*trapline\.cfg.* 3: found .*colour.*; expected "]),
    Test("config-utf16", b"\xff\xfe" + one_vm("kernel = k").encode("utf-16-le"),
         status=REFUSED, limit_s=90, arguments=EVEN_MISSING,
         expect=[r"TRAPLINE: refused: .*UTF-16"]),
    Test("kernel-missing", one_vm("memory = 64M", "kernel = nowhere"),
         status=REFUSED, limit_s=90, arguments=EVEN_MISSING,
         expect=[r"TRAPLINE: refused: .*nowhere.* is not on the boot volume"]),
    Test("kernel-empty", one_vm("memory = 64M", "kernel = k"), files={"k": b""},
         status=REFUSED, limit_s=90, expect=[r"TRAPLINE: refused: .*'k'.* empty"]),
    Test("more-memory-than-there-is", one_vm("memory = 8G", "kernel = k"),
         files={"k": b"not reached"}, memory="1024M",
         status=REFUSED, limit_s=90, expect=[r"TRAPLINE: refused: \d+ MB are free, and the guests .*need 8\d+ MB"]),
    Test("more-vcpus-than-a-vm-may-have", one_vm("vcpus = 1000", "memory = 64M", "kernel = k"),
         files={"k": b"not reached"}, cpus=1,
         status=REFUSED, limit_s=90, expect=[r"TRAPLINE: refused: .* 2: found .*1000"]),
    # What only the loader sees ends that VM; others would go on.
    Test("kernel-foreign", one_vm("memory = 64M", "kernel = k"), files={"k": b"a text\n" * 999},
         status=253, limit_s=90,
         expect=[r"vm a: k: found .*; expected a Linux bzImage",
                 r"RESULT vm=a status=253 reason=not-started"]),
    Test("kernel-truncated", one_vm("memory = 64M", "kernel = k"), status=253, limit_s=90,
         files={"k": start_of("build/guest/cloud/vmlinuz", 100000)},
         expect=[r"vm a: k: a bzImage of 100000 bytes that is cut off: ", r"RESULT vm=a status=253 reason=not-started"]),
    Test("multiboot-truncated", one_vm("memory = 64M", "kernel = k"), status=253, limit_s=90,
         files={"k": start_of("build/guest/selftest.elf", 9000)},
         expect=[r"vm a: k: an ELF file whose segment .* does not lie in its 9000 bytes", r"RESULT vm=a status=253 reason=not-started"]),
    # The other VM goes on to its end.
    Test("kernel-foreign-beside-a-good-one",
         "console = serial\n" + one_vm("memory = 64M", "kernel = k") +
         "[vm good]\nmemory = 32M\nkernel = selftest.elf\ncmdline = only=cpuid\n",
         files={"k": b"a text\n" * 999}, status=253, limit_s=120,
         expect=[r"RESULT vm=a status=253 reason=not-started",
                 r"RESULT vm=good status=0 reason=debug-exit"]),
    Test("initrd-too-large", one_vm("memory = 96M", "kernel = vmlinuz", "initrd = i"),
         files={"i": bytes(48 << 20)}, status=253, limit_s=120,
         expect=[r"error: vm a: i: ", r"RESULT vm=a status=253 reason=not-started"]),
]

# --- starting over ---
# A kernel that reboots by a triple fault, on two processors.
TESTS.append(Test("debian-triple-fault-reboot",
                  debian(vcpus=2, extra=" reboot=t") + "triple-fault = reset\n", cpus=2,
                  limit_s=900, long=True,
                  dialogue=[(PROMPT, "echo b > /proc/sysrq-trigger\r"), (PROMPT, "poweroff\r")],
                  expect=[r"triple fault$", r"vm debian: reset", POWERED_OFF]))

# --- several processors ------------------------------------------------------------------------
SMP_BANNER = r"^Trapline: Debian guest is up \(Linux \S+, 2 CPUs, \d+ MB\)$"

TESTS += [
    Test("debian-amd64-smp", debian(run="nproc", vcpus=2), cpus=2, kernel="amd64", limit_s=500,
         expect=[SMP_BANNER, r"^2$", POWERED_OFF], long=True),
    Test("debian-cloud-smp", debian(run="nproc", vcpus=2), cpus=2, limit_s=400,
         expect=[r"memory: \d+ MB more, left behind by firmware's boot services", SMP_BANNER,
                 r"^2$", POWERED_OFF]),
    Test("debian-cloud-smp-one-core", debian(run="nproc", vcpus=2), cpus=1, limit_s=400,
         expect=[SMP_BANNER, r"^2$", POWERED_OFF]),
    # Linux finds the registers that it needs, and uses them while two vCPUs change places.
    Test("debian-mitigations-full",
         "mitigations = full\n" +
         debian(run="cat /sys/devices/system/cpu/vulnerabilities/spectre_v2", vcpus=2),
         cpus=1, cpu_model="corei7_icelake_u", limit_s=500, long=True,
         expect=[SMP_BANNER, r"^Mitigation: Enhanced / Automatic IBRS; IBPB: conditional",
                 POWERED_OFF]),
    # Each has its own end, and the first that is not 0 is the machine's.
    Test("two-vms",
         debian(run="exit 3") + debian(run="uname -r").split("\n", 1)[1].replace("debian]", "other]"),
         limit_s=400, status=3,
         expect=[r"RESULT vm=\S+ status=\d reason=", r"RESULT vm=\S+ status=\d reason="]),
]

# --- processor models and cores ----------------------------------------------------------------
# The processor models and core counts that a change of the exit path may break differently.
for model in ("corei7_haswell_4770", "corei3_cnl", "corei7_icelake_u"):
    TESTS.append(Test(f"debian-cloud-{model}", debian(run="uname -a"), cpu_model=model,
                      expect=[BANNER, POWERED_OFF], long=model == "corei3_cnl"))
for cores in (2, 4):
    TESTS.append(Test(f"debian-cloud-{cores}-cores", debian(run="uname -a"), cpus=cores,
                      limit_s=400, expect=[BANNER, POWERED_OFF], long=cores == 4))
# A processor without x2APIC mode and pages of 1 GB: cores are reached by the APIC's register page.
TESTS.append(Test("selftest-no-x2apic", "console = serial\n[vm a]\nmemory = 32M\n"
                  "kernel = selftest.elf\ncmdline = only=cpuid\n", cpus=2, limit_s=90,
                  cpu_model="corei7_sandy_bridge_2600k",
                  expect=[r"core 1 \(APIC id 1\): started", r"RESULT vm=a status=0"]))
# The long matrix: every model with as many vCPUs as cores; Bochs runs all cores on one of ours.
for model in ("corei7_haswell_4770", "corei7_skylake_x", "corei3_cnl", "corei7_icelake_u"):
    for cores in (2, 4):
        TESTS.append(Test(f"debian-cloud-{model}-{cores}-cores",
                          debian(run="nproc", vcpus=cores), cpus=cores, cpu_model=model,
                          limit_s=300 * cores, long=True,
                          expect=[rf"up \(Linux \S+, {cores} CPUs,", rf"^{cores}$", POWERED_OFF]))
    TESTS.append(Test(f"debian-amd64-{model}", debian(run="uname -a"), kernel="amd64",
                      cpu_model=model, limit_s=500, long=True, expect=[BANNER, POWERED_OFF]))
