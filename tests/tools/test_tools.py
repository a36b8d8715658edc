"""Unit tests of the tools' own parts: what they read from a config, from the serial line and from
the keyboard, and that the disk image depends on nothing but its input."""
import argparse
import importlib.machinery
import importlib.util
import lzma
import os
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import config, costs, diskimage, emulator, session  # noqa: E402


class ConfigTest(unittest.TestCase):
    def test_names_files_with_their_lines(self):
        parsed = config.Config("# nothing\n[vm a]\nkernel = vmlinuz   # the kernel\n"
                               "initrd=initrd.img\nmodule = mods/one.bin with arguments\n")
        self.assertEqual([(m.line, m.key, m.path) for m in parsed.mentions],
                         [(3, "kernel", "vmlinuz"), (4, "initrd", "initrd.img"),
                          (5, "module", "mods/one.bin")])
        self.assertEqual(parsed.vm_names, ["a"])

    def test_what_thin_mode_starts_and_loads_may_be_elsewhere(self):
        parsed = config.Config("boot = \\a.efi\nboot-options = \\vmlinuz initrd=\\one initrd=two x=\\y\n")
        self.assertEqual([(m.key, m.path, m.required) for m in parsed.mentions],
                         [("boot", "\\a.efi", False), ("boot-options", "\\vmlinuz", False),
                          ("boot-options", "\\one", False), ("boot-options", "two", False)])

    def test_reads_sizes(self):
        self.assertEqual(config.parse_size("512M"), 512 << 20)
        self.assertEqual(config.parse_size("2G"), 2 << 30)
        self.assertEqual(config.parse_size("1024"), 1 << 30)
        self.assertIsNone(config.parse_size("much"))

    def test_reads_what_editors_write(self):
        text = "[vm a]\r\nkernel = k\r\n"
        for data in (text.encode(), b"\xef\xbb\xbf" + text.encode(),
                     b"\xff\xfe" + text.encode("utf-16-le"), b"\xfe\xff" + text.encode("utf-16-be")):
            self.assertEqual(config.Config(config.decode(data)).mentions[0].path, "k")

    def test_leaves_nonsense_alone(self):
        parsed = config.Config("kernel\n= x\n[vm\nvcpus = many\nmemory = some\n\x00\xff")
        self.assertEqual((parsed.mentions, parsed.vcpus, parsed.memory_bytes), ([], [], []))


class KeyboardTest(unittest.TestCase):
    def test_only_control_a_x_is_taken(self):
        keyboard = session.Keyboard()
        self.assertEqual(keyboard.feed(b"abc\x01\x01\x01bx\x03"), b"abc\x01\x01\x01bx\x03")
        self.assertFalse(keyboard.leave)

    def test_leaves_when_the_keys_come_apart(self):
        keyboard = session.Keyboard()
        self.assertEqual(keyboard.feed(b"q\x01"), b"q")
        self.assertEqual(keyboard.feed(b"xrest"), b"")
        self.assertTrue(keyboard.leave)


class TranscriptTest(unittest.TestCase):
    def feed(self, data, size):
        transcript = session.Transcript()
        for start in range(0, len(data), size):
            transcript.add(data[start:start + size])
        return transcript

    def test_finds_results_however_they_are_cut(self):
        data = (b"\x1b[2JBdsDxe\r\nTrapline 1\r\nRESULT vm=a status=0 reason=poweroff\r\n"
                b"xRESULT vm=b status=300 reason=crash\r\n")
        for size in range(1, len(data) + 1):
            transcript = self.feed(data, size)
            self.assertEqual([(r.vm, r.status) for r in transcript.results], [("a", 0), ("b", 300)])
            self.assertEqual(transcript.status(), 300 & 0xff)
            self.assertEqual(transcript.marker_at, data.index(b"Trapline"))

    def test_a_status_never_becomes_zero_by_wrapping(self):
        self.assertEqual(self.feed(b"RESULT vm=a status=256 reason=x\n", 7).status(), 1)
        self.assertEqual(self.feed(b"RESULT vm=a status=0 reason=x\n", 7).status(), 0)
        self.assertIsNone(self.feed(b"RESULT vm=a status=0 reason=x", 7).status())

    def test_hears_refusal_and_panic(self):
        data = b"Trapline\r\nTRAPLINE: refused: no VT-x\r\nPANIC: halted\r\n"
        for size in (1, 5, len(data)):
            transcript = self.feed(data, size)
            self.assertEqual(transcript.refusal, "no VT-x")
            self.assertTrue(transcript.panicked)


class ImageTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name, content in (("efi", b"program" * 5000), ("k", b"kernel" * 90000),
                              ("trapline.cfg", b"[vm a]\nkernel = \\sub\\k\n")):
            self.write(name, content)
        os.mkdir(self.path("sub"))
        self.write(os.path.join("sub", "k"), b"kernel" * 90000)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)

    def build(self, name):
        files = diskimage.collect(self.path("trapline.cfg"), [self.folder.name])
        diskimage.build(self.path(name), self.path("efi"), self.path("trapline.cfg"), files)
        with open(self.path(name), "rb") as file:
            return file.read()

    def test_is_the_same_twice_and_holds_the_files(self):
        first = self.build("one.img")
        os.utime(self.path("efi"), (1, 1))
        self.assertEqual(first, self.build("two.img"))
        for inside, outside in (("EFI/BOOT/BOOTX64.EFI", "efi"), ("sub/k", "sub/k"),
                                ("trapline.cfg", "trapline.cfg")):
            data = subprocess.run(["mtype", "-i", self.path("one.img"), "::/" + inside],
                                  stdout=subprocess.PIPE, check=True).stdout
            with open(self.path(outside), "rb") as file:
                self.assertEqual(data, file.read())

    def test_names_the_line_of_a_missing_file(self):
        self.write("bad.cfg", b"[vm a]\n\ninitrd = nowhere\n")
        with self.assertRaisesRegex(diskimage.ImageError, r"bad\.cfg:3: initrd = nowhere"):
            diskimage.collect(self.path("bad.cfg"), [self.folder.name])
        self.assertEqual(diskimage.collect(self.path("bad.cfg"), [self.folder.name], True), {})

    def test_never_leaves_the_folder(self):
        self.assertIsNone(diskimage.volume_path("..\\secret"))
        self.assertEqual(diskimage.volume_path("\\a\\b"), "a/b")

    def test_an_addition_names_a_place_and_a_file(self):
        self.assertEqual(diskimage.addition("\\a\\b.cfg=/tmp/x=y"), ("a/b.cfg", "/tmp/x=y"))
        for bad in ("file", "=file", "..\\a=file"):
            with self.assertRaises(argparse.ArgumentTypeError):
                diskimage.addition(bad)

    def test_volume_sizes_fit_their_kind(self):
        for content in (0, 1 << 20, 30 << 20, 200 << 20, 449 << 20, 600 << 20, 4 << 30):
            sectors, cluster, fat32 = diskimage.geometry(content)
            clusters = sectors // cluster
            self.assertGreaterEqual(sectors * 512, content + (2 << 20))
            self.assertEqual(sectors % diskimage.CYLINDER_SECTORS, 0)
            if fat32:
                self.assertGreater(clusters, 65525)
            else:
                self.assertTrue(4200 < clusters < 65525, clusters)


