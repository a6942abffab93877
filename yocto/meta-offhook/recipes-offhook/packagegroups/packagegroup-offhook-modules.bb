SUMMARY = "Kernel modules of a phone"
DESCRIPTION = "Those of cross/modules, which the Debian image keeps; what this kernel has built in is no package."
SECTION = "kernel/modules"
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup offhook_tables

RRECOMMENDS:${PN} = "${@' '.join('kernel-module-' + row[-1].replace('_', '-') for row in offhook_table(d, 'cross/modules'))}"
