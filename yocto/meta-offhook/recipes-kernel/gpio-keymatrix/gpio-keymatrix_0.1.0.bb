SUMMARY = "Emulated front panel for QEMU"
DESCRIPTION = "A keypad, a hook switch and lamps behind one GPIO chip, and the rig that moves them from outside."
SECTION = "kernel/modules"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://gpio-keymatrix.c;beginline=1;endline=1;md5=fcab174c20ea2e2bc0be64b493708266"

OFFHOOK_FILES = "cross/qemu-gpio"
inherit offhook_source module

S = "${UNPACKDIR}/${BP}/cross/qemu-gpio"
# The kernel's own makefile builds and installs.
EXTRA_OEMAKE += "-C ${STAGING_KERNEL_DIR} M=${S}"

do_install:append() {
    cp -R --no-preserve=ownership "${S}/rootfs/." "${D}/"
}

PACKAGES =+ "offhook-rig"
# nooelint: oelint.var.filesoverride
FILES:offhook-rig = "\
    ${nonarch_libdir}/modules-load.d ${nonarch_libdir}/offhook ${systemd_system_unitdir} \
"
RDEPENDS:offhook-rig = "alsa-utils-aplay kernel-module-gpio-keymatrix"

COMPATIBLE_MACHINE = "qemuarm64"
