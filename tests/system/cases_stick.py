"""The stick under bad conditions, and Secure Boot: on QEMU without VT-x, whose firmware has both. What
is looked at is the machine check's page, and what is said about the stick.
"""
import os
import socket
import struct
import subprocess
import tempfile
import time

from framework import TOP, Failure, Test

PREFLIGHT = "mode = preflight\n"
PAGE = r"configuration +this page alone"
BACK = r"Back to the firmware in 3 seconds"
NOT_WRITTEN = r"This page could not be written to the boot volume: "
SECTOR_BYTES = 512
REFUSED = 126
NO_RESULT = 125


def menu(*files):
    return "menu = 0\n" + "".join(f"[menu Entry {name}]\nconfig = {name}\n" for name in files)


def call(*argv):
    done = subprocess.run(argv, check=False, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(os.environ, MTOOLS_SKIP_CHECK="1"))
    if done.returncode:
        raise Failure(done.stdout)
    return done.stdout


def signed():
    """The EFI program, signed with the key that the firmware of --secure-boot knows."""
    with tempfile.TemporaryDirectory() as folder:
        call(os.path.join(TOP, "tools", "sign"), "--test-key", "--output", folder)
        with open(os.path.join(folder, "BOOTX64.EFI"), "rb") as file:
            return file.read()


def fill_up(image):
    """Not one cluster is left."""
    with open(image, "rb") as file:
        cluster = file.read(SECTOR_BYTES)[13] * SECTOR_BYTES
    last = call("mdir", "-i", image, "::/").split("bytes free")[0].splitlines()[-1]
    filler = image + ".filler"
    with open(filler, "wb") as file:
        file.truncate(int(last.replace(" ", "")) // cluster * cluster)
    try:
        call("mcopy", "-i", image, filler, "::/filler")
    finally:
        os.unlink(filler)


def break_chain(name):
    """The file's clusters end after the first, in both tables: what a stick is like that was pulled
    out while an operating system wrote to it."""
    def change(image):
        shown = call("mshowfat", "-i", image, "::/" + name)
        first = int(shown.split("<")[1].split("-")[0].split(">")[0])
        with open(image, "r+b") as file:
            boot = file.read(SECTOR_BYTES)
            reserved, tables = struct.unpack_from("<HB", boot, 14)
            sectors = struct.unpack_from("<H", boot, 22)[0]
            if sectors == 0:
                raise Failure("the image is FAT32; FAT16 was expected")
            for table in range(tables):
                file.seek((reserved + table * sectors) * SECTOR_BYTES + 2 * first)
                file.write(b"\0\0")
    return change


def make_usb(image):
    """The image of `make usb`: a GPT, the menu, and what its entries need."""
    call(os.path.join(TOP, "tools", "usb"), "--kernel", "cloud", "--output", image)


def reports_are_there(image):
    for name, words in (("preflight.txt", ("Trapline preflight", "Secure Boot")),
                        ("machine.txt", ("firmware: ", "EDK II, ", "cpuid 00000001.0",
                                         "memory map: "))):
        text = call("mtype", "-i", image, "::/trapline/" + name)
        for word in words:
            if word not in text:
                return f"\\trapline\\{name} does not say '{word}'"
    return None


def pull(folder):
    """The stick leaves its socket."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(os.path.join(folder, "m"))
        monitor.sendall(b"device_del stick\n")
        time.sleep(1)


TESTS = [
    Test("secure-boot-refuses-unsigned", PREFLIGHT, host="tcg", limit_s=40,
         arguments=["--secure-boot"], reject=[r"^Trapline"],
         until=r"failed to load Boot0001 .*: Access Denied",
         expect=[r"failed to load Boot0001 .*: Access Denied"]),
    Test("secure-boot-starts-signed", PREFLIGHT, host="tcg", limit_s=40,
         files={"signed.efi": signed}, efi="signed.efi", arguments=["--secure-boot"], until=BACK,
         expect=[PAGE, r"Secure Boot +on, and it has accepted this image", BACK]),
    Test("stick-usb", PREFLIGHT, host="tcg", limit_s=40, arguments=["--stick"], until=BACK,
         expect=[PAGE, BACK], reject=[NOT_WRITTEN], volume=reports_are_there),
    Test("stick-of-make-usb", PREFLIGHT, host="tcg", limit_s=40, image=make_usb, status=NO_RESULT,
         arguments=["--stick"],
         dialogue=[(r"> 1  This machine inside Trapline", "4"),
                   (r"> 4  Check this machine, start nothing", "\r"),
                   (PAGE, ""), (r"Press a key to go on, to the menu", " "),
                   (r"> 4  Check this machine, start nothing", "\x1b"),
                   (r"Shell> ", "reset -s\r")]),
    Test("stick-read-only", menu("a.cfg"), files={"a.cfg": PREFLIGHT.encode()}, host="tcg",
         limit_s=40, arguments=["--read-only"], status=NO_RESULT,
         dialogue=[(r"> 1  Entry a\.cfg", "\r"),
                   (PAGE, ""), (NOT_WRITTEN + r"the volume, or the file, is write-protected", ""),
                   (r"Press a key to go on, to the menu", " "),
                   (r"The choice could not be remembered: the volume, or the file, is ", ""),
                   (r"write-protected\.", "\x1b"),
                   (r"Shell> ", "reset -s\r")]),
    Test("stick-full", PREFLIGHT, host="tcg", limit_s=40, image=fill_up, until=BACK,
         expect=[PAGE, NOT_WRITTEN + "the volume is full", BACK]),
    Test("stick-damaged", PREFLIGHT + "# filler\n" * 5000, host="tcg", limit_s=40,
         image=break_chain("trapline.cfg"), status=REFUSED,
         expect=[r"TRAPLINE: refused: the configuration 'trapline\.cfg': reading failed after "
                 r"0 of 45\d+ bytes: volume corrupted"]),
    # The menu is in memory; what it names is not. It comes back with the reason, as often as asked.
    Test("stick-pulled", menu("a.cfg"), files={"a.cfg": PREFLIGHT.encode()}, host="tcg",
         limit_s=40, status=NO_RESULT, arguments=["--stick", "--stay", "--monitor", "{folder}/m"],
         dialogue=[(r"> 1  Entry a\.cfg", pull), ("", "\r"),
                   (r"TRAPLINE: refused: the stick, or the disk, that Trapline was started from is "
                    r"no longer there", ""),
                   (r"Press a key to go on, to the menu", " "),
                   (r"> 1  Entry a\.cfg(?s:.*)Entry a\.cfg: refused: ", "\x1b"),
                   (r"Shell> ", "reset -s\r")]),
]
