"""System tests of on-exit = firmware: boot services stay alive under a run, every core goes back to
them, and the log and the report are on the boot volume."""
import os
import subprocess

from framework import Test
from pylib import labreport

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = {"lab.elf": os.path.join(HERE, "..", "..", "build", "guest", "lab.elf")}
BACK = r"^Trapline has ended; the machine is firmware's again\.$"
PROMPT = r"FS0:\\> "
START = "trapline.efi\r"
OFF = "reset -s\r"
TIMES = 3


def selftest(head="", **keys):
    lines = {"memory": "32M", "kernel": "selftest.elf", "cmdline": "only=cpuid", **keys}
    return ("console = serial\non-exit = firmware\n" + head + "[vm a]\n" +
            "".join(f"{key} = {value}\n" for key, value in lines.items()))


def lab(experiment=""):
    return "console = serial\non-exit = firmware\nlab = lab.elf\n" + \
        (f"experiment = {experiment}\n" if experiment else "")


def read_file(image, path):
    """A file of the volume as text; None if it is not there."""
    done = subprocess.run(["mtype", "-i", image, "::/" + path], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode("ascii", "replace") if done.returncode == 0 else None


def log_is_there(image):
    text = read_file(image, "trapline/log.txt")
    if text is None:
        return "there is no \\trapline\\log.txt"
    for word in ("RESULT vm=a status=0", "cores are in VMX operation", "back to firmware"):
        if word not in text:
            return f"\\trapline\\log.txt does not say '{word}'"
    return None


def without_undefined(report):
    """SLDT and its like have no displacement when their operand is a register, and then the exit
    qualification is undefined (SDM "Exit Qualification"): what stands there is no fact."""
    for run in report["runs"]:
        for exit_ in run["exits"] if run["experiment"] == "ldtr-tr" else ():
            exit_["facts"].pop("qual", None)
    return report


def reports_agree(image):
    """Whether every start of the laboratory has seen the same."""
    reports = []
    for i in range(1, TIMES + 1):
        text = read_file(image, f"trapline/lab-{i}.txt")
        if text is None:
            return f"there is no \\trapline\\lab-{i}.txt"
        reports.append(without_undefined(labreport.parse(text)))
        if not reports[-1]["total"] or not reports[-1]["runs"]:
            return f"\\trapline\\lab-{i}.txt is not whole"
    for i, report in enumerate(reports[1:], 2):
        different = list(labreport.compare(reports[0], report))
        if different:
            return f"the laboratory's report {i} differs from the first: {different[0]}"
    if read_file(image, f"trapline/lab-{TIMES + 1}.txt") is not None:
        return "there is a report too many"
    return None


# A volume that is full to the last cluster, then one whose log can't be replaced: said, and nothing
# hangs. Each file takes half of what the one before it did not.
FULL = ["fs0:", *(f"setsize {512 << i} x{i}" for i in range(14, -1, -1)), "trapline.efi",
        "rm x*", "mkdir trapline", "trapline.efi", "attrib +r trapline\\log.txt", "trapline.efi",
        "attrib -r trapline\\log.txt", "trapline.efi", "reset -s"]

TESTS = [
    # Firmware's timer must go on: its serial console looks for keys at each tick.
    Test("keep-guest", selftest(), limit_s=120, shell=["fs0:", "trapline.efi"],
         volume=log_is_there,
         dialogue=[(BACK.strip("^$"), ""), (PROMPT, START), (BACK.strip("^$"), ""), (PROMPT, OFF)],
         reject=[r"error: ", "PANIC", r"not as firmware had it"]),
    Test("keep-guest-2-cores", selftest(vcpus=2), limit_s=160, cpus=2, volume=log_is_there,
         shell=["fs0:", "trapline.efi", "trapline.efi", "reset -s"],
         expect=[r"core 1 \(APIC id 1\): lent by firmware", r"RESULT vm=a status=0", BACK,
                 r"core 1 \(APIC id 1\): lent by firmware", r"RESULT vm=a status=0", BACK],
         reject=[r"error: ", "PANIC", r"not as firmware had it"]),
    Test("keep-lab-three-times", lab("cpuid"), limit_s=120, files=LAB, volume=reports_agree,
         shell=["fs0:"] + ["trapline.efi"] * TIMES + ["reset -s"],
         expect=[r"RESULT vm=lab status=0 reason=lab", BACK] * TIMES),
    Test("keep-bad-volume", selftest(), limit_s=160, shell=FULL, volume=log_is_there,
         expect=[r"log\.txt could not be written: the volume is full",
                 BACK, r"Written: \\trapline\\log\.txt",
                 BACK, r"log\.txt could not be written: ",
                 BACK, r"Written: \\trapline\\log\.txt"]),
    # Twice from one image: the second run begins as the first one did.
    Test("keep-from-a-menu", "menu = 0\n[menu Guest]\nconfig = guest.cfg\n", limit_s=160,
         files={"guest.cfg": selftest().encode()}, volume=log_is_there,
         dialogue=[(r"> 1  Guest", "\r"), (r"RESULT vm=a status=0(?s:.*)Press a key to go on", " "),
                   (r"> 1  Guest", "\r"), (r"RESULT vm=a status=0(?s:.*)Press a key to go on", " "),
                   (r"> 1  Guest", "\x1b"), (r"Shell> ", OFF)],
         reject=[r"error: ", "PANIC", r"not as firmware had it"]),
    Test("keep-wants-what-firmware-has", selftest(interrupts="guest"), limit_s=90, status=253,
         shell=["fs0:", "trapline.efi", "reset -s"],
         expect=[r"interrupts = guest needs local APICs that firmware does not want back",
                 r"RESULT vm=a status=253 reason=not-started", BACK]),

    Test("keep-lab-whole-three-times", lab(), limit_s=900, files=LAB, volume=reports_agree,
         shell=["fs0:"] + ["trapline.efi"] * TIMES + ["reset -s"], long=True,
         expect=[r"^LAB total pass=\d+ known=\d+ fail=0 ", BACK] * TIMES),
    Test("keep-debian-4-cores",
         "console = serial\non-exit = firmware\n[vm debian]\nvcpus = 2\nmemory = 512M\n"
         "kernel = vmlinuz\ninitrd = initrd.img\n"
         "cmdline = console=ttyS0 quiet cryptomgr.notests trapline.run=\"nproc\"\n",
         limit_s=900, cpus=4, long=True,
         shell=["fs0:", "trapline.efi", "trapline.efi", "reset -s"],
         expect=[r"RESULT vm=debian status=0 ", BACK] * 2),
]
