"""The system tests, as a list. What the words mean stands at framework.Test."""
from framework import Test

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

    Test("debian-cloud-status",
         debian(run="exit 7"), status=7,
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

# The processor models and core counts that a change of the exit path may break differently.
for model in ("corei7_haswell_4770", "corei3_cnl", "corei7_icelake_u"):
    TESTS.append(Test(f"debian-cloud-{model}", debian(run="uname -a"), cpu_model=model,
                      expect=[BANNER, POWERED_OFF], long=model == "corei3_cnl"))
for cores in (2, 4):
    TESTS.append(Test(f"debian-cloud-{cores}-cores", debian(run="uname -a"), cpus=cores,
                      limit_s=400, expect=[BANNER, POWERED_OFF], long=cores == 4))
