"""System tests with the project's own guests: the self-test from inside a VM, guests that misbehave
beside one that must not notice, and the bench guest. build/guest/*.elf come from `make guests`."""
from framework import Test

ALL_PASSED = r"^(\[\w+\] )?\d+ passed, 0 failed, \d+ skipped$"


def vm(name, kernel, cmdline="", vcpus=1, memory="32M"):
    """One [vm] section."""
    line = f"cmdline = {cmdline}\n" if cmdline else ""
    return f"[vm {name}]\nvcpus = {vcpus}\nmemory = {memory}\nkernel = {kernel}\n{line}"


def config(*sections):
    return "console = serial\n" + "".join(sections)


def bad(deed, rounds=2000):
    return vm(deed, "badguest.elf", f"do={deed} rounds={rounds}")


# The neighbour: the sections that do not mind being held up by others for a while.
GOOD = vm("good", "selftest.elf", "quiet=1 only=cpuid,msr,mtrr,cr,xsave,insn,user,port,exception,paging,modes")
GOOD_ENDS = [r"\[good\] \d+ passed, 0 failed", r"RESULT vm=good status=0 reason=debug-exit"]


def selftest(name, vcpus=1, **others):
    return Test(f"selftest{name}", config(vm("selftest", "selftest.elf", vcpus=vcpus,
                                             memory="64M")),
                expect=[ALL_PASSED, r"RESULT vm=selftest status=0 reason=debug-exit"], **others)


# What ends with a crash of its VM, and the reason that Trapline must give.
FATAL = {
    "triple-fault": "triple fault",
    "no-memory": "executed from memory that is not there, 0xd0000000",
    "mmio-jump": "executed from memory that is not there, 0xfec00000",
    "bad-tables": "page tables in memory that is not there",
    "bad-cr3-read": "page tables in memory that is not there",
    "no-idt": "an event was to be delivered through memory that is not there",
    "stack": "triple fault",
    "init": "executed from memory that is not there, 0xfffffff0",
}
SURVIVING = ("ports", "mmio", "apic", "msrs", "registers", "self-modify", "console", "nmi-storm",
             "irq-storm", "debug", "long-rep", "shutdown")
FOR_EVER = ("spin", "halt", "dead")



def both_reset(text):
    """Whether each of the two that start over did so again and again."""
    for line in ("vm reset: reset", "vm triple-fault: reset",
                 "warning: vm triple-fault vCPU 0: triple fault"):
        if text.count(line) < 2:
            return f"'{line}' is there {text.count(line)} times"
    return None


TESTS = [
    # The machine is started over by whichever core ends last, and comes up again. In Bochs up to 3.0
    # the chipset loses the PM timer's port at such a reset, and firmware waits for it without end:
    # hence a long one, which is run with a newer Bochs.
    Test("on-exit-reset", "on-exit = reset\n" + config(vm("a", "selftest.elf", "only=cpuid")),
         cpus=2, limit_s=60, long=True, needs="bochs-3", shell=["fs0:", "trapline.efi"],
         until=r"starting the machine over(?s:.*)Trapline preflight",
         expect=[r"RESULT vm=a status=0", r"all VMs have ended: starting the machine over",
                 r"Trapline preflight"]),
    selftest("-1-vcpu"),
    selftest("-2-vcpus-on-1-core", vcpus=2, cpus=1),
    selftest("-2-vcpus-on-2-cores", vcpus=2, cpus=2, limit_s=300),
    # Both on one core, and the other one never gives it up: a timer that ends a HLT takes it back.
    Test("hlt-beside-a-guest-that-spins",
         config(bad("spin"), vm("good", "selftest.elf", "quiet=1 only=x2apic")),
         expect=[r"\[good\] \d+ passed, 0 failed"], until=r"RESULT vm=good status=0", limit_s=40),
    selftest("-4-vcpus-on-2-cores", vcpus=4, cpus=2, limit_s=400, long=True),
    # All measures that there are, on a processor that has the registers for them.
    Test("selftest-mitigations-full",
         "mitigations = full\n" + config(vm("selftest", "selftest.elf", vcpus=2, memory="64M",
             cmdline="quiet=1 only=cpuid,msr,insn,port,mmio,exception,lapic,smp,state")),
         cpus=1, cpu_model="corei7_icelake_u",
         expect=[ALL_PASSED, r"RESULT vm=selftest status=0 reason=debug-exit"]),
    Test("selftest-twice-on-1-core",
         config(vm("a", "selftest.elf", "shared=1 quiet=1", memory="64M"),
                vm("b", "selftest.elf", "shared=1 quiet=1", memory="64M")),
         cpus=1, limit_s=300,
         expect=[r"RESULT vm=[ab] status=0 reason=debug-exit",
                 r"RESULT vm=[ab] status=0 reason=debug-exit"]),
    Test("bench-guest", config(vm("bench", "bench.elf", "rounds=50")),
         expect=[r"^BENCH cpuid-0 ", r"^BENCH-JSON-END$", r"RESULT vm=bench status=0"],
         reject=[r"^BENCH-FAILED"]),
    # They never end: the neighbour does, and then it is over.
    Test("bad-guests-for-ever", config(*[bad(deed) for deed in FOR_EVER], GOOD), limit_s=300,
         until=GOOD_ENDS[1], expect=GOOD_ENDS),
    # The second vCPU waits for a start-up message each time anew.
    Test("bad-guests-that-reset-for-ever",
         config(vm("reset", "badguest.elf", "do=reset", vcpus=2), bad("triple-fault") + "triple-fault = reset\n", GOOD), limit_s=300,
         until=GOOD_ENDS[1], expect=GOOD_ENDS, check=both_reset, reject=[r"stopped: "]),
]

for deeds in (("triple-fault", "no-memory", "mmio-jump", "stack"),
              ("bad-tables", "bad-cr3-read", "no-idt", "init")):
    # A crash is the first result that is not 0, so it is the status of the run.
    TESTS.append(Test("bad-guests-" + "-".join(deeds[:2]),
                      config(*[bad(deed) for deed in deeds], GOOD), status=254, limit_s=300,
                      expect=[rf"vm {deeds[-1]}: stopped: {FATAL[deeds[-1]]}", *GOOD_ENDS],
                      reject=[r"still here"]))

# A configuration has room for eight VMs.
for name, deeds in (("devices", SURVIVING[:6]), ("interrupts", SURVIVING[6:])):
    TESTS.append(Test(f"bad-guests-that-survive-{name}", config(*[bad(deed) for deed in deeds], GOOD),
                      limit_s=300, expect=GOOD_ENDS[1:],
                      reject=[r"RESULT vm=\S+ status=(?!0 )", r"vm \S+: stopped"]))

# The processor models that take other ways through the hypervisor.
for model in ("corei7_haswell_4770", "corei3_cnl", "corei7_icelake_u"):
    TESTS.append(selftest(f"-{model}", cpu_model=model, long=model == "corei7_haswell_4770"))
