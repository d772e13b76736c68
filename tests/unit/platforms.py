# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
What systems that we cannot boot ship: the directives of their packages' files, how their sshd runs, who reloads it.

Of files in sysctl.d only the names count here, since none of them sets a key of ours. A path that ends in a slash is
an empty directory.
"""

from __future__ import annotations

from typing import NamedTuple

SSHD = "/etc/ssh/sshd_config"
SSH = "/etc/ssh/ssh_config"
SSHD_DROP_IN = "/etc/ssh/sshd_config.d/00-keepalive.conf"
SSH_DROP_IN = "/etc/ssh/ssh_config.d/00-keepalive.conf"
_SSHD_INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"
_SSH_INCLUDE = "Include /etc/ssh/ssh_config.d/*.conf\n"
_LOCALE = "LANG LC_CTYPE LC_NUMERIC LC_TIME LC_COLLATE LC_MONETARY LC_MESSAGES\n"


class Platform(NamedTuple):
    """One system."""

    #: Package, version and file, and where they were read.
    sources: tuple[str, ...]
    #: Path to text.
    files: dict[str, str]
    #: Symbolic links, each with what it leads to.
    links: tuple[tuple[str, str], ...] = ()
    #: The files that get our values; "" where the layer is not managed.
    sshd_place: str = SSHD_DROP_IN
    ssh_place: str = SSH_DROP_IN
    #: The listening sshd: its program, its title in /proc, its cgroup, and whether pid 1 shares its socket.
    program: str = "/usr/sbin/sshd"
    title: str = "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"
    cgroup: str = "0::/system.slice/sshd.service\n"
    socket_unit: bool = False
    #: What makes it read its files.
    reload: tuple[str, ...] = ("systemctl", "reload", "sshd.service")


def _names(directory: str, *names: str) -> dict[str, str]:
    return {f"{directory}/{name}.conf": "" for name in names}


_REDHAT_SYSCTL = {
    "/etc/sysctl.conf": "",
    "/etc/sysctl.d/99-sysctl.conf": "",
    **_names("/usr/lib/sysctl.d", "10-default-yama-scope", "50-coredump", "50-default", "50-pid-max", "50-redhat"),
}
_REDHAT_SSHD = (
    "SyslogFacility AUTHPRIV\n"
    "ChallengeResponseAuthentication no\n"
    "GSSAPIAuthentication yes\n"
    "GSSAPICleanupCredentials no\n"
    "UsePAM yes\n"
    "X11Forwarding yes\n"
    "PrintMotd no\n"
)
_CRYPTO_POLICY = "Include /etc/crypto-policies/back-ends/opensshserver.config\n"
_REDHAT_SSH = (
    "Match final all\n"
    "\tInclude /etc/crypto-policies/back-ends/openssh.config\n"
    "\tGSSAPIAuthentication yes\n"
    "\tForwardX11Trusted yes\n"
)
_REDHAT_MAIN = "AuthorizedKeysFile\t.ssh/authorized_keys\nSubsystem\tsftp\t/usr/libexec/openssh/sftp-server\n"
_LINK = (("/etc/sysctl.d/99-sysctl.conf", "/etc/sysctl.conf"),)
_ROCKY = (
    "Rocky Linux 10.2, listing of sysctl.d in a published tutorial of September 2026; 8 and 9 are taken to be alike"
)

_UBUNTU_SSHD = (
    f"{_SSHD_INCLUDE}"
    "KbdInteractiveAuthentication no\n"
    "UsePAM yes\n"
    "X11Forwarding yes\n"
    "PrintMotd no\n"
    "AcceptEnv LANG LC_*\n"
    "Subsystem\tsftp\t/usr/lib/openssh/sftp-server\n"
)
_UBUNTU_SSH = f"{_SSH_INCLUDE}Host *\n    SendEnv LANG LC_*\n    HashKnownHosts yes\n    GSSAPIAuthentication yes\n"
_UBUNTU = {
    SSHD: _UBUNTU_SSHD,
    "/etc/ssh/sshd_config.d/50-cloud-init.conf": "PasswordAuthentication no\n",
    SSH: _UBUNTU_SSH,
    "/etc/ssh/ssh_config.d/": "",
}
_UBUNTU_OLD_SYSCTL = {
    "/etc/sysctl.conf": "",
    "/etc/sysctl.d/99-sysctl.conf": "",
    **_names("/etc/sysctl.d", "10-console-messages", "10-ipv6-privacy", "10-kernel-hardening", "10-magic-sysrq"),
    **_names("/etc/sysctl.d", "10-network-security", "10-ptrace", "10-zeropage"),
    **_names("/usr/lib/sysctl.d", "50-pid-max", "99-protect-links"),
}

PLATFORMS: dict[str, Platform] = {
    "rhel-8": Platform(
        (
            "openssh 8.0p1-19: openssh.spec, sshd.service, openela-main/openssh on GitHub, commit 77cf9cd1",
            "sshd_config and 05-redhat.conf as installed, in public configuration repositories",
        ),
        {
            SSHD: "HostKey /etc/ssh/ssh_host_rsa_key\n"
            "HostKey /etc/ssh/ssh_host_ecdsa_key\n"
            "HostKey /etc/ssh/ssh_host_ed25519_key\n"
            "PermitRootLogin yes\n"
            "PasswordAuthentication yes\n"
            f"{_REDHAT_SSHD}AcceptEnv {_LOCALE}{_REDHAT_MAIN}",
            SSH: _SSH_INCLUDE,
            "/etc/ssh/ssh_config.d/05-redhat.conf": f"{_REDHAT_SSH}\tSendEnv {_LOCALE}",
            **_REDHAT_SYSCTL,
        },
        _LINK,
        # It has no sshd_config.d, and before 8.0p1-12 no Include.
        sshd_place=SSHD,
        # Before 8.2 a listener keeps its command line; this one's ends in $CRYPTO_POLICY.
        title="/usr/sbin/sshd -D -oCiphers=aes256-gcm@openssh.com,aes256-ctr -oMACs=hmac-sha2-256-etm@openssh.com "
        "-oGSSAPIKexAlgorithms=gss-curve25519-sha256-,gss-nistp256-sha256- -oKexAlgorithms=curve25519-sha256 "
        "-oHostKeyAlgorithms=rsa-sha2-256,ssh-rsa -oPubkeyAcceptedKeyTypes=rsa-sha2-256",
        cgroup="12:pids:/system.slice/sshd.service\n1:name=systemd:/system.slice/sshd.service\n0::/\n",
    ),
    "rhel-9": Platform(
        (
            "openssh 8.7p1-34: SOURCES/openssh-7.7p1-redhat.patch, SOURCES/sshd.service, SPECS/openssh.spec, "
            "openela-main/openssh on GitHub, commit 0a429e04",
            _ROCKY,
        ),
        {
            SSHD: f"{_SSHD_INCLUDE}{_REDHAT_MAIN}",
            "/etc/ssh/sshd_config.d/50-redhat.conf": f"{_CRYPTO_POLICY}{_REDHAT_SSHD}",
            SSH: _SSH_INCLUDE,
            "/etc/ssh/ssh_config.d/50-redhat.conf": _REDHAT_SSH,
            **_REDHAT_SYSCTL,
        },
        _LINK,
    ),
    "rhel-10": Platform(
        (
            "openssh 9.9p1: its drop-ins as a Puppet module for EL 10 names them, and as Fedora's openssh.spec 10.3p1 "
            "installs them; their text as in RHEL 9's patch, the Include of the crypto policy in a file of its own",
            _ROCKY,
        ),
        {
            SSHD: f"{_SSHD_INCLUDE}{_REDHAT_MAIN}",
            "/etc/ssh/sshd_config.d/40-redhat-crypto-policies.conf": _CRYPTO_POLICY,
            "/etc/ssh/sshd_config.d/50-redhat.conf": _REDHAT_SSHD,
            SSH: _SSH_INCLUDE,
            "/etc/ssh/ssh_config.d/50-redhat.conf": _REDHAT_SSH,
            **_REDHAT_SYSCTL,
            **_names("/usr/lib/sysctl.d", "10-map-count"),
        },
        _LINK,
    ),
    "ubuntu-22.04": Platform(
        (
            "openssh 8.9p1: as the manual pages of later releases list the package's own settings (see 24.04)",
            "procps: packages.ubuntu.com, file list for jammy",
        ),
        {**_UBUNTU, **_UBUNTU_OLD_SYSCTL},
        _LINK,
        cgroup="0::/system.slice/ssh.service\n",
        reload=("systemctl", "reload", "ssh.service"),
    ),
    "ubuntu-24.04": Platform(
        (
            "openssh 9.6p1-3ubuntu13: manpages.ubuntu.com, sshd_config(5) for noble, which lists its settings",
            "ssh.socket: its text as printed by systemctl cat in a published walk-through",
            "procps: listing of sysctl.d of Ubuntu 24.04.4 in a published tutorial of September 2026",
        ),
        {**_UBUNTU, **_UBUNTU_OLD_SYSCTL, **_names("/etc/sysctl.d", "10-bufferbloat", "10-map-count")},
        _LINK,
        cgroup="0::/system.slice/ssh.service\n",
        socket_unit=True,
        # A reload would end it: it cannot open anew the sockets that it got from ssh.socket.
        reload=("systemctl", "restart", "ssh.service"),
    ),
    "ubuntu-26.04": Platform(
        (
            "openssh: packages.ubuntu.com, file list for resolute; sshd_config(5) for questing, 10.0p1",
            "procps 4.0.4-9ubuntu1: packages.ubuntu.com, file list for resolute",
        ),
        {
            **_UBUNTU,
            SSHD: _UBUNTU_SSHD.replace("LC_*", "LC_* COLORTERM NO_COLOR"),
            "/etc/sysctl.d/": "",
            **_names("/usr/lib/sysctl.d", "55-bufferbloat", "55-console-messages", "55-ipv6-privacy", "55-map-count"),
            **_names("/usr/lib/sysctl.d", "55-kernel-hardening", "55-magic-sysrq", "55-network-security"),
            **_names("/usr/lib/sysctl.d", "55-ptrace", "55-zeropage"),
        },
        cgroup="0::/system.slice/ssh.service\n",
        socket_unit=True,
        reload=("systemctl", "restart", "ssh.service"),
    ),
    "opensuse": Platform(
        (
            "openssh 8.9p1 to 10.2p1: openssh.spec, sshd.service and the patches vendordir, ssh_config_d and "
            "no_fork-no_pid_file, bmwiedemann/openSUSE on GitHub, packages/o/openssh",
            "openSUSE/aaa_base on GitHub, files/usr/lib/sysctl.d; openSUSE's systemd.spec for 99-sysctl.conf",
        ),
        {
            "/usr/etc/ssh/sshd_config": f"{_SSHD_INCLUDE}Include /usr/etc/ssh/sshd_config.d/*.conf\n"
            "AuthorizedKeysFile\t.ssh/authorized_keys\n"
            "UsePAM yes\n"
            "X11Forwarding yes\n"
            "Subsystem\tsftp\t/usr/libexec/ssh/sftp-server\n",
            "/usr/etc/ssh/sshd_config.d/50-permit-root-login.conf": "PermitRootLogin yes\n",
            "/etc/ssh/sshd_config.d/": "",
            "/usr/etc/ssh/ssh_config": f"{_SSH_INCLUDE}Include /usr/etc/ssh/ssh_config.d/*.conf\n"
            "Host *\n\tForwardX11Trusted yes\n\tSendEnv LC_IDENTIFICATION LC_ALL LANGUAGE\n",
            "/etc/ssh/ssh_config.d/": "",
            "/etc/sysctl.conf": "",
            "/etc/sysctl.d/": "",
            **_names("/usr/lib/sysctl.d", "50-default", "50-pid-max", "51-network", "52-yama", "99-sysctl"),
        },
        (("/usr/lib/sysctl.d/99-sysctl.conf", "/etc/sysctl.conf"),),
    ),
    "alpine": Platform(
        (
            "openssh 10.3_p1: APKBUILD (commit da03ee14) and sshd.initd in main/openssh, alpinelinux/aports on GitHub; "
            "its include-config-dir.patch, and the order of its builds, by what others say of them",
            "main/alpine-baselayout/APKBUILD and main/openrc/sysctl.initd in the same repository",
        ),
        {
            SSHD: f"{_SSHD_INCLUDE}"
            "AuthorizedKeysFile\t.ssh/authorized_keys\n"
            "AllowTcpForwarding no\n"
            "GatewayPorts no\n"
            "X11Forwarding no\n"
            "Subsystem\tsftp\tinternal-sftp\n",
            "/etc/ssh/sshd_config.d/": "",
            SSH: _SSH_INCLUDE,
            "/etc/ssh/ssh_config.d/": "",
            "/etc/sysctl.conf": "",
            "/etc/sysctl.d/": "",
            **_names("/lib/sysctl.d", "00-alpine"),
        },
        # openssh-server-pam brings this one, and the init script prefers it.
        program="/usr/sbin/sshd.pam",
        title="sshd: /usr/sbin/sshd.pam [listener] 0 of 10-100 startups",
        cgroup="0::/openrc.sshd\n",
        reload=("rc-service", "sshd", "reload"),
    ),
    "arch": Platform(
        (
            "openssh: 99-archlinux.conf, archlinux/aur on GitHub, commit 978a6dda; sshd.service and a listing of "
            "/etc/ssh/sshd_config.d with systemd's 20-systemd-userdb.conf in public configuration repositories",
            "filesystem and systemd: the output of sysctl --system in published bug reports",
        ),
        {
            SSHD: f"{_SSHD_INCLUDE}"
            "AuthorizedKeysFile\t.ssh/authorized_keys\n"
            "Subsystem\tsftp\t/usr/lib/ssh/sftp-server\n",
            "/etc/ssh/sshd_config.d/20-systemd-userdb.conf": "AuthorizedKeysCommandUser root\n"
            "AuthorizedKeysCommand /usr/bin/userdbctl ssh-authorized-keys %u\n",
            "/etc/ssh/sshd_config.d/99-archlinux.conf": "KbdInteractiveAuthentication no\nUsePAM yes\nPrintMotd no\n",
            SSH: _SSH_INCLUDE,
            "/etc/ssh/ssh_config.d/20-systemd-ssh-proxy.conf": "Host unix/* vsock/*\n"
            "    ProxyCommand /usr/lib/systemd/systemd-ssh-proxy %h %p\n"
            "    ProxyUseFdpass yes\n",
            "/etc/sysctl.d/": "",
            **_names("/usr/lib/sysctl.d", "10-arch", "50-coredump", "50-default"),
        },
        program="/usr/bin/sshd",
        title="sshd: /usr/bin/sshd -D [listener] 0 of 10-100 startups",
    ),
    "freebsd": Platform(
        ("crypto/openssh/ssh_config, freebsd/freebsd-src on GitHub: of 2002, the only version that could be had",),
        {SSH: "Host *\n"},
        sshd_place="",
        ssh_place=SSH,
        reload=(),
    ),
    "macos": Platform(
        ("ssh -vvv of macOS 26, OpenSSH_10.0p2, in a published log, which names files and lines",),
        {
            SSH: "Include /etc/ssh/ssh_config.d/*\n",
            "/etc/ssh/ssh_config.d/100-macos.conf": "Host *\n    SendEnv LANG LC_*\n    Include /etc/ssh/crypto.conf\n",
        },
        sshd_place="",
        reload=(),
    ),
}
