#!/bin/sh
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs inside a new image once its packages are installed. What Debian ships in
# /etc/ssh and /etc/sysctl.d stays as it is: that is what the tests are about.
set -eu

useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
install -d -m 700 -o admin -g admin /home/admin/.ssh

# Each container gets a host key of its own.
rm -f /etc/ssh/ssh_host_*

# A privileged container sees the machine's consoles and kernel: no login prompts
# on the ones, no modules into the other.
for unit in getty.target console-getty.service autovt@.service systemd-modules-load.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done

# At boot, systemd applies all of sysctl.d. Only net.* is private to a container;
# kernel.* and fs.* would change the machine itself.
drop_in=/etc/systemd/system/systemd-sysctl.service.d
mkdir -p "$drop_in"
cat >"$drop_in/only-this-container.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-sysctl --prefix=/net/ipv4 --prefix=/net/ipv6
UNIT
