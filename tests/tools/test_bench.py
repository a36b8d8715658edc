"""Unit tests of tools/bench, tools/cost and tools/chart: what they compute of the guest's output."""
import argparse
import importlib.machinery
import importlib.util
import os
import sys
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import doctable, thincost  # noqa: E402


def load(name):
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(TOP, "tools", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


bench, cost, chart = load("bench"), load("cost"), load("chart")


def result(**medians):
    return {"results": [{"name": name.replace("_", "-"), "median": median, "min": median,
                         "max": median} for name, median in medians.items()]}


class ProjectionTest(unittest.TestCase):
    def test_share_counts_exits_on_both_sides(self):
        self.assertAlmostEqual(bench.share(10, 5, 1000, 0), 0.01)
        self.assertAlmostEqual(bench.share(10, 5, 1000, 100), 510 / 1500)

    def test_what_takes_no_exit_gets_no_cost(self):
        lines = bench.projected_table(result(cpuid_0=76, ioapic_read=1, in_uart=114), 1000)
        self.assertIn("| CPUID, leaf 0 | 1,076 | 2,067 | 1,882 |", lines)
        self.assertIn("| I/O APIC read | 1 | 9,280 | 14,408 |", lines)
        self.assertIn("| port read: UART | 1,114 | 8,467 | - |", lines)

    def test_reads_the_boots_figures(self):
        text = ("[0] EXITS vm=debian vcpu=0 total=2760 CPUID=455\n"
                "[0] ROOT vm=debian vcpu=0 handlers=415082 between=526763 of=565299322 "
                "percent=0.16\n")
        self.assertEqual(bench.boot_figures(text), (2760, 415082 + 526763, 565299322))
        with self.assertRaises(bench.BenchError):
            bench.boot_figures("")

    def test_columns_have_the_rows_that_others_were_measured_in(self):
        columns = {word: {"cpuid-0": n, "wbinvd": n} for n, word in enumerate(bench.MITIGATIONS)}
        self.assertEqual(bench.columns_table(columns)[2:],
                         ["| CPUID, leaf 0 | 0 | 1 | 2 | 1,067 | 971 |"])


class DocumentTest(unittest.TestCase):
    def test_a_table_is_replaced_and_nothing_else(self):
        begin, end = doctable.marks("x y")
        text = f"a\n{begin}\n| old |\n{end}\nb\n"
        new = doctable.replaced(text, "x y", ["| new |", "|---|"])
        self.assertEqual(new, f"a\n{begin}\n| new |\n|---|\n{end}\nb\n")
        for bad in ("", text + text, f"{end}\n{begin}\n"):
            with self.assertRaises(ValueError):
                doctable.replaced(bad, "x y", [])

    def test_the_document_has_a_place_for_each(self):
        with open(cost.DOCUMENT, encoding="utf-8") as file:
            text = file.read()
        for command in ("tools/cost memory", "tools/cost start", "tools/cost growth",
                        "tools/bench --mitigations", "make bench EXIT_COST=1500"):
            self.assertIn("|---", text[text.index(doctable.marks(command)[0]):])
            doctable.replaced(text, command, [])

    def test_thin_mode_has_its_own(self):
        with open(cost.THIN_DOCUMENT, encoding="utf-8") as file:
            text = file.read()
        for cpus in (1, 2):
            command = cost.command(argparse.Namespace(what="thin", cpus=cpus))
            self.assertIn("|---", text[text.index(doctable.marks(command)[0]):])
            doctable.replaced(text, command, [])


class CostTest(unittest.TestCase):
    def test_finds_numbers_or_says_what_is_missing(self):
        self.assertEqual(cost.find(r"a=(\d+) b=(\d+)", "x\n[0] a=3 b=44\n"), [3, 44])
        with self.assertRaises(cost.CostError):
            cost.find(r"a=(\d+)", "nothing")

    def test_its_rows_are_the_benchs(self):
        self.assertEqual([name for name in cost.GROWTH_ROWS if name not in bench.ROWS], [])


class ChartTest(unittest.TestCase):
    def test_says_whose_figures_they_are(self):
        rows = list(chart.chart_rows(bench, result(cpuid_0=76, in_uart=114, ioapic_read=0)))
        self.assertEqual(rows, [("CPUID, leaf 0", (76, 1067, 971, 882)),
                                ("port read: UART", (114, 7467, 3170, None)),
                                ("I/O APIC read", (1, 8280, 3985, 13408))])
        self.assertIn("measured by us, not reproduced by make bench", chart.script(rows))

    def test_the_committed_chart_says_so_too(self):
        with open(chart.IMAGE, encoding="utf-8") as file:
            self.assertIn("measured by us, not reproduced by make bench", file.read())


if __name__ == "__main__":
    unittest.main()


def output(boot, copy, trapctl=(), cpuid=None):
    """Of thin-cost, as it comes by the serial line."""
    ticks = dict.fromkeys(thincost.PROGRAMS, copy)
    ticks["cpuid"] = cpuid or copy
    programs = [f"COST program={name} runs=7 least={least} most={least + 50} exits={len(trapctl)}"
                for name, least in ticks.items()]
    return "\n".join(["[    0.1] noise", f"COST entry=1000 init={1000 + boot} "
                      f"kernel_us={boot // 200} exits=7",
                      *trapctl, *programs, "COST end", ""])


def inside(boot=100_100, copy=1000, idle_exits=0, cpuid=None):
    return thincost.Figures(output(boot, copy, (
        "core  reason     exits   ticks     each", "0     CPUID       1200     120000      100",
        "0     XSETBV         1         50       50", "1     CPUID         34       3400      100",
        "EXITS all=1235 cores=2", f"RATE exits={idle_exits} seconds=10"), cpuid))


class ThinTest(unittest.TestCase):
    native = thincost.Figures(output(100_000, 1000))

    def test_reads_both(self):
        self.assertFalse(self.native.is_thin)
        self.assertTrue(inside().is_thin)
        self.assertEqual(inside().reasons, {"CPUID": 1234, "XSETBV": 1})
        self.assertEqual(inside().programs["copy"], [1000, 1050, 6])

    def test_what_is_missing_is_said(self):
        good = output(100_000, 1000)
        for bad in ("", good.replace("program=walk", "program=w"),
                    good.replace("entry=1000", "entry=0"),
                    good.replace("entry=1000", "entry=900000"),
                    good.replace("kernel_us=500", "kernel_us=0")):
            with self.assertRaises(ValueError):
                thincost.Figures(bad)

    def test_what_a_cpuid_takes_stands_for_each_exit_of_the_boot(self):
        dear = inside(cpuid=1000 + 6 * 50)
        self.assertEqual(thincost.cpuid_ticks(self.native, dear), 50)
        self.assertRegex("\n".join(thincost.tables(self.native, dear)),
                         r"reckoned.*\| +100,350 \| +\+0.350% \| +\| +7 \|")
        self.assertEqual(len(thincost.above_aim(self.native, dear)), 1)

    def test_what_is_above_the_aim(self):
        tick = thincost.CLOCK_TICK
        self.assertEqual(thincost.above_aim(self.native, inside(boot=100_200, copy=1002)), [])
        self.assertEqual(thincost.above_aim(self.native, inside(boot=100_200 + tick)), [])
        self.assertEqual(len(thincost.above_aim(self.native, inside(boot=100_201 + tick))), 1)
        self.assertEqual(len(thincost.above_aim(self.native, inside(boot=102_000 + 2 * tick))), 2)
        aimed = sum(aim for _, aim in thincost.PROGRAMS.values())
        self.assertEqual(len(thincost.above_aim(self.native, inside(copy=1003, cpuid=1000))), aimed)
        self.assertEqual(len(thincost.above_aim(self.native, inside(idle_exits=1))), 1)
        self.assertEqual(len(thincost.above_aim(self.native, self.native)), 1)  # nobody was idle

    def test_its_tables_line_up(self):
        for table in (thincost.exits_table(inside()), thincost.ticks_table(self.native, inside())):
            self.assertEqual(len({len(line) for line in table}), 1)
        text = "\n".join(thincost.tables(self.native, inside(boot=100_150)))
        self.assertRegex(text, r"CPUID +\| +1,234 \|")
        self.assertRegex(text, r"100,000 \| +100,150 \| +\+0.150% ")
        self.assertRegex(text, r"1,000 \| +1,000 \| +\+0.000% \| 5.000% ")