class RulesTest(unittest.TestCase):
    """A checker that never complains is worth nothing: each rule is broken once."""

    BREACHES = {
        "vmm/core/a.c": '#include "x86/regs.h"\n',
        "vmm/core/b.c": "int vmx_on;\n",
        "vmm/devices/c.c": '#include "hv/vm.h"\n',
        "arch/x86/cpu/d.c": "#include <efi.h>\n",
        "drivers/e.c": "#include <stdio.h>\n",
        "drivers/f.c": '__asm__("hlt");\n',
        "vmm/lib/g.c": "#ifdef HOST_BUILD\n",
        "vmm/lib/h.h": "struct s {\n    uint32_t a : 3;\n};\n",
        "boot/i.c": "\n" * 700,
        "vmm/lib/j.c": "/* TO" "DO */\n",
    }
    FINE = {
        "vmm/core/ok.c": "/* knows nothing of vmx */\n#include <stdint.h>\nint except, adept;\n",
        "boot/ok.c": "#include <efi.h>\n#include <stdint.h>\n",
        "arch/x86/include/x86/insn.h": '__asm__ volatile("hlt");\n',
    }

    def check(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                    file.write(content)
            done = subprocess.run([os.path.join(TOP, "tools", "check-rules"), folder],
                                  stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout

    def test_each_breach_is_found(self):
        status, output = self.check({**self.BREACHES, **self.FINE})
        self.assertEqual(status, 1)
        for path in self.BREACHES:
            self.assertIn(path + ":", output)
        for path in self.FINE:
            self.assertNotIn(path + ":", output)

    def test_a_clean_house_passes(self):
        self.assertEqual(self.check(self.FINE)[0], 0)


class CostsTest(unittest.TestCase):
    TRACE = """\
(0).[1] [0x000000b01306] 0008:0000000000101306 (unk. ctxt): xchg bx, bx               ; 6687db
(0).[2] [0x000000b01309] 0008:0000000000101309 (unk. ctxt): wrmsr                     ; 0f30
[CPU0 WR]: LIN 0x0000000000107000 PHY 0x000000107000 (len=8, WB): 0x00000000 0x00000016
(0).[3] [0x00003e0d3440] 0008:000000003e0d3440 (unk. ctxt): push rdi                  ; 57
[CPU0 WR]: LIN 0x000000003f8f5ff8 PHY 0x00003f8f5ff8 (len=16, WB): 0x00000000 0x00000000
(0).[4] [0x00003e0d3441] 0008:000000003e0d3441 (unk. ctxt): vmread rax, rax           ; 0f78c0
[CPU0 RD]: PHY 0x00003f91a008 (len=4, INVALID): 0x00000001	; VMCS
(0).[5] [0x00003e0d347f] 0008:000000003e0d347f (unk. ctxt): lock inc dword ptr ds:[rdi] ; f0ff07
(0).[6] [0x00003e0d3482] 0008:000000003e0d3482 (unk. ctxt): xchg eax, dword ptr ds:[rdi] ; 8707
(0).[7] [0x00003e0d3484] 0008:000000003e0d3484 (unk. ctxt): vmresume                  ; 0f01c3
(0).[8] [0x000000b0130b] 0008:000000000010130b (unk. ctxt): xchg bx, bx               ; 6687db
(0).[9] [0x000000b0130e] 0008:000000000010130e (unk. ctxt): wrmsr                     ; 0f30
(0).[10] [0x000000b01310] 0008:0000000000101310 (unk. ctxt): xchg bx, bx               ; 6687db
"""

    def test_counts_what_the_hypervisor_does_and_nothing_else(self):
        first, = costs.operations(self.TRACE.splitlines()[1:11], 0x440)
        self.assertEqual(first.result(), {
            "exits": 1, "instructions": 5, "vmread": 1, "vmwrite": 0, "wrmsr": 0, "invalidate": 0,
            "locked": 2, "data_lines": 2, "code_lines": 2})

    def test_what_takes_no_exit_costs_nothing(self):
        first, = costs.operations(self.TRACE.splitlines()[11:], 0x440)
        self.assertEqual(set(first.result().values()), {0})


def load(path):
    """A tool that has no .py at the end of its name."""
    loader = importlib.machinery.SourceFileLoader("tool", os.path.join(TOP, path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tool", loader))
    loader.exec_module(module)
    return module


class ModulesTest(unittest.TestCase):
    def setUp(self):
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        self.addCleanup(setattr, sys, "dont_write_bytecode", before)
        self.build = load("guest/linux/build")

    def test_what_is_needed_stands_behind_what_needs_it(self):
        direct = {"disk": ["core", "crc"], "crc": ["base"], "core": ["base", "crc"], "base": []}
        self.assertEqual(self.build.closure(direct, "disk"), ["core", "crc", "base"])
        self.assertEqual(self.build.closure(direct, "base"), [])
        self.assertEqual(self.build.closure(direct, "built-in"), [])

    def test_a_module_names_what_it_needs(self):
        self.assertEqual(self.build.needed_by(b"ELF\0license=GPL\0depends=a-b,c_d\0name=x\0"),
                         ["a_b", "c_d"])
        self.assertEqual(self.build.needed_by(b"ELF\0depends=\0name=x\0"), [])

    def test_a_module_may_be_packed(self):
        module = b"\x7fELF" + b"module" * 100
        self.assertEqual(self.build.module_of(module), module)
        self.assertEqual(self.build.module_of(lzma.compress(module)), module)


class EmulatorTest(unittest.TestCase):
    def setUp(self):
        try:
            self.bochs = emulator.Bochs()
        except emulator.EmulatorError as error:
            self.skipTest(str(error))

    def test_refuses_what_it_can_not_do(self):
        with tempfile.TemporaryDirectory() as work:
            for settings in (emulator.Settings(cpus=3), emulator.Settings(memory_mb=64),
                             emulator.Settings(cpu_model="abacus")):
                with self.assertRaises(emulator.EmulatorError):
                    self.bochs.plan(settings, os.path.join(work, "disk.img"), work, 1)

    def test_a_network_only_where_it_is_asked_for(self):
        for net in (False, True):
            plan = self.bochs.plan(emulator.Settings(net=net), "disk.img", "/", 1)
            self.assertEqual("ethmod=vnet" in plan.files["bochsrc"], net)

    def test_clock_is_fixed_unless_the_wall_is_asked_for(self):
        with tempfile.TemporaryDirectory() as work:
            texts = [self.bochs.plan(emulator.Settings(wall_clock=wall), "disk.img", work,
                                     1).files["bochsrc"] for wall in (False, True)]
        self.assertIn("sync=none, time0=1577836800", texts[0])
        self.assertIn("sync=slowdown", texts[1])


class ProbeTest(unittest.TestCase):
    def test_a_machine_without_vmx_is_recognized(self):
        with tempfile.TemporaryDirectory() as work:
            self.assertEqual(emulator.probe_vmx(work, "tcg"), "CPUID in a guest shows no VMX")


if __name__ == "__main__":
    unittest.main()
