"""System tests of the exit laboratory: nothing fails, on an old processor model and on the newest;
and what it says to a name that it does not know."""
import os

from framework import Test

LAB = {"lab.elf": os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build",
                               "guest", "lab.elf")}
NO_FAILURE = r"^LAB total pass=\d+ known=\d+ fail=0 skipped=\d+ ticks=\d+ leaked=0"

TESTS = [
    Test("lab-all", "console = serial\nlab = lab.elf\n", files=LAB, limit_s=300,
         expect=[r"^LAB machine ", NO_FAILURE, r"RESULT vm=lab status=0 reason=lab"],
         reject=[r"verdict=FAIL"]),
    Test("lab-all-icelake", "console = serial\nlab = lab.elf\n", files=LAB, limit_s=300,
         cpu_model="corei7_icelake_u", long=True,
         expect=[NO_FAILURE, r"RESULT vm=lab status=0 reason=lab"], reject=[r"verdict=FAIL"]),
    Test("lab-one", "console = serial\nlab = lab.elf\nexperiment = cpuid\n", files=LAB, limit_s=120,
         expect=[r"^LAB exit n=1 reason=10 name=CPUID .*length=0x2 .*GUEST_RIP:",
                 r"^LAB end experiment=cpuid variant= reason=10 verdict=pass"]),
    Test("lab-unknown", "console = serial\nlab = lab.elf\nexperiment = cpiud\n", files=LAB,
         limit_s=120, status=2,
         expect=[r"there is no experiment 'cpiud'", r"^LAB nearest name=cpuid",
                 r"RESULT vm=lab status=2 reason=lab"]),
]
