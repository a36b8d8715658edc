"""Builds the disk image that Trapline starts from: one FAT volume with the EFI program, the config
and the files that the config names.

The same input gives the same image byte for byte: times, volume number and order are fixed.
Written with mtools, so that no root is needed.
"""
import argparse
import os
import shutil
import subprocess
import tempfile

from . import config as config_file

SECTOR_BYTES = 512
# The image is a whole number of cylinders of this geometry, which every emulator accepts.
HEADS, SECTORS_PER_TRACK = 16, 63
CYLINDER_SECTORS = HEADS * SECTORS_PER_TRACK
FAT16_LIMIT_BYTES = 480 << 20
VOLUME_NUMBER = "54524150"
# 2020-01-01 00:00:00 UTC
FIXED_TIME = 1577836800


class ImageError(Exception):
    """What is wrong, in words for the person who called."""


def volume_path(written):
    """The path on the volume that a config's file name means, with '/' between its parts."""
    parts = [part for part in written.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        return None
    return "/".join(parts)


def addition(text):
    """(path on the volume, file) of "NAME=FILE"."""
    name, equals, path = text.partition("=")
    if not equals or not volume_path(name):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE with a name on the volume")
    return volume_path(name), path


def find_file(written, folders):
    path = volume_path(written)
    for folder in folders if path else ():
        candidate = os.path.join(folder, path)
        if os.path.isfile(candidate):
            return candidate
    return None


def read_all(config_path, folders):
    """The config, and if it is a menu, what its entries' files need too."""
    parsed = config_file.read_config(config_path)
    for mention in parsed.entries:
        found = find_file(mention.path, folders)
        if found:
            parsed.absorb(config_file.read_config(found))
    return parsed


def collect_from(config_path, folders, files, missing):
    """Fills `files` and `missing`, by way of a menu's entries too."""
    parsed = config_file.read_config(config_path)
    for mention in parsed.mentions:
        found = find_file(mention.path, folders)
        if not found and mention.required:
            missing.append(f"{config_path}:{mention.line}: {mention.key} = {mention.path}: "
                           "no such file; looked in " + ", ".join(folders))
        elif found and volume_path(mention.path) not in files:
            files[volume_path(mention.path)] = found
            if mention in parsed.entries:
                collect_from(found, folders, files, missing)


def collect(config_path, folders, allow_missing=False):
    """{path on the volume: file on this machine} for everything that the config names."""
    files, missing = {}, []
    try:
        collect_from(config_path, folders, files, missing)
    except OSError as error:
        raise ImageError(f"{error.filename}: {error.strerror}; expected a trapline.cfg "
                         "(examples/ has some)") from error
    if missing and not allow_missing:
        raise ImageError("\n".join(missing))
    return files


def geometry(content_bytes):
    """(sectors, sectors per cluster, is FAT32) of a volume that holds this much, with some room."""
    wanted = content_bytes + content_bytes // 16 + (4 << 20)
    wanted = max(wanted, 8 << 20)
    sectors = -(-wanted // SECTOR_BYTES)
    sectors = -(-sectors // CYLINDER_SECTORS) * CYLINDER_SECTORS
    if wanted <= FAT16_LIMIT_BYTES:
        cluster = 1
        # A FAT16 volume has at least 4,085 and fewer than 65,525 clusters.
        while sectors // cluster > 60000:
            cluster *= 2
        return sectors, cluster, False
    cluster = 8
    return max(sectors, 70000 * cluster // CYLINDER_SECTORS * CYLINDER_SECTORS), cluster, True


def run_mtools(arguments):
    environment = dict(os.environ, TZ="UTC", LC_ALL="C", MTOOLS_SKIP_CHECK="1",
                       SOURCE_DATE_EPOCH=str(FIXED_TIME), MTOOLSRC="/dev/null")
    try:
        done = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError as error:
        raise ImageError(f"{arguments[0]} is missing; tools/setup run installs it") from error
    if done.returncode:
        raise ImageError(f"{' '.join(arguments)} failed: {done.stdout.strip()}")


def format_volume(image, sectors, cluster, fat32):
    with open(image, "wb") as file:
        file.truncate(sectors * SECTOR_BYTES)
    command = ["mformat", "-i", image, "-N", VOLUME_NUMBER, "-v", "TRAPLINE", "-T", str(sectors),
               "-h", str(HEADS), "-s", str(SECTORS_PER_TRACK), "-c", str(cluster)]
    run_mtools(command + (["-F"] if fat32 else []) + ["::"])


def fill_volume(image, files):
    folders = set()
    for path in files:
        parts = path.split("/")[:-1]
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    for folder in sorted(folders):
        run_mtools(["mmd", "-i", image, "::/" + folder])
    with tempfile.TemporaryDirectory() as work:
        for path in sorted(files):
            copy = os.path.join(work, "file")
            shutil.copyfile(files[path], copy)
            os.utime(copy, (FIXED_TIME, FIXED_TIME))
            run_mtools(["mcopy", "-i", image, "-m", "-o", copy, "::/" + path])


def build(output, efi, config_path, files, extra=None, shell_script=None):
    """Writes the image. `files` as collect() gives them; `extra` are more, by path on the volume.
    With a `shell_script` firmware finds nothing to start but its own shell, which runs that."""
    contents = {"EFI/BOOT/BOOTX64.EFI": efi}
    if shell_script:
        contents = {"trapline.efi": efi, "startup.nsh": shell_script}
    if config_path:
        contents["trapline.cfg"] = config_path
    contents.update(files)
    contents.update(extra or {})
    for path in contents.values():
        if not os.path.isfile(path):
            raise ImageError(f"{path}: no such file; `make` builds the EFI program")
    total = sum(os.path.getsize(path) for path in contents.values())
    partial = output + ".new"
    format_volume(partial, *geometry(total))
    fill_volume(partial, contents)
    os.replace(partial, output)
