# Targets only call scripts; see README.md.
.PHONY: flannel test bench flannel-qemu

# Sets up this machine and brings up the flannel lab.
flannel:
	scripts/up flannel

# Sets up this machine and runs every test.
test:
	scripts/test

# The flannel lab in virtual machines with its whole proof, and destroy; 15 to 20 minutes under emulation.
flannel-qemu:
	scripts/flannel-qemu

# The figures of README.md.
bench:
	scripts/bench
