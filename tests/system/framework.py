"""Runs declared system tests: each is one start of tools/run with what must be seen and how it must
end. Two run at a time, each in a folder of its own under build/system, each with a time limit.
"""
import concurrent.futures
import glob
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pexpect

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import emulator, session  # noqa: E402

RUN = os.path.join(TOP, "tools", "run")
FOLDER = os.path.join(TOP, "build", "system")
TAIL_LINES = 25
# A test's limit counts the emulator's processor time, so that a busy machine fails no test; by the
# clock it may take this many times as long.
PATIENCE = 10
# tools/run ends by its own limits; this much later it is taken to hang, and killed.
GRACE_S = 30


class Test:
    """One test.

    name      unique; also the name of its folder
    config    the text of its trapline.cfg
    status    the exit status that tools/run must give (its --help lists them)
    expect    regular expressions that the serial output must match, in this order
    reject    regular expressions that it must not match
    dialogue  pairs (pattern, keys): wait for the pattern, then type the keys, or call them with
              the folder of the run
    until     a regular expression that ends the run with status 0
    host      bochs, tcg, kvm or auto
    files     {name: bytes, or path, or a function that makes the bytes}: files for the config,
              beside it
    efi       the name of the one of them that is started instead of what was built
    check     a function that gets the serial output and returns what is wrong with it, or None
    shell     lines of a script that firmware's shell runs; Trapline is trapline.efi there
    volume    a function that gets the path of the boot volume's image after the run and returns
              what is wrong with it, or None
    limit_s   the time limit: seconds of processor time of the emulator, on a slow machine
    image     a function that gets the path of the disk image that was made, and changes it
    long      only in the long run (tools/check --long)
    arguments more of them for tools/run; {folder} stands for the folder of the run
    needs     None; or "kvm": where nested KVM can't be used the test is skipped, and says why; or
              "bochs-3": with an older Bochs the test is skipped
    """

    def __init__(self, name, config, status=0, expect=(), reject=(), dialogue=(), until=None,
                 host="bochs", cpus=None, memory=None, cpu_model=None, kernel=None, files=None,
                 limit_s=240, long=False, needs=None, arguments=(), check=None, efi=None,
                 shell=None, volume=None, image=None):
        self.name, self.config, self.status = name, config, status
        self.expect, self.reject, self.dialogue, self.until = expect, reject, dialogue, until
        self.host, self.cpus, self.memory, self.cpu_model = host, cpus, memory, cpu_model
        self.kernel, self.files, self.limit_s = kernel, files or {}, limit_s
        self.long, self.needs, self.arguments = long, needs, list(arguments)
        self.check, self.efi, self.image = check, efi, image
        self.shell, self.volume = shell, volume


