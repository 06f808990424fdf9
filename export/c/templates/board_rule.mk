# @{description}: needs @{packages} (packages of Debian and Ubuntu).
replay-@{board}: build/replay-@{board}.elf
	@@{emulator} $<

build/replay-@{board}.elf: $(REPLAY) $(wildcard board/*)
	@mkdir -p build
	@{compiler} @{flags} $(BOARD_FLAGS) @{linker_flags} @{prefix}.c replay.c replay_main.c @{sources} -lgcc -o $@

