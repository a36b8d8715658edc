"""Unit tests of tools/trace: what it reads out of a serial log and what it makes of it."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import trace  # noqa: E402

LOG = b"""Linux version 6.1\r
[0] TICKS vm=deb vcpu=0 reason=CPUID count=3 sum=300 least=90 most=110 log2=6:3\r
[0] TICKS vm=deb vcpu=0 reason=HLT count=1 sum=100 least=100 most=100 log2=6:1\r
[0] TRACE-BEGIN deb 0 version=1 tsc_hz=100000000 start_tsc=3e8 first=5 count=4\r
[0] TRACE deb 0 5 44c 55 10 ffffffff81000000 0 10000000b 0 800000ec 0 0 2\r
[0] TRACE deb 0 6 500 12 30 7c00 3fd0008 0 dead60 0 0 0 2\r
[0] TRACE deb 0 7 600 9 48 7c00 181 fee00020 ffff 0 80000b0d 1 0\r
[0] TRACE deb 0 8 700 0 2 7c00 0 0 0 0 0 0 1\r
[0] TRACE-END deb 0\r
"""


class TraceTest(unittest.TestCase):
    def setUp(self):
        self.dump = trace.Dump(LOG)

    def test_reads_every_record(self):
        self.assertEqual([r.number for r in self.dump.records], [5, 6, 7, 8])
        self.assertEqual([r.name for r in self.dump.records],
                         ["CPUID", "IO_INSTRUCTION", "EPT_VIOLATION", "TRIPLE_FAULT"])
        self.assertEqual(self.dump.complaints, [])

    def test_says_it_as_trapline_does(self):
        self.assertEqual([trace.describe(r) for r in self.dump.records], [
            "CPUID: leaf 0xb.1; entered with external interrupt 236",
            "IO_INSTRUCTION: in port 0x3fd, 1 byte, 0x60",
            "EPT_VIOLATION: read at GPA 0xfee00020, allowed ---, GLA 0xffff; "
            "queues hardware exception 13 #GP; yields",
            "TRIPLE_FAULT; its handler did not come back"])

    def test_every_reason_has_its_name(self):
        self.assertEqual(trace.reason_number("wrmsr"), 32)
        self.assertEqual(trace.reason_number("ept-violation"), 48)
        self.assertEqual(trace.reason_number("70"), 70)
        # 0 to 81 but for 35, 38, 42 and 71, which the SDM does not define.
        self.assertEqual(sorted(set(range(82)) - set(trace.REASONS)), [35, 38, 42, 71])
        self.assertRaises(ValueError, trace.reason_number, "cpuidd")

    def test_the_other_qualifications(self):
        def about(reason, q=0, detail=0, value=0):
            line = f"TRACE v 0 1 1 1 {reason} 0 {q:x} {detail:x} {value:x} 0 0 0 0".encode()
            return trace.describe_qualification(trace.Dump(line).records[0])
        self.assertEqual(about(28, 4 | 2 << 8, value=0x6f0), "mov cr4, rdx = 0x6f0")
        self.assertEqual(about(28, 3 | 1 << 4, value=1), "mov rax, cr3 = 0x1")
        self.assertEqual(about(28, 2 << 4), "clts")
        self.assertEqual(about(29, 7 | 1 << 4, value=0x400), "mov rax, dr7 = 0x400")
        self.assertEqual(about(32, detail=0x6e0, value=7), "0x6e0 = 0x7")
        self.assertEqual(about(30, 0x1f0 << 16 | 0x39, value=0x5000),
                         "rep ins port 0x1f0, 2 bytes, memory at 0x5000")
        self.assertEqual(about(0, detail=0x80000b0e | 2 << 32),
                         "hardware exception 14 #PF, error code 0x2")
        self.assertEqual(about(1, detail=0x800000f1), "external interrupt 241")
        self.assertEqual(about(49, detail=0x1000), "GPA 0x1000")
        self.assertEqual(about(43, 5), "qualification 0x5")
        self.assertIsNone(about(12))

    def test_time_counts_from_the_start(self):
        self.assertIn("            100       55  ffffffff81000000  CPUID",
                      trace.as_text(self.dump.records, self.dump))

    def test_summary_prefers_what_was_counted(self):
        lines = trace.as_summary(self.dump.records, self.dump).splitlines()
        self.assertEqual(lines[1].split(), ["deb", "CPUID", "3", "300", "100", "90", "110",
                                            "75.0%"])
        self.assertEqual(len(lines), 3)
        lines = trace.as_summary(trace.Dump(LOG[LOG.index(b"[0] TRACE"):]).records,
                                 trace.Dump(LOG[LOG.index(b"[0] TRACE"):])).splitlines()
        self.assertEqual(lines[1].split()[:4], ["deb", "CPUID", "1", "55"])

    def test_chrome_events_are_in_microseconds(self):
        events = trace.as_chrome(self.dump.records, self.dump)["traceEvents"]
        self.assertEqual(events[0]["args"], {"name": "VM deb"})
        complete = [event for event in events if event["ph"] == "X"]
        self.assertEqual((complete[0]["ts"], complete[0]["dur"]), (1.0, 0.55))
        self.assertEqual({(event["pid"], event["tid"]) for event in complete}, {(1, 0)})

    def test_damage_is_told(self):
        dump = trace.Dump(LOG.replace(b"0 7 600 9 48", b"0 7 600 9 4") .replace(b" 1\r\n[0] TRACE-END",
                                                                                b" q\r\n[0] TRACE-END"))
        self.assertEqual(len(dump.records), 3)
        self.assertEqual(dump.complaints, ["1 TRACE line is damaged and left out",
                                           "deb vCPU 0: 3 of 4 exits are there"])

    def test_another_version_is_refused(self):
        self.assertRaises(ValueError, trace.Dump, LOG.replace(b"version=1", b"version=2"))

    def test_any_bytes_are_survived(self):
        for data in (b"", b"\0\xff" * 1000, b"TRACE", b"TRACE a 1", b"TRACE-BEGIN x y",
                     b"TICKS vm=a vcpu=1 reason=x count=1 sum=1 least=1 most=1 log2=1:,:,"):
            self.assertEqual(trace.Dump(data).records, [])

    def test_the_program(self):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "serial.log")
            with open(log, "wb") as file:
                file.write(LOG)
            for form in ("json", "chrome"):
                out = os.path.join(folder, form)
                self.run_tool(0, "--format", form, "-o", out, log)
                with open(out, encoding="utf-8") as file:
                    json.load(file)
            shown = self.run_tool(0, "--reason", "cpuid", "--vm", "deb", "--last", "1", log)
            self.assertEqual(len(shown.splitlines()), 2)
            self.run_tool(1, "--vm", "other", log)
            self.run_tool(2, os.path.join(folder, "none"))
            self.run_tool(2, "--reason", "none", log)

    def run_tool(self, status, *arguments):
        done = subprocess.run([os.path.join(TOP, "tools", "trace"), *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout


if __name__ == "__main__":
    unittest.main()
