"""Unit tests of tools/explain: what it reads out of a machine's lines, and what it concludes."""
import fnmatch
import os
import re
import sys
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import explain  # noqa: E402

SERIAL = """Trapline
EXPLAIN machine revision=0x2b physical=40 linear=48 rules=3 cases=3
EXPLAIN enter n=1 case=host_pat.1.good predicted=enters tsc=100
EXPLAIN case=host_pat.1.good predicted=enters got=enters exit=52 first=- breaks=0
EXPLAIN enter n=2 case=host_pat.1.bad predicted=error8 tsc=200
EXPLAIN case=host_pat.1.bad predicted=error8 got=error8 exit=0 first=host_pat breaks=1
EXPLAIN skip case=hlat.1.good why="this processor's VMCS has no HLAT_POINTER"
EXPLAIN enter n=4 case=guest_dr7.1.bad predicted=exit33.0 tsc=300
EXPLAIN case=guest_dr7.1.bad predicted=exit33.0 got=enters exit=52 first=guest_dr7 breaks=1
"""
LOG = """00000000150e[CPU0  ] nothing that counts
00000000210e[CPU0  ] VMFAIL: invalid Memory Type in host MSR_PAT
00000000310p[CPU0  ] >>PANIC<< exception(): 3rd (14) exception with no resolution
"""
DIED = "EXPLAIN enter n=5 case=host_cr3_width.1.good predicted=enters tsc=305\n"
DIFFERENCES = """# a comment
guest_dr7.*.bad 2.7,3.0 enters laxer
host_cr3_width.1.good 2.7 dies accepted
    It does not look
    at the upper half.
"""


class ExplainTest(unittest.TestCase):
    def setUp(self):
        self.results, self.entry, self.complete, self.stamps = explain.parse_serial(SERIAL + DIED)

    def with_death(self):
        results = self.results + [explain.Result(self.entry["case"], self.entry["predicted"],
                                                 "dies")]
        explain.attach(results, explain.read_differences(DIFFERENCES), "2.7")
        return results

    def test_reads_lines(self):
        self.assertEqual([r.name for r in self.results],
                         ["host_pat.1.good", "host_pat.1.bad", "hlat.1.good", "guest_dr7.1.bad"])
        self.assertEqual((self.results[1].rule, self.results[1].number, self.results[1].value),
                         ("host_pat", "1", "bad"))
        self.assertEqual(self.results[0].reason, 52)
        self.assertIn("HLAT_POINTER", self.results[2].why)
        self.assertFalse(self.complete)
        self.assertEqual(self.entry["n"], "5")

    def test_a_complete_run_has_nothing_open(self):
        _, entry, complete, _ = explain.parse_serial(SERIAL + "EXPLAIN total entered=3\n")
        self.assertIsNone(entry)
        self.assertTrue(complete)

    def test_what_the_emulator_said_goes_to_the_entry_before_it(self):
        explain.attribute(LOG, self.stamps)
        self.assertEqual(self.results[0].said, [])
        self.assertEqual(self.results[1].said, ["VMFAIL: invalid Memory Type in host MSR_PAT"])
        self.assertEqual(len(self.results[3].said), 1)

    def test_lines_of_another_kind_are_refused(self):
        for line in ("EXPLAIN enter case=a.1.bad\n", "EXPLAIN case=a predicted=x got=y\n",
                     "EXPLAIN skip case=a.1.bad\n",
                     "EXPLAIN case=a.1.bad predicted=x got=y exit=z first=- breaks=0\n",
                     "EXPLAIN case=a.1.bad predicted=x got=y exit=0 first=- breaks=0\n"):
            with self.assertRaisesRegex(explain.ExplainError, "not a line of this version"):
                explain.parse_serial(line)

    def test_a_choice_of_nothing_is_said(self):
        with self.assertRaisesRegex(explain.ExplainError, "chooses no case"):
            explain.parse_serial("EXPLAIN error text=\"'x' chooses no case: all\"\n")

    def test_a_line_that_was_cut_does_not_count(self):
        self.assertEqual(explain.parse_serial("EXPLAIN enter n=1 ca"), ([], None, False, []))

    def test_classes(self):
        explain.attach(self.results, [], "2.7")
        self.assertEqual([explain.classify(r) for r in self.results],
                         ["agreed", "agreed", "skipped", "unexplained"])
        self.assertEqual([explain.classify(r) for r in self.with_death()],
                         ["agreed", "agreed", "skipped", "explained", "agreed"])

    def test_a_difference_is_of_a_version(self):
        rows = explain.read_differences(DIFFERENCES)
        explain.attach(self.results, rows, "3.1")
        self.assertEqual(explain.classify(self.results[3]), "unexplained")
        self.assertEqual([row.seen for row in rows], [0, 0])

    def test_an_accepted_end_must_have_been_predicted(self):
        result = explain.Result("host_cr3_width.1.good", "error8", "dies")
        explain.attach([result], explain.read_differences(DIFFERENCES), "2.7")
        self.assertEqual(explain.classify(result), "explained")

    def test_figures(self):
        figures = explain.summary(self.with_death(), "Bochs 2.7", 2)
        self.assertEqual((figures["rules"], figures["values"], figures["entered"]), (4, 5, 4))
        self.assertEqual((figures["agreed"], figures["explained"], figures["unexplained"],
                          figures["skipped"]), (3, 1, 0, 1))
        self.assertEqual((figures["rules_entered"], figures["rules_agreed"]), (2, 1))

    def test_an_explanation_is_shared_by_the_rows_above_it(self):
        rows = explain.read_differences(DIFFERENCES)
        self.assertEqual({row.why for row in rows}, {"It does not look at the upper half."})
        self.assertEqual(rows[0].versions, ["2.7", "3.0"])

    def test_mistakes_are_named_with_their_line(self):
        for text, line in (("    why\n", 1), ("a 2.7 enters\n", 1), ("a 2.7 enters odd\n  x\n", 1),
                           ("a 2.7 enters laxer\n", 1),
                           ("a 2.7 enters laxer\n  x\n\nb 2.7 enters laxer\n", 4)):
            with self.assertRaisesRegex(explain.ExplainError, f"line {line}:"):
                explain.read_differences(text)

    def test_the_list_names_rules_that_exist(self):
        rules = set()
        for name in ("controls", "host", "segments", "guest", "msrs"):
            path = os.path.join(TOP, "arch", "x86", "vmx", f"check_{name}.def")
            with open(path, encoding="utf-8") as file:
                rules |= set(re.findall(r"^VMX_RULE\((\w+),", file.read(), re.MULTILINE))
        path = os.path.join(TOP, "tests", "system", "explain_differences.txt")
        with open(path, encoding="utf-8") as file:
            rows = explain.read_differences(file.read())
        self.assertGreater(len(rows), 10)
        for row in rows:
            rule = row.pattern.split(".")[0]
            self.assertTrue(fnmatch.filter(rules, rule), row.pattern)


if __name__ == "__main__":
    unittest.main()
