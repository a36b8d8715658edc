"""What no run in an emulator shows of arch/x86/vmx/entry.asm: the order of its instructions. The plain
ways hold nothing against speculation; the guarded ones branch indirectly only behind their barrier, and
VERW is the last thing before the guest's registers are loaded."""
import os
import re
import subprocess
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OBJECT = os.path.join("build", "obj", "arch", "x86", "vmx", "entry.asm.o")
GUARDS = {"rdmsr", "wrmsr", "verw", "lfence"}


def disassemble():
    """{symbol: [instruction]}; local labels belong to the symbol before them."""
    subprocess.run(["make", "-s", "-C", TOP, OBJECT], check=True, stdout=subprocess.DEVNULL)
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", os.path.join(TOP, OBJECT)],
                          check=True, capture_output=True, text=True).stdout
    parts, part = {}, []
    for line in text.splitlines():
        label = re.match(r"[0-9a-f]+ <([^.>]\w*)>:", line)
        if label:
            part = parts.setdefault(label.group(1), [])
            continue
        instruction = re.match(r" +[0-9a-f]+:\t(.*)", line)
        if instruction:
            part.append(instruction.group(1).split("#")[0].strip())
    return parts


def names(instructions):
    return [instruction.split()[0] for instruction in instructions]


def is_indirect(instruction):
    return re.match(r"(call|jmp) +\*", instruction) is not None


class EntryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.parts = disassemble()

    def test_plain_ways_hold_nothing_of_it(self):
        self.assertEqual(GUARDS & set(names(self.parts["vmx_exit_point"])), set())

    def test_nothing_branches_indirectly_before_the_barrier(self):
        guarded = self.parts["vmx_exit_point_guarded"]
        first = next(i for i, instruction in enumerate(guarded) if is_indirect(instruction))
        before = names(guarded[:first])
        self.assertIn("lfence", before)
        barrier = len(before) - 1 - before[::-1].index("lfence")
        self.assertNotIn("ret", before[barrier:])
        self.assertFalse(GUARDS & set(before[barrier + 1:]))
        # Those that overwrite the history return to a CALL of their own.
        self.assertEqual(before.count("ret"), 2)
        # 32 entries, one more CALL, and the two of the history's loops.
        self.assertEqual(before.count("call"), 32 + 1 + 2)

    def test_verw_comes_last_before_each_entry(self):
        for name in ("vmx_exit_point_guarded", "enter_guest"):
            part = names(self.parts[name])
            entries = [i for i, instruction in enumerate(part)
                       if instruction in ("vmresume", "vmlaunch")]
            guarded = 0
            for entry in entries:
                begin = max([i for i in entries if i < entry], default=-1) + 1
                way = part[begin:entry]
                if "verw" not in way:
                    continue
                guarded += 1
                behind = way[len(way) - way[::-1].index("verw"):]
                self.assertEqual(set(behind) - {"mov", "movb", "movl", "jmp"}, set())
            self.assertGreater(guarded, 0)
            if name == "vmx_exit_point_guarded":
                self.assertEqual(guarded, len(entries))

    def test_verw_has_a_memory_operand(self):
        for part in self.parts.values():
            for instruction in part:
                if instruction.startswith("verw"):
                    self.assertIn("(%rip)", instruction)


if __name__ == "__main__":
    unittest.main()
