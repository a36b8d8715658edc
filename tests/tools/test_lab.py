"""Tests of the laboratory's tools: experiments as data, reports, the exam, the exercises, and that a
copied folder is a new experiment."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import lab, labdocs, labreport  # noqa: E402

HEAD = "title = T\nreason = CPUID\nsdm = S\nexplain = E\n"


def read(text, name="one"):
    reasons = {row["name"]: row["number"] for row in lab.read_exits()}
    experiment = lab.Experiment(name, reasons)
    experiment.read(text)
    return experiment


class DataTest(unittest.TestCase):
    def refuse(self, text, *parts):
        with self.assertRaises(lab.LabError) as caught:
            read(HEAD + text)
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_reads_what_it_says(self):
        experiment = read(HEAD + "questions = Q1,\n  Q2\npolicy hlt_exiting = forbid\n"
                          "[variant a]\nat 3 vmcs GUEST_RFLAGS &~= 2\n"
                          "exit CPUID x2 length=2 before.RAX!=RBX\nvalue v >= 0x10\n"
                          "known v = 3 : an emulator\n[variant b]\nend = crash\n")
        self.assertEqual(experiment.header["questions"], "Q1, Q2")
        a, b = experiment.all_variants()
        self.assertEqual([action.kind for action in a.actions], ["LAB_POLICY", "LAB_VMCS"])
        self.assertEqual((a.actions[0].a, a.actions[1].stage, a.actions[1].assign), (3, 3, "LAB_AND_NOT"))
        exit_, value = a.expects
        self.assertEqual((exit_.reason, exit_.least, exit_.most), (10, 2, 2))
        self.assertEqual([(c.fact, c.operator, c.value) for c in exit_.checks],
                         [("length", "LAB_EQ", 2), ("before.RAX", "LAB_NE", 3)])
        self.assertEqual(value.checks[0].known_text, "an emulator")
        self.assertEqual((b.end, len(b.expects)), ("crash", 0))

    def test_mistakes_are_answered_with_a_line(self):
        self.refuse("nonsense = 1\n", ":5:", "'nonsense'")
        self.refuse("policy hlt_exitin = require\n", ":5:", "vm_policy.def")
        self.refuse("policy hlt_exiting = maybe\n", "require")
        self.refuse("vmcs GUEST_RAX = 1\n", "vmcs_fields.def")
        self.refuse("exit CPUIDS\n", "exits.def")
        self.refuse("exit CPUID length\n", "FACT=VALUE")
        self.refuse("exit CPUID length=many\n", "a number")
        self.refuse("known length = 1 : x\n", "a fact of the line before")
        self.refuse("ept 0x1000 4K = rwz\n", "rwx")
        self.refuse("[variant A]\n", "'[variant'")
        with self.assertRaises(lab.LabError):
            read("title = T\nreason = CPUID\n")

    def test_every_row_has_an_experiment_or_a_reason(self):
        done = subprocess.run([os.path.join(TOP, "tools", "gen-lab"), "check"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_every_exercise_has_its_page(self):
        done = subprocess.run([os.path.join(TOP, "tools", "gen-exercises"), "check"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_question_that_nobody_asks_is_found(self):
        experiment = read(HEAD + "questions = Q99\n")
        self.assertIn("one: Q99 is no question of exam.txt", labdocs.check_exam([experiment]))


class ReportTest(unittest.TestCase):
    TEXT = ('LAB machine signature=0x1 brand="A B"\r\n'
            "LAB capability word=PIN may=0xff must=0x16\n"
            "noise\nLAB run experiment=cpuid variant=\n"
            "LAB exit n=1 reason=10 name=CPUID ticks=9 rip=0x2 next=0 length=0x2 "
            "changed=RAX:0x0>0x16,GUEST_RIP:0x1>0x3\n"
            "LAB value name=max-leaf value=0x16\n"
            'LAB check verdict=FAIL text="length is 3"\n'
            'LAB end experiment=cpuid variant= reason=10 verdict=FAIL exits=1 ticks=9 '
            'expected="CPUID" observed="CPUID"\n'
            "LAB run experiment=hlt variant=cut-off\n"
            "LAB total pass=0 known=0 fail=1 skipped=0 ticks=100\n")

    def test_lines_become_a_report(self):
        report = labreport.parse(self.TEXT)
        self.assertEqual(report["machine"]["brand"], "A B")
        self.assertEqual(len(report["runs"]), 1)
        run = report["runs"][0]
        self.assertEqual((run["verdict"], run["ticks"], run["values"]), ("FAIL", 9, {"max-leaf": "0x16"}))
        self.assertEqual(run["exits"][0]["changed"][1],
                         {"what": "GUEST_RIP", "before": "0x1", "after": "0x3"})
        self.assertEqual(report["total"]["fail"], 1)

    def test_two_machines_are_compared(self):
        one, other = labreport.parse(self.TEXT), labreport.parse(
            self.TEXT.replace("may=0xff", "may=0x7f").replace("length=0x2", "length=0x3")
            .replace("value=0x16", "value=0x20"))
        self.assertEqual(list(labreport.compare(one, one)), [])
        said = "\n".join(labreport.compare(one, other))
        for part in ("capability PIN", "cpuid, exit 1: length = 0x2 | 0x3", "max-leaf = 0x16 | 0x20"):
            self.assertIn(part, said)

    def test_the_page_holds_its_text_safely(self):
        report = labreport.parse(self.TEXT.replace("length is 3", "<script>"))
        report["seconds"] = 1
        page = labreport.html(report, {})
        self.assertIn("&lt;script&gt;", page)
        self.assertNotIn("<script", page)
        self.assertNotIn("http", page)  # self-contained

    def test_unknown_names(self):
        self.assertIn("cpuid", labreport.nearest("cpiud", lab.experiment_names()))
        done = subprocess.run([os.path.join(TOP, "tools", "lab"), "--experiment", "cpiud"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("near it: cpuid", done.stdout)

    def test_comparing_what_is_no_report(self):
        done = subprocess.run([os.path.join(TOP, "tools", "lab-diff"), __file__, "/nothing"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("expected a report.json", done.stdout)


class CopyTest(unittest.TestCase):
    def test_a_copied_folder_is_a_new_experiment(self):
        with tempfile.TemporaryDirectory() as top:
            for name in os.listdir(TOP):
                if name not in ("build", ".git", "guest", "tools"):
                    os.symlink(os.path.join(TOP, name), os.path.join(top, name))
            for name in ("guest", "tools"):
                shutil.copytree(os.path.join(TOP, name), os.path.join(top, name), symlinks=True)
            folder = os.path.join(top, "guest", "lab")
            shutil.copytree(os.path.join(folder, "cpuid"), os.path.join(folder, "my-own"))
            done = subprocess.run(["make", "-s", "-C", top, "build/guest/lab.elf",
                                   "build/gen/lab_table.c"], text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            self.assertEqual(done.returncode, 0, done.stdout)
            symbols = subprocess.run(["nm", os.path.join(top, "build", "guest", "lab.elf64")],
                                     text=True, stdout=subprocess.PIPE, check=True).stdout
            self.assertIn(" lab_main_my_own\n", symbols)
            with open(os.path.join(top, "build", "gen", "lab_table.c"), encoding="utf-8") as file:
                self.assertIn('{ "my-own", "CPUID always exits", 10,', file.read())


class QuizTest(unittest.TestCase):
    def test_asks_and_answers_without_a_terminal(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as answers:
            answers.write("the guest\n")
            answers.flush()
            done = subprocess.run([os.path.join(TOP, "tools", "quiz"), "--dry", "--answers",
                                   answers.name, "Q3"], text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("You said:           the guest", done.stdout)
        self.assertIn("Verdict on the key: no key", done.stdout)

    def test_no_such_question(self):
        done = subprocess.run([os.path.join(TOP, "tools", "quiz"), "Q77"], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