def load_cases(path=None):
    """The list TESTS of a file of cases; without one, of every cases*.py in this folder."""
    here = os.path.dirname(os.path.abspath(__file__))
    tests = []
    for name in [path] if path else sorted(glob.glob(os.path.join(here, "cases*.py"))):
        spec = importlib.util.spec_from_file_location("cases", name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        tests += module.TESTS
    return tests


class Failure(Exception):
    """What was expected and what came instead."""


def patient_s(test):
    return test.limit_s * PATIENCE


def command(test, folder, options):
    argv = [RUN, "--no-build", "--config", os.path.join(folder, "trapline.cfg"),
            "--host", test.host, "--clock", "fixed",
            "--timeout", str(patient_s(test)), "--cpu-timeout", str(test.limit_s)]
    # A folder that survives, so that the emulator's own log is there when the test fails.
    argv += ["--keep", os.path.join(folder, "machine")]
    efi = os.path.join(folder, test.efi) if test.efi else options.efi
    for name, value in (("--cpus", test.cpus), ("--memory", test.memory),
                        ("--cpu-model", test.cpu_model), ("--kernel", test.kernel),
                        ("--until", test.until), ("--efi", efi),
                        ("--image", changed_image(test, folder, efi))):
        if value is not None:
            argv += [name, str(value)]
    if test.shell is not None:
        argv += ["--shell", os.path.join(folder, "startup.nsh"), "--stay"]
    if options.bochs and test.host == "bochs":
        argv += ["--bochs", options.bochs]
    return argv + [argument.replace("{folder}", folder) for argument in test.arguments]


def changed_image(test, folder, efi):
    """The disk image, made as tools/run makes it, and then what happened to it."""
    if not test.image:
        return None
    path = os.path.join(folder, "changed.img")
    argv = [os.path.join(TOP, "tools", "image"), "--output", path,
            "--config", os.path.join(folder, "trapline.cfg")] + (["--efi", efi] if efi else [])
    done = subprocess.run(argv, check=False, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failure(done.stdout)
    test.image(path)
    return path


def prepare(test, folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(os.path.join(folder, "trapline.cfg"), "wb") as file:
        text = test.config
        file.write(text if isinstance(text, bytes) else text.encode())
    if test.shell is not None:
        with open(os.path.join(folder, "startup.nsh"), "w", encoding="ascii", newline="") as file:
            file.write("".join(line + "\r\n" for line in test.shell))
    for name, content in test.files.items():
        path = os.path.join(folder, name)
        if callable(content):
            content = content()
        if isinstance(content, bytes):
            with open(path, "wb") as file:
                file.write(content)
        else:
            shutil.copyfile(os.path.join(TOP, content), path)


def run_scripted(test, argv, folder):
    """A run without a terminal. Returns its exit status."""
    argv = argv + ["--serial", os.path.join(folder, "serial.log")]
    with open(os.path.join(folder, "run.log"), "wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
        try:
            return process.wait(patient_s(test) + GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Failure("tools/run itself hung and was killed") from None


def run_dialogue(test, argv, folder):
    """A run on a terminal, with someone who types. Returns its exit status."""
    # Its own messages go to run.log, so that the terminal shows the serial line and nothing else.
    script = 'log=$1; shift; exec "$@" 2>"$log"'
    argv = ["-c", script, "sh", os.path.join(folder, "run.log"), *argv]
    with open(os.path.join(folder, "serial.log"), "wb") as log:
        child = pexpect.spawn("/bin/sh", argv, timeout=patient_s(test) + GRACE_S, echo=False,
                              dimensions=(24, 200))
        child.logfile_read = log
        child.delaybeforesend = None
        seen = 0
        try:
            for pattern, keys in test.dialogue:
                child.expect(pattern)
                seen += 1
                if callable(keys):
                    keys(folder)
                else:
                    child.send(keys)
            child.expect(pexpect.EOF)
        except pexpect.TIMEOUT:
            raise Failure(f"waited in vain for '{test.dialogue[seen][0]}'"
                          if seen < len(test.dialogue) else "it did not end") from None
        except pexpect.EOF:
            raise Failure(f"it ended while waiting for '{test.dialogue[seen][0]}'") from None
        finally:
            child.close(force=True)
    return child.exitstatus if child.exitstatus is not None else 128 + (child.signalstatus or 0)


def judge(test, status, text):
    if status != test.status:
        raise Failure(f"exit status {status} ({meaning(status)}); expected {test.status}")
    position = 0
    for pattern in test.expect:
        match = re.compile(pattern, re.MULTILINE).search(text, position)
        if not match:
            place = " after the patterns before it" if position else ""
            raise Failure(f"the serial output does not match '{pattern}'{place}")
        position = match.end()
    for pattern in test.reject:
        match = re.search(pattern, text, re.MULTILINE)
        if match:
            raise Failure(f"the serial output has '{match.group(0)}', which it must not")
    problem = test.check(text) if test.check else None
    if problem:
        raise Failure(problem)


def meaning(status):
    return {2: "could not be started", session.STATUS_TIMEOUT: "the time limit ended it",
            session.STATUS_NO_RESULT: "no RESULT line, or a panic",
            session.STATUS_REFUSED: "Trapline refused to start"}.get(status, "a guest's")


def read_text(path):
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as file:
        return session.plain(file.read())


def tail(folder):
    """What helps to see why: the end of the serial output, and what tools/run had to say."""
    lines = []
    for name in ("serial.log", "run.log"):
        text = [line for line in read_text(os.path.join(folder, name)).splitlines()
                if line.strip()]
        if text:
            lines.append(f"    --- the end of {os.path.relpath(os.path.join(folder, name), TOP)}")
            lines += ["    " + line for line in text[-TAIL_LINES:]]
    return lines


def run_one(test, options):
    """Returns None if the test passed, else the reason; and the folder of the run."""
    folder = os.path.join(FOLDER, test.name)
    try:
        prepare(test, folder)
        argv = command(test, folder, options)
        runner = run_dialogue if test.dialogue else run_scripted
        status = runner(test, argv, folder)
        judge(test, status, read_text(os.path.join(folder, "serial.log")))
        problem = test.volume(os.path.join(folder, "machine", "disk.img")) if test.volume else None
        if problem:
            raise Failure(problem)
    except (Failure, OSError, subprocess.SubprocessError) as problem:
        return str(problem).strip(), folder
    # Images are large and can be made again; what was said is kept.
    shutil.rmtree(os.path.join(folder, "machine"), ignore_errors=True)
    if test.image:
        os.unlink(os.path.join(folder, "changed.img"))
    return None, folder


class Report:
    """Prints each result as it comes; keeps the count."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self._lock = threading.Lock()

    def result(self, name, seconds, problem, folder):
        with self._lock:
            if problem is None:
                self.passed += 1
                print(f"ok    {name:<44} {seconds:7.1f} s", flush=True)
            else:
                self.failed += 1
                print(f"FAIL  {name:<44} {seconds:7.1f} s  {problem}", flush=True)
                print("\n".join(tail(folder)), flush=True)

    def skip(self, name, why):
        with self._lock:
            self.skipped += 1
            print(f"skip  {name:<44}            {why}", flush=True)


def run_all(tests, options):
    report = Report()
    os.makedirs(FOLDER, exist_ok=True)
    kvm_problem = None
    if any(test.needs == "kvm" for test in tests):
        kvm_problem = emulator.nested_kvm_problem(FOLDER)

    def run(test):
        started = time.monotonic()
        problem, folder = run_one(test, options)
        report.result(test.name, time.monotonic() - started, problem, folder)

    runnable = []
    for test in tests:
        if test.needs == "bochs-3" and emulator.Bochs(options.bochs).version < (3, 0):
            report.skip(test.name, "this Bochs is older than 3.0")
        elif test.needs == "kvm" and kvm_problem:
            report.skip(test.name, f"nested KVM can't be used: {kvm_problem}")
        else:
            runnable.append(test)
    # The longest first, so that no core is idle at the end.
    runnable.sort(key=lambda test: -test.limit_s)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in [pool.submit(run, test) for test in runnable]:
            done.result()
    return report
