#!/usr/bin/python3
"""Tests the drivers of USB keyboards and serial ports in QEMU's own emulation: starts
build/consoles.efi (tests/uefi/consoles.c) on machines with such hardware, and types.

The last line is "N passed, N failed"; the exit status is 1 if any failed.
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import diskimage, emulator  # noqa: E402

# By processor time of the emulator, so that a busy machine fails no test; by the clock ten times that.
LIMIT_S = 40
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
KEYBOARD = r"USB: port \d+: a keyboard"

# What was typed, by QEMU's names of keys, and the bytes that must come.
TYPED = [("a", "61"), ("shift-a", "41"), ("5", "35"), ("ctrl-c", "03"), ("up", "1b 5b 41"),
         ("f5", "1b 5b 31 35 7e"), ("alt-x", "1b 78"), ("ret", "0d"), ("kp_add", "2b"),
         ("spc", "20"), ("backspace", "7f")]

# name, devices, steps. A step is a pattern to wait for, and then commands for QEMU's monitor.
CASES = [
    ("usb-keyboard-and-serial-card", ["pci-serial,chardev=card", "qemu-xhci", "usb-kbd"],
     [(r"serial console at port 0x[0-9a-f]+ \(PCI card\)", None), (KEYBOARD, None),
      ("typed", TYPED)]),
    # Another model of the controller, and full speed; a serial port that ACPI names.
    ("usb-keyboard-behind-hubs",
     ["isa-serial,chardev=card,iobase=0x2f8,irq=3", "nec-usb-xhci,id=x", "usb-mouse,bus=x.0,port=2", "usb-hub,bus=x.0,port=1",
      "usb-hub,bus=x.0,port=1.2", "usb-kbd,bus=x.0,port=1.2.3,usb_version=1"],
     [(r"serial console at port 0x2f8 \(firmware's: SPCR\)", None),
      (r"port \d+: a hub", None), (r"port \d+, port 2 of its hub: a hub", None),
      (r"port \d+, port 3 of its hub: a keyboard", None), ("typed", TYPED[:3])]),
    ("usb-keyboard-plugged", ["qemu-xhci,id=x"],
     [(r"USB: 1 controller", ["device_add usb-kbd,id=k,bus=x.0"]),
      (KEYBOARD, None), ("typed", TYPED[:2]), ("", ["device_del k"]),
      (r"a keyboard has gone", ["device_add usb-hub,id=h,bus=x.0,port=2"]),
      (r"port \d+: a hub", ["device_add usb-kbd,id=k2,bus=x.0,port=2.1"]),
      (r"of its hub: a keyboard", None), ("typed", TYPED[:1]), ("", ["device_del k2"]),
      (r"a keyboard has gone", ["device_add usb-kbd,id=k3,bus=x.0,port=2.1"]),
      (r"of its hub: a keyboard", ["device_del h"]), (r"a hub has gone", None),
      ("", ["device_add usb-kbd,id=k4,bus=x.0"]), (KEYBOARD, None),
      ("typed", TYPED[:1])]),
]


def spcr(port, baud_code):
    """A Serial Port Console Redirection table, revision 2: a 16550 at an I/O port."""
    address = struct.pack("<BBBBQ", 1, 8, 0, 1, port)
    body = (bytes(4) + address + struct.pack("<BBIBBBBBBHHBBBIBI", 1, 3, 0, baud_code, 0, 1, 0, 0, 0,
                                             0xffff, 0xffff, 0, 0, 0, 0, 0, 0))
    table = bytearray(b"SPCR" + struct.pack("<IBB6s8sI4sI", 36 + len(body), 2, 0, b"TEST  ",
                                            b"CONSOLES", 1, b"TEST", 1) + body)
    table[9] = -sum(table) & 0xff
    return bytes(table)


class Failure(Exception):
    """What was expected and what came instead."""


class Machine:
    """One QEMU, its serial output, and its monitor."""

    def __init__(self, work, image, devices):
        self.output = os.path.join(work, "serial.log")
        self.card = os.path.join(work, "card.log")
        firmware = emulator.find_firmware((2, 4))
        argv = [shutil.which("qemu-system-x86_64") or "qemu-system-x86_64",
                "-machine", "q35", "-accel", "tcg", "-m", "256", "-bios", firmware.as_file(work),
                "-drive", f"file={image},format=raw,if=none,id=boot", "-device", "ide-hd,drive=boot",
                "-serial", "file:" + self.output, "-chardev", "file,id=card,path=" + self.card,
                "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-nic", "none",
                "-display", "none", "-monitor", "stdio", "-no-reboot"]
        if any("0x2f8" in device for device in devices):
            table = os.path.join(work, "spcr.bin")
            with open(table, "wb") as file:
                file.write(spcr(0x2f8, 4))
            argv += ["-acpitable", "file=" + table]
        for device in devices:
            argv += ["-device", device]
        self.log = open(os.path.join(work, "qemu.log"), "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=self.log,
                                        stderr=self.log)
        self.started = time.monotonic()

    def text(self):
        if not os.path.exists(self.output):
            return ""
        with open(self.output, "rb") as file:
            return file.read().decode("latin-1")

    def used_s(self):
        """Its processor time."""
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND

    def wait(self, pattern, position):
        """Waits until the output matches behind `position`; returns the match's end."""
        while True:
            ended = self.process.poll() is not None
            match = re.compile(pattern).search(self.text(), position)
            if match:
                return match.end()
            if ended:
                raise Failure(f"it ended while waiting for '{pattern}'")
            if self.used_s() > LIMIT_S or time.monotonic() - self.started > 10 * LIMIT_S:
                raise Failure(f"waited in vain for '{pattern}'")
            time.sleep(0.1)

    def command(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def type_keys(machine, keys, position):
    for name, wanted in keys:
        machine.command("sendkey " + name)
        pattern = r"\s+".join("key " + byte for byte in wanted.split())
        position = follow(machine, pattern, position)
    return position


def follow(machine, pattern, position):
    """Waits for the pattern, which must come next, with nothing in between."""
    end = machine.wait(pattern + r"\s", position)
    between = re.match(r"\s*" + pattern + r"\s", machine.text()[position:])
    if not between:
        raise Failure(f"found '{machine.text()[position:end]}'; expected only '{pattern}'")
    return end


def run_case(image, devices, steps, work):
    machine = Machine(work, image, devices)
    try:
        position = 0
        for pattern, then in steps:
            if pattern == "typed":
                position = type_keys(machine, then, position)
                continue
            position = machine.wait(pattern, position)
            if "a keyboard" in pattern:
                position = machine.wait(r"\n", position)
            for line in then or ():
                machine.command(line)
        machine.command("sendkey q")
        machine.wait("consoles: done", position)
        machine.process.wait(30)
        if "warning" in machine.text():
            raise Failure("the output has a warning")
        if any("chardev=card" in device for device in devices):
            with open(machine.card, "rb") as file:
                if b"hello from the card" not in file.read():
                    raise Failure("the card has sent nothing")
    except Failure as failure:
        return str(failure) + "\n" + "\n".join(machine.text().splitlines()[-15:])
    except (BrokenPipeError, subprocess.TimeoutExpired):
        return "the machine ended early, or did not end"
    finally:
        machine.end()
    return None


def main():
    names = sys.argv[1:]
    passed = failed = 0
    for name, devices, steps in CASES:
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as work:
            image = os.path.join(work, "disk.img")
            diskimage.build(image, os.path.join(TOP, "build", "consoles.efi"), None, {})
            started = time.monotonic()
            problem = run_case(image, devices, steps, work)
        seconds = time.monotonic() - started
        print(f"{'FAIL' if problem else 'ok':<5} {name:<44} {seconds:7.1f} s", flush=True)
        if problem:
            print("    " + problem.replace("\n", "\n    "), flush=True)
        passed, failed = passed + (not problem), failed + bool(problem)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
