# Programs that run inside VMs: build/guest/<name>.elf, multiboot 1. Each folder of GUEST_PROGRAMS
# is one program, linked with guest/lib. Linked as 64-bit code, then turned into the 32-bit ELF that
# multiboot 1 loaders take.
GUEST_PROGRAMS := selftest bench badguest owncore
GUEST_CFLAGS := -std=gnu17 -O2 -g $(WARN) -Iguest/lib -ffreestanding -fno-pic -fno-pie -mcmodel=small \
                -mgeneral-regs-only -mno-red-zone -fno-stack-protector -fcf-protection=none \
                -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns \
                -fno-strict-aliasing -ffile-prefix-map=$(CURDIR)=.

GUEST_LIB_OBJS := $(patsubst guest/%.c,$(BUILD)/guest/obj/%.o,$(sort $(wildcard guest/lib/*.c))) \
                  $(patsubst guest/%.asm,$(BUILD)/guest/obj/%.asm.o,$(sort $(wildcard guest/lib/*.asm)))

$(BUILD)/guest/obj/%.o: guest/%.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	@$(CC) $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/guest/obj/%.asm.o: guest/%.asm
	@mkdir -p $(@D)
	@echo '  NASM  $<'
	@$(NASM) $(NASMFLAGS) -I guest/lib/ -MD $(@:.o=.d) $< -o $@

define guest_program
$(1)_OBJS := $$(patsubst guest/%.c,$(BUILD)/guest/obj/%.o,$$(sort $$(wildcard guest/$(1)/*.c))) \
             $$(patsubst guest/%.asm,$(BUILD)/guest/obj/%.asm.o,$$(sort $$(wildcard guest/$(1)/*.asm)))
$(BUILD)/guest/$(1).elf: $$($(1)_OBJS) $$(GUEST_LIB_OBJS) guest/lib/guest.lds
	@echo '  LD    $$@'
	@ld -m elf_x86_64 -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments \
	   --build-id=none -T guest/lib/guest.lds $$($(1)_OBJS) $$(GUEST_LIB_OBJS) -o $$(@:.elf=.elf64)
	@$(OBJCOPY) -O elf32-i386 $$(@:.elf=.elf64) $$@
-include $$($(1)_OBJS:.o=.d)
endef
$(foreach program,$(GUEST_PROGRAMS),$(eval $(call guest_program,$(program))))
-include $(GUEST_LIB_OBJS:.o=.d)

guests: $(GUEST_PROGRAMS:%=$(BUILD)/guest/%.elf)
# EXIT_COST=N: what N cycles for each VM exit would make of it.
bench:
	tools/bench $(if $(EXIT_COST),--exit-cost $(EXIT_COST))
# The committed result of tools/bench as a picture.
chart:
	tools/chart
.PHONY: guests bench chart
