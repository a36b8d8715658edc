#!/usr/bin/env python3
"""Deletes each rule of the VM-entry checks in turn and expects the unit test to notice.

A rule whose deletion no test sees is either not tested or not needed. Nothing in the tree is
changed: the shortened list lies in a directory that the compiler searches first.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEST = "tests/unit/test_vmx_check.c"
LISTS = ["controls", "host", "segments", "guest", "msrs"]
FLAGS = ["-std=gnu17", "-O0", "-w", "-DHV_DEBUG=1", "-Ivmm/include", "-Iarch/x86/include",
         "-Itests/fake", "-I."]


def compile_file(source, target, first=None):
    command = ["gcc"] + (["-I" + first] if first else []) + FLAGS + ["-c", source, "-o", target]
    subprocess.run(command, cwd=ROOT, check=True)


def rules_of(text):
    """The start and end of each VMX_RULE(...) and its name."""
    found = []
    for match in re.finditer(r"^VMX_RULE\((\w+),", text, re.M):
        following = re.compile(r"^(VMX_RULE\(|/\*)", re.M).search(text, match.end())
        found.append((match.start(), following.start() if following else len(text), match[1]))
    return found


def survives(work, objects, name, text, start, end, rule):
    """Whether the test still passes without this rule."""
    own = os.path.join(work, rule)
    os.makedirs(os.path.join(own, "arch/x86/vmx"))
    with open(os.path.join(own, f"arch/x86/vmx/check_{name}.def"), "w") as out:
        out.write(text[:start] + text[end:])
    changed = os.path.join(own, "changed.o")
    compile_file(f"arch/x86/vmx/check_{name}.c", changed, own)
    binary = os.path.join(own, "test")
    others = [path for key, path in objects.items() if key != f"arch/x86/vmx/check_{name}.c"]
    subprocess.run(["gcc", changed, *others, "-o", binary, "-lcmocka"], check=True)
    result = subprocess.run([binary], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            timeout=60)
    shutil.rmtree(own)
    return result.returncode == 0


def main():
    with open(os.path.join(ROOT, TEST)) as file:
        sources = re.search(r"^// SRCS: (.*)", file.read(), re.M)[1].split()
    work = tempfile.mkdtemp(prefix="trapline-rules-")
    try:
        objects = {}
        for source in sources + [TEST]:
            objects[source] = os.path.join(work, source.replace("/", "_") + ".o")
            compile_file(source, objects[source])
        jobs = []
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name in LISTS:
                with open(os.path.join(ROOT, f"arch/x86/vmx/check_{name}.def")) as file:
                    text = file.read()
                for start, end, rule in rules_of(text):
                    jobs.append((rule, pool.submit(survives, work, objects, name, text, start,
                                                   end, rule)))
            unseen = [rule for rule, job in jobs if job.result()]
    finally:
        shutil.rmtree(work)
    for rule in unseen:
        print(f"no test notices that {rule} is gone")
    print(f"{len(jobs)} rules deleted one by one, {len(unseen)} deletions unnoticed")
    return 1 if unseen or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
