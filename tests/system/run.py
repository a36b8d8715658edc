#!/usr/bin/python3
"""Runs the system tests. What they use is built and fetched before: tools/check does that.

The last line is "N passed, N failed"; the exit status is 1 if any failed.
"""
import argparse
import fnmatch
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import framework  # noqa: E402


def select(tests, options):
    names = [test.name for test in tests]
    for name in names:
        if names.count(name) > 1:
            sys.exit(f"tests/system: two tests are called {name}")
    if not options.names:
        return [test for test in tests if options.long or not test.long]
    chosen = [test for test in tests
              if any(fnmatch.fnmatchcase(test.name, wanted) for wanted in options.names)]
    if not chosen:
        sys.exit("tests/system: no test is called " + " or ".join(options.names)
                 + "; --list shows them")
    return chosen


def main():
    parser = argparse.ArgumentParser(prog="tests/system/run.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="tests to run; * and ? match as in the shell")
    parser.add_argument("--list", action="store_true", help="show the tests and run none")
    parser.add_argument("--long", action="store_true", help="the long ones too")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    parser.add_argument("--efi", default=None, help="the EFI program (default: what was built)")
    parser.add_argument("--bochs", default=None, help="the Bochs to use")
    parser.add_argument("--cases", default=None, metavar="FILE",
                        help="a file with a list of tests (default: every cases*.py here)")
    options = parser.parse_args()
    tests = select(framework.load_cases(options.cases), options)
    if options.list:
        for test in tests:
            print(f"{test.name:<44} {test.host:<6} at most {test.limit_s} s")
        return 0
    report = framework.run_all(tests, options)
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
