# The exit laboratory: build/guest/lab.elf holds the guests of all experiments, one folder each, and
# build/gen/lab_table.c what the hypervisor does with them. A folder's objects are linked into one and
# keep no name but their entry, so that folders do not know of each other.
LAB_NAMES := $(patsubst guest/lab/%/experiment.txt,%,$(sort $(wildcard guest/lab/*/experiment.txt)))
LAB_TEXTS := $(LAB_NAMES:%=guest/lab/%/experiment.txt)
LAB_OBJS  := $(LAB_NAMES:%=$(BUILD)/guest/lab/%.o)
LAB_LIB_OBJS := $(patsubst guest/%.c,$(BUILD)/guest/obj/%.o,$(sort $(wildcard guest/lab/lib/*.c))) \
                $(BUILD)/guest/obj/lab/guests.o
lab_symbol = lab_main_$(subst -,_,$(1))

define lab_guest
$(BUILD)/guest/lab/$(1).o: $$(patsubst guest/%.c,$(BUILD)/guest/obj/%.o,$$(sort $$(wildcard guest/lab/$(1)/*.c))) \
                           $$(patsubst guest/%.asm,$(BUILD)/guest/obj/%.asm.o,$$(sort $$(wildcard guest/lab/$(1)/*.asm)))
	@mkdir -p $$(@D)
	@ld -r -m elf_x86_64 -z noexecstack $$^ -o $$@.all
	@$(OBJCOPY) --redefine-sym guest_main=$(call lab_symbol,$(1)) --keep-global-symbol=$(call lab_symbol,$(1)) $$@.all $$@
endef
$(foreach name,$(LAB_NAMES),$(eval $(call lab_guest,$(name))))

$(BUILD)/guest/obj/lab/%.o: guest/lab/%.c
	@mkdir -p $(@D)
	@echo '  GUEST $<'
	@$(CC) $(GUEST_CFLAGS) -Iguest/lab/lib -MMD -MP -c $< -o $@

$(BUILD)/guest/gen/lab_guests.c: $(LAB_TEXTS) tools/gen-lab tools/pylib/lab.py arch/x86/vmx/exits.def
	@mkdir -p $(@D)
	@tools/gen-lab guests > $@.part && mv $@.part $@

$(BUILD)/guest/obj/lab/guests.o: $(BUILD)/guest/gen/lab_guests.c
	@mkdir -p $(@D)
	@$(CC) $(GUEST_CFLAGS) -Iguest/lab/lib -MMD -MP -c $< -o $@

$(BUILD)/guest/lab.elf: $(LAB_OBJS) $(LAB_LIB_OBJS) $(GUEST_LIB_OBJS) guest/lib/guest.lds
	@echo '  LD    $@'
	@ld -m elf_x86_64 -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments \
	   --build-id=none -T guest/lib/guest.lds $(LAB_OBJS) $(LAB_LIB_OBJS) $(GUEST_LIB_OBJS) -o $(@:.elf=.elf64)
	@$(OBJCOPY) -O elf32-i386 $(@:.elf=.elf64) $@

# What the hypervisor knows of them.
$(BUILD)/gen/lab_table.c: $(LAB_TEXTS) tools/gen-lab tools/pylib/lab.py arch/x86/vmx/exits.def \
                          arch/x86/vmx/vm_policy.def arch/x86/vmx/vmcs_fields.def
	@mkdir -p $(@D)
	@echo '  LAB   $@'
	@tools/gen-lab table > $@.part && mv $@.part $@

$(BUILD)/obj/gen/lab_table.o: $(BUILD)/gen/lab_table.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

guests: $(BUILD)/guest/lab.elf

# EXERCISE=NAME: the handler of one row of exits.def is exercises/NAME.c. Only the object that holds the
# dispatch table is another one: its reference to Trapline's handler becomes one to the student's.
ifneq ($(EXERCISE),)
EXERCISE_DIR := $(BUILD)/exercise/$(EXERCISE)
EXERCISE_EFI := $(EXERCISE_DIR)/BOOTX64.EFI
EXERCISE_HANDLER := $(shell tools/gen-exercises handler $(EXERCISE))
ifeq ($(EXERCISE_HANDLER),)
$(error no exercise '$(EXERCISE)')
endif
EXERCISE_OBJS := $(filter-out $(BUILD)/obj/arch/x86/vmx/run.o,$(OBJS)) $(EXERCISE_DIR)/run.o $(EXERCISE_DIR)/handler.o
$(EXERCISE_DIR)/run.o: $(BUILD)/obj/arch/x86/vmx/run.o
	@mkdir -p $(@D)
	@$(OBJCOPY) --redefine-sym $(EXERCISE_HANDLER)=exercise_$(EXERCISE) $< $@
exercises/$(EXERCISE).c:
	@tools/gen-exercises start $(EXERCISE)
$(EXERCISE_DIR)/handler.o: exercises/$(EXERCISE).c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$(EXERCISE_DIR)/trapline.so: $(EXERCISE_OBJS) boot/trapline.lds
	@ld -nostdlib -znocombreloc -ztext -zmax-page-size=4096 --hash-style=gnu -shared -Bsymbolic --no-undefined \
	   -T boot/trapline.lds --build-id=none $(GNUEFI_LIB)/crt0-efi-x86_64.o $(EXERCISE_OBJS) -L$(GNUEFI_LIB) -lgnuefi -o $@
$(EXERCISE_EFI): $(EXERCISE_DIR)/trapline.so
	@SOURCE_DATE_EPOCH=0 $(OBJCOPY) -S -j .text -j .rodata -j .rela -j .relro -j .dynamic -j .reloc -j .data -j .bss \
	   --target=efi-app-x86_64 --subsystem=10 $< $@
grade: $(EXERCISE_EFI) $(BUILD)/guest/lab.elf
	@tools/grade $(EXERCISE) $(LAB_ARGUMENTS)
lab: $(EXERCISE_EFI) $(BUILD)/guest/lab.elf
	@tools/lab --experiment $(EXERCISE) --output $(EXERCISE_DIR) --efi $(EXERCISE_EFI) $(LAB_ARGUMENTS)
else
grade:
	@echo "make grade EXERCISE=NAME; docs/exercises.md has them"; exit 2
# EXPERIMENT=NAME: one of them, in full.
lab: $(BUILD)/BOOTX64.EFI $(BUILD)/guest/lab.elf
	@tools/lab $(if $(EXPERIMENT),--experiment $(EXPERIMENT)) $(LAB_ARGUMENTS)
endif
# The same in a debug build, which also tells of each VMREAD and VMWRITE of the first exit.
LIFE := $(BUILD)/debug
life: $(BUILD)/guest/lab.elf
	@$(MAKE) --no-print-directory -s BUILD=$(LIFE) DEBUG=1 $(LIFE)/BOOTX64.EFI
	@tools/lab --experiment $(or $(EXPERIMENT),cpuid) --output $(LIFE)/lab --efi $(LIFE)/BOOTX64.EFI $(LAB_ARGUMENTS)
# QUESTION=Q3: one of them.
quiz: $(BUILD)/BOOTX64.EFI $(BUILD)/guest/lab.elf
	@tools/quiz $(QUESTION) $(LAB_ARGUMENTS)
lab-names:
	@tools/gen-lab names
lab-docs:
	@tools/gen-lab docs && tools/gen-exercises docs
.PHONY: lab life lab-names lab-docs grade quiz
-include $(wildcard $(BUILD)/guest/obj/lab/*.d $(BUILD)/guest/obj/lab/*/*.d $(BUILD)/exercise/*/*.d)
