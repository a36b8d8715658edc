#!/usr/bin/python3
"""Tests panes and the panic screen as they come out of a graphics card, and makes docs' pictures of them.

    tests/system/screens.py --bochs BOCHS [--pictures FOLDER]

BOCHS is version 3 or later, whose card UEFI has a driver for (2.7 has none: that is why tools/check
does not run this). Bochs's keyboard is typed on, and the card's memory read out of the emulator: Linux
only. A panic's QR code is read by zbarimg and compared with what the serial line said.

The last line is "N passed, N failed"; the exit status is 1 if any failed.
"""
import argparse
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import zlib

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
from pylib import emulator  # noqa: E402

WIDTH, HEIGHT = 1280, 800  # what OVMF chooses on this card
BAR = struct.pack("<I", 0xe5e5e5) * 64  # a piece of the line of panes, which ends the picture
LIMIT_S = 400
KEY_S = 0.4

CONFIG = """console = auto
[vm debian]
memory = 256M
trace = on
accounting = on
kernel = vmlinuz
initrd = initrd.img
cmdline = console=ttyS0 quiet cryptomgr.notests
[vm other]
memory = 128M
trace = on
kernel = badguest.elf
cmdline = do=spin
"""


class Failure(Exception):
    """What was expected and what came instead."""


class Machine:
    """One Bochs with a graphics card; its keyboard is the terminal that it runs on."""

    def __init__(self, path, work, image):
        plan = emulator.Bochs(path).plan(emulator.Settings(memory_mb=1024), image, work, 0)
        self.serial = os.path.join(work, "serial.log")
        config = plan.files["bochsrc"].replace("chipset=i440fx", "chipset=i440fx, slot1=pcivga")
        config = re.sub(r"com1: .*", f"com1: enabled=1, mode=file, dev={self.serial}", config)
        # What the terminal can't draw is no reason to end.
        config = config.replace("panic: action=fatal", "panic: action=fatal, TERM=report")
        plan.files["bochsrc"] = config + "vga: extension=vbe\n"
        for name, text in plan.files.items():
            with open(os.path.join(work, name), "w", encoding="ascii") as file:
                file.write(text)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(work)
            os.execve(plan.argv[0], plan.argv, dict(os.environ, TERM="xterm"))
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
        self.picture_at = None

    def pause(self, seconds):
        """Lets it run; what it draws on its terminal is thrown away."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([self.terminal], [], [], 0.1)[0]:
                continue
            try:
                os.read(self.terminal, 65536)
            except OSError:
                raise Failure("Bochs has ended") from None

    def text(self):
        if not os.path.exists(self.serial):
            return ""
        with open(self.serial, "rb") as file:
            return file.read().decode("latin-1")

    def wait(self, pattern):
        end = time.monotonic() + LIMIT_S
        while not re.search(pattern, self.text()):
            if time.monotonic() > end:
                raise Failure(f"waited in vain for '{pattern}'")
            self.pause(0.3)

    def type(self, keys):
        for key in keys:
            os.write(self.terminal, key.encode())
            self.pause(KEY_S)

    def _find_picture(self, memory):
        """The card's memory: the picture that ends with the line of panes."""
        best = (0, None)
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps:
            lines = [line.split() for line in maps]
        for line in lines:
            start, end = (int(word, 16) for word in line[0].split("-"))
            while "rw" in line[1] and start < end:
                try:
                    memory.seek(start)
                    piece = memory.read(min(8 << 20, end - start))
                except OSError:
                    break
                count = piece.count(BAR)
                if count > best[0]:
                    best = (count, start + piece.rfind(BAR) + len(BAR) - WIDTH * HEIGHT * 4)
                start += 8 << 20
        if not best[1]:
            raise Failure("there is no picture with a line of panes")
        return best[1]

    def picture(self):
        """Rows of pixels, four bytes each: blue, green, red, nothing."""
        with open(f"/proc/{self.pid}/mem", "rb", 0) as memory:
            if not self.picture_at:
                self.picture_at = self._find_picture(memory)
            memory.seek(self.picture_at)
            return memory.read(WIDTH * HEIGHT * 4)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def write_png(path, pixels):
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))

    rows = bytearray()
    for y in range(HEIGHT):
        row = pixels[y * WIDTH * 4:(y + 1) * WIDTH * 4]
        rgb = bytearray(WIDTH * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
        rows += b"\0" + rgb
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" +
                   chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)) +
                   chunk(b"IDAT", zlib.compress(bytes(rows), 9)) + chunk(b"IEND", b""))


def short(line):
    """A line of a report as the code carries it: vmm/lib/report_text.c."""
    return " ".join(re.sub(r"^0+(?=[0-9a-f])", "", word)
                    if re.match(r"[0-9a-f]{8}", word) else word for word in line.split())


def check_code(picture, serial):
    done = subprocess.run(["zbarimg", "-q", "--raw", "--nodbus", picture], check=False,
                          stdout=subprocess.PIPE, text=True)
    said = re.search(r"(?s)\[0\] (PANIC on core .*?)\r?\n\[0\] error: PANIC: halted", serial)
    lines = [short(re.sub(r"^\[0\] ", "", line)) for line in said.group(1).splitlines()]
    read = done.stdout.splitlines()
    left_out = [line for line in lines if line not in read]
    if not read or [line for line in lines if line in read] != [line for line in read if line]:
        raise Failure(f"the code says {done.stdout!r}")
    if len(left_out) > 4:
        raise Failure(f"the code lacks {left_out}")


def run(bochs, work, pictures):
    """Yields the name of each thing that holds."""
    config, image = os.path.join(work, "trapline.cfg"), os.path.join(work, "disk.img")
    with open(config, "w", encoding="ascii") as file:
        file.write(CONFIG)
    subprocess.run([os.path.join(TOP, "tools", "image"), "--config", config, "--output", image],
                   check=True, stdout=subprocess.DEVNULL)
    machine = Machine(bochs, work, image)

    def shot(name):
        path = os.path.join(pictures, name + ".png")
        machine.pause(4)
        pixels = machine.picture()
        write_png(path, pixels)
        return path, pixels

    try:
        machine.wait(r"root@debian:/# ")
        _, everything = shot("all-panes")
        machine.type("\x014")
        machine.type("uname -a\r")
        machine.wait(r"GNU/Linux(?s:.*)root@debian:/# ")
        _, guest = shot("guest-pane")
        if guest == everything:
            raise Failure("another pane is the same picture")
        yield "a guest's pane"
        machine.type("\x01")
        machine.type("vms\rexits debian\rregs debian\r")
        _, monitor = shot("monitor-pane")
        machine.type("quit\r")
        if shot("guest-pane")[1] != guest or monitor == guest:
            raise Failure("the pane is not as it was before the monitor")
        yield "the monitor's pane, and back"
        machine.type("\x01panic fault\r")
        machine.wait("PANIC: halted")
        check_code(shot("panic")[0], machine.text())
        yield "a panic's code"
    finally:
        machine.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bochs", required=True, help="Bochs 3 or later")
    parser.add_argument("--pictures", help="where pictures go; without it nowhere")
    options = parser.parse_args()
    passed, failed = 0, 0
    with tempfile.TemporaryDirectory() as work:
        try:
            for name in run(options.bochs, work, options.pictures or work):
                print("ok    " + name, flush=True)
                passed += 1
        except (Failure, emulator.EmulatorError) as problem:
            print(f"FAIL  {problem}")
            failed = 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed)


if __name__ == "__main__":
    main()
