"""What tools/check does: rules, build, unit tests and their branch coverage, fuzzers for a few
seconds, system tests.

Each test's name and time are printed, of a failed one also the end of its output. The last line is
"N passed, N failed", over all that was run; the exit status is 1 if anything failed.
"""
import argparse
import concurrent.futures
import filecmp
import glob
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
sys.path.insert(0, os.path.join(TOP, "tests", "system"))
sys.path.insert(0, os.path.join(TOP, "tools"))
LEGS = ("rules", "tools", "build", "unit", "coverage", "fuzz", "bench", "system")
COVERAGE_AIM = 95
UNIT_LIMIT_S = 600
FUZZ_SECONDS = 8
FUZZ_LIMIT_S = 300
STEP_LIMIT_S = 1200
RULES_LIMIT_S = 3600
# Values of all areas that leave their machine alive, so that one machine does.
EXPLAINER_SAMPLE = ["6-2000/7"]
EXPLAINER_LIMIT_S = 3600
EFI_MOST_BYTES = 256 * 1024
TAIL_LINES = 40
TIMED_OUT = 124


class Count:
    """What has passed and failed so far, and the lines that say so."""

    def __init__(self):
        self.passed = self.failed = 0
        self._lock = threading.Lock()

    def result(self, name, seconds, passed, failed, output=""):
        with self._lock:
            self.passed += passed
            self.failed += failed
            detail = f"{passed} passed, {failed} failed" if passed + failed > 1 else ""
            print(f"{'FAIL' if failed else 'ok':<5} {name:<44} {seconds:7.1f} s  {detail}".rstrip(),
                  flush=True)
            if failed:
                for line in output.rstrip().splitlines()[-TAIL_LINES:]:
                    print("    " + line, flush=True)


def execute(command, limit_s, environment=None):
    """(exit status, output) of a command; status 124 when it ran past its limit."""
    try:
        done = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=limit_s, check=False,
                              env=dict(os.environ, **(environment or {})))
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
        output = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
        return TIMED_OUT, output + f"\nended after {limit_s} s"


def step(count, name, command, limit_s=STEP_LIMIT_S):
    """A command that is one test: it passes with status 0."""
    started = time.monotonic()
    status, output = execute(command, limit_s)
    count.result(name, time.monotonic() - started, int(status == 0), int(status != 0), output)
    return status == 0


def in_parallel(function, items, jobs):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(function, item) for item in items]:
            done.result()


# --- the legs ----------------------------------------------------------------------------------
def check_rules(count, _options):
    step(count, "rules of the house", [os.path.join(TOP, "tools", "check-rules")])
    step(count, "README's table of keys", [os.path.join(TOP, "tools", "gen-config-doc"), "check"])


def check_tools(count, _options):
    """The unit tests of the tools themselves."""
    started = time.monotonic()
    status, output = execute([sys.executable, "-B", "-m", "unittest", "discover", "-s",
                              os.path.join(TOP, "tests", "tools")], STEP_LIMIT_S)
    ran = re.search(r"^Ran (\d+) test", output, re.MULTILINE)
    bad = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", output)))
    total = int(ran.group(1)) if ran else 0
    if status and not bad:
        bad, total = 1, total + 1
    count.result("tools", time.monotonic() - started, total - bad, bad, output)


def check_build(count, options):
    make = ["make", "--no-print-directory", f"-j{options.jobs}"]
    if step(count, "build", make):
        check_size(count)
    step(count, "build with debug checks", make + ["DEBUG=1", "BUILD=build/debug"])
    started = time.monotonic()
    problem = build_elsewhere(make)
    count.result("the same bytes from another folder", time.monotonic() - started,
                 int(not problem), int(bool(problem)), problem or "")


def check_size(count):
    size = os.path.getsize(os.path.join(BUILD, "BOOTX64.EFI"))
    small = size < EFI_MOST_BYTES
    count.result(f"BOOTX64.EFI is below {EFI_MOST_BYTES} bytes", 0, int(small), int(not small),
                 f"it has {size}")


