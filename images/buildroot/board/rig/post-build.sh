#!/bin/sh
# SPDX-License-Identifier: MIT
# Called by Buildroot with the target's directory before it packs the root filesystem.
set -eu
target=$1

# The agent is the first process and mounts, sets up the network and starts the SSH server itself.
rm -rf "$target/etc/init.d" "$target/etc/inittab" "$target/etc/network" "$target/etc/profile.d"
# Mount points and directories that the agent expects on a root that is read-only below its tmpfs.
for directory in dev proc sys run tmp root payload; do
	mkdir -p "$target/$directory"
done
# What nobody in a guest reads.
rm -rf "$target/usr/share/bash-completion" "$target/usr/share/man" "$target/usr/share/doc" "$target/usr/share/info"
# A link that leads into /run of another system would shadow what dropbear is told on its command line.
rm -rf "$target/etc/dropbear"

[ -x "$target/bin/busybox" ] || { echo "post-build: there is no BusyBox in the image" >&2; exit 1; }
[ -x "$target/usr/sbin/rig-agent" ] || { echo "post-build: there is no agent in the image" >&2; exit 1; }
