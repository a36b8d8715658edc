"""Unit tests of what makes and reads the names in a panic: tools/gen-symbols and tools/symbolize."""
import os
import re
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GEN = os.path.join(TOP, "tools", "gen-symbols")
SYMBOLIZE = os.path.join(TOP, "tools", "symbolize")

PROGRAM = """
    .text
    .globl image_text_start, image_text_end
image_text_start:
    nop
first:
    call second
    ret
second:
    nop
    ret
third:
    ret
    .skip 300
fourth_part.cold:
    call first
    ret
fourth:
    call second
    ret
image_text_end:
"""


def decode(text):
    """[(offset, name)] of a table as C, by what tools/gen-symbols says of its form."""
    table = bytes(int(number) for line in re.findall(r"^    ([\d,]+)$", text, re.MULTILINE)
                  for number in line.split(",") if number)
    size = int(re.search(r"hv_symbols_bytes = (\d+);", text).group(1))
    names, at, offset, name = [], 0, 0, ""
    while at < size:
        shift = 0
        while True:
            offset += (table[at] & 0x7f) << shift
            shift, at = shift + 7, at + 1
            if not table[at - 1] & 0x80:
                break
        end = table.index(b"\0", at + 1)
        name = name[:table[at]] + table[at + 1:end].decode()
        names.append((offset, name))
        at = end + 1
    return names


class SymbolsTest(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.TemporaryDirectory()
        self.addCleanup(self.work.cleanup)
        self.program = self.assemble("program", PROGRAM)

    def assemble(self, name, source):
        path = os.path.join(self.work.name, name)
        with open(path + ".s", "w", encoding="ascii") as file:
            file.write(source)
        subprocess.run(["gcc", "-c", "-g", "-o", path, path + ".s"], check=True)
        return path

    def run_tool(self, *arguments, text=None):
        done = subprocess.run(arguments, input=text, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.returncode, done.stdout + done.stderr

    def test_names_those_that_call(self):
        status, out = self.run_tool(GEN, self.program)
        self.assertEqual(status, 0)
        names = decode(out)
        self.assertEqual([name for _, name in names], ["first", "", "fourth_part.cold", "fourth"])
        self.assertEqual([offset for offset, _ in names], [1, 7, 310, 316])

    def test_leaves_out_the_functions_of_objects(self):
        other = self.assemble("other", "    .text\nfourth:\n    ret\n")
        names = decode(self.run_tool(GEN, self.program, other)[1])
        self.assertEqual([name for _, name in names], ["first", "", "fourth_part.cold", ""])

    def test_an_empty_table(self):
        status, out = self.run_tool(GEN, "--empty")
        self.assertEqual((status, decode(out)), (0, []))

    def test_checks_that_nothing_has_moved(self):
        self.assertEqual(self.run_tool(GEN, "--check", self.program, self.program)[0], 0)
        moved = self.assemble("moved", PROGRAM.replace("300", "301"))
        status, out = self.run_tool(GEN, "--check", self.program, moved)
        self.assertEqual(status, 1)
        self.assertIn("has moved the functions", out)

    def test_source_lines(self):
        report = "at first+0x0 (text+0x1), code {} at 0x1000\n  called from fourth+0x5 (text+0x141)\n"
        status, out = self.run_tool(SYMBOLIZE, "--image", self.program, text=report.format("12345678"))
        self.assertEqual(status, 1)
        built = re.search(r"has ([0-9a-f]{8})", out).group(1)
        status, out = self.run_tool(SYMBOLIZE, "--image", self.program, text=report.format(built))
        self.assertEqual(status, 0)
        # The call itself, not what is behind it.
        self.assertEqual(re.findall(r":(\d+)$", out, re.MULTILINE), ["7", "19"])


if __name__ == "__main__":
    unittest.main()