def build_elsewhere(make):
    """What differs when a copy of the sources, in a folder of another name, is built: the EFI
    program, or a disk image with it. None: nothing."""
    work = tempfile.mkdtemp(prefix="trapline-elsewhere-")
    try:
        copy = os.path.join(work, "copy")
        shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
        status, output = execute(make + ["-C", copy], STEP_LIMIT_S)
        if status:
            return output
        images = []
        for number, top in enumerate((TOP, copy)):
            efi = os.path.join(top, "build", "BOOTX64.EFI")
            folder = os.path.join(work, f"image{number}" * (number + 1))
            os.mkdir(folder)
            shutil.copy(efi, os.path.join(folder, "kernel"))
            config = os.path.join(folder, "trapline.cfg")
            with open(config, "w", encoding="ascii") as file:
                file.write("[vm a]\nkernel = kernel\n")
            images.append((efi, os.path.join(folder, "disk.img")))
            status, output = execute([os.path.join(top, "tools", "image"), "--config", config,
                                      "--efi", efi, "--output", images[-1][1]], STEP_LIMIT_S)
            if status:
                return output
        for one, other in zip(*images):
            if not filecmp.cmp(one, other, shallow=False):
                return f"{os.path.basename(one)} differs"
        return None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def build_programs(count, kind, options):
    """Builds tests/<kind>/*.c and returns the programs; one that does not build has failed."""
    sources = sorted(glob.glob(os.path.join(TOP, "tests", kind, f"{prefix(kind)}_*.c")))
    programs = [os.path.join("build", kind, os.path.basename(source)[:-2]) for source in sources]
    started = time.monotonic()
    status, output = execute(["make", "--no-print-directory", "-k", f"-j{options.jobs}"] + programs,
                             STEP_LIMIT_S)
    if status == 0:
        return programs
    good = []
    for program in programs:
        status, output = execute(["make", "--no-print-directory", program], STEP_LIMIT_S)
        if status == 0:
            good.append(program)
        else:
            count.result(f"{kind}: {os.path.basename(program)} (build)",
                         time.monotonic() - started, 0, 1, output)
    return good


def prefix(kind):
    return {"unit": "test", "fuzz": "fuzz"}[kind]


def count_cmocka(status, output):
    """(passed, failed) of a cmocka program. One that ends badly without saying so has failed."""
    passed = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", output, re.MULTILINE)))
    failed = sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", output, re.MULTILINE)))
    if (status != 0 and failed == 0) or passed + failed == 0:
        failed += 1
    return passed, failed


def check_unit(count, options):
    def run(program):
        started = time.monotonic()
        status, output = execute([os.path.join(TOP, program)], UNIT_LIMIT_S)
        passed, failed = count_cmocka(status, output)
        count.result("unit: " + os.path.basename(program), time.monotonic() - started, passed,
                     failed, output)

    in_parallel(run, build_programs(count, "unit", options), options.jobs)
    if options.long:
        step(count, "each rule of VM entry is missed by a test when it is deleted",
             [sys.executable, "-B", os.path.join(TOP, "tests", "delete_each_rule.py")],
             RULES_LIMIT_S)


def check_coverage(_count, _options):
    """Printed, not judged: the tests have been counted already."""
    _, output = execute([os.path.join(TOP, "tools", "coverage"), "--below", str(COVERAGE_AIM)],
                        STEP_LIMIT_S)
    print(output.rstrip(), flush=True)


def check_fuzz(count, options):
    def run(program):
        name = os.path.basename(program)
        artifacts = os.path.join(BUILD, "fuzz-found", name) + "-"
        os.makedirs(os.path.dirname(artifacts), exist_ok=True)
        command = [os.path.join(TOP, program), f"-max_total_time={FUZZ_SECONDS}", "-seed=1",
                   "-timeout=60", f"-artifact_prefix={artifacts}"]
        seeds = os.path.join(TOP, "tests", "fuzz", "corpus", name)
        command += [seeds] if os.path.isdir(seeds) else []
        started = time.monotonic()
        status, output = execute(command, FUZZ_LIMIT_S)
        count.result("fuzz: " + name, time.monotonic() - started, int(status == 0),
                     int(status != 0), output)

    in_parallel(run, build_programs(count, "fuzz", options), options.jobs)


def check_system(count, options):
    import framework  # pexpect is needed only here
    cases = framework.load_cases()
    chosen = [test for test in cases if options.long or not test.long]
    flavours = sorted({test.kernel or "cloud" for test in chosen})
    ready = True
    for flavour in flavours:
        ready &= step(count, f"get the {flavour} kernel",
                      [os.path.join(TOP, "tools", "kernel"), flavour])
    ready &= step(count, "build for the system tests",
                  ["make", "--no-print-directory", f"-j{options.jobs}", "all", "guests", "trapctl"])
    ready &= step(count, "make the initramfs",
                  [os.path.join(TOP, "guest", "linux", "build"), "--thin"])
    if any("grubx64.efi" in str(test.config) for test in chosen):
        ready &= step(count, "get GRUB", [os.path.join(TOP, "tools", "grub")])
    if not ready:
        count.result("system tests can't be run: see above", 0, 0, len(chosen))
        return
    report = framework.run_all(chosen, argparse.Namespace(jobs=options.jobs, efi=None, bochs=None))
    count.passed += report.passed
    count.failed += report.failed
    check_explainer(count, options)
    check_consoles(count, options)
    if options.long:
        step(count, "thin mode costs next to nothing",
             [os.path.join(TOP, "tools", "cost"), "thin", "--check", "--yes"])


def check_consoles(count, options):
    """USB keyboards and serial ports, in QEMU's own emulation."""
    if step(count, "build the test of consoles",
            ["make", "--no-print-directory", f"-j{options.jobs}", "build/consoles.efi"]):
        step(count, "USB keyboards and serial ports",
             [sys.executable, "-B", os.path.join(TOP, "tests", "system", "consoles.py")])


def check_explainer(count, options):
    """The explainer of failed VM entries against Bochs."""
    command = [os.path.join(TOP, "tools", "explain")]
    if not options.long:
        command += EXPLAINER_SAMPLE
    step(count, "explainer against Bochs", command, EXPLAINER_LIMIT_S)


def check_bench(count, _options):
    """Ticks and costs of each kind of exit are what they were when they were last committed."""
    from pylib import emulator
    machine = emulator.Bochs()
    if not machine.has_debugger or machine.version >= (3, 0):
        print(f"skip  {'bench, compared with its baseline':<44}            that is of Bochs 2.7",
              flush=True)
        return
    step(count, "bench, compared with its baseline",
         [os.path.join("tools", "bench"), "--yes", "--check"])


def processor_s():
    """Processor time of everything that was run so far: on a busy machine it says more."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(prog="tools/check", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("legs", nargs="*", metavar="LEG",
                        help="run these only: " + ", ".join(LEGS) + " (default: all)")
    parser.add_argument("--long", action="store_true", help="the whole matrix of system tests, and unit tests without one rule each")
    parser.add_argument("--jobs", type=int, default=max(2, min(os.cpu_count() or 2, 8)),
                        help="how many things at a time (default: the number of processors)")
    parser.add_argument("--yes", "-y", action="store_true",
                        help="do not ask before a command is run as root")
    options = parser.parse_args()
    for leg in options.legs:
        if leg not in LEGS:
            parser.error(f"'{leg}' is none of {', '.join(LEGS)}")
    count = Count()
    started = time.monotonic()
    for leg in LEGS:
        if not options.legs or leg in options.legs:
            print(f"--- {leg}", flush=True)
            leg_started, before_s = time.monotonic(), processor_s()
            globals()[f"check_{leg}"](count, options)
            print(f"--- {leg}: {time.monotonic() - leg_started:.0f} s, "
                  f"{processor_s() - before_s:.0f} s of processor time", flush=True)
    print(f"--- {time.monotonic() - started:.0f} s, {processor_s():.0f} s of processor time")
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
