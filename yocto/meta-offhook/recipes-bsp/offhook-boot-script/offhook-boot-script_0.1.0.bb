SUMMARY = "U-Boot's script: which of the two roots starts"
DESCRIPTION = "The Debian image's script, with this machine's disk, partitions and kernel arguments filled in."
SECTION = "bootloaders"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE-MIT;md5=4dd48bf90894778250409d3100c40272 \
    file://LICENSE-APACHE;md5=22a53954e4e0ec258dfce4391e905dac \
"
DEPENDS = "u-boot-mkimage-native"
PROVIDES += "u-boot-default-script"
INHIBIT_DEFAULT_DEPS = "1"

OFFHOOK_FILES = "LICENSE-MIT LICENSE-APACHE cross/boot"
inherit offhook_source offhook_tables deploy nopackages

PACKAGE_ARCH = "${MACHINE_ARCH}"

# Where U-Boot has room for blocks of the environment.
OFFHOOK_SCRATCH = "4f000000"
# nooelint: oelint.vars.specific
OFFHOOK_SCRATCH:rpi = "07000000"

# What the script leaves open, from the tables of the Debian image.
def offhook_boot_script(d):
    disk, arguments = offhook_board(d)
    scratch = int(d.getVar("OFFHOOK_SCRATCH"), 16)
    env = offhook_partition(d, "env")["start"] * 2048
    return {
        "ONE": "%x" % env, "TWO": "%x" % (env + 4 * 2048),
        "SCRATCH": "%08x" % scratch, "SCRATCH4": "%x" % (scratch + 4),
        "PART_A": "%x" % offhook_partition(d, "root-a")["number"],
        "PART_B": "%x" % offhook_partition(d, "root-b")["number"],
        "DISK": disk, "ARGUMENTS": arguments,
    }

do_configure[noexec] = "1"

python do_compile() {
    import re
    values = offhook_boot_script(d)
    with open(os.path.join(d.getVar("S"), "cross/boot/boot.cmd")) as f:
        text = f.read()
    text = re.sub("@([A-Z_0-9]+)@", lambda place: values[place.group(1)], text)
    with open(os.path.join(d.getVar("B"), "boot.cmd"), "w") as f:
        f.write(text)
    bb.process.run("mkimage -q -A arm64 -T script -C none -n offhook -d boot.cmd boot.scr", cwd=d.getVar("B"))
}
do_compile[vardeps] += "OFFHOOK_BOARD OFFHOOK_SCRATCH"
do_compile[file-checksums] += "${OFFHOOK_SOURCE}/cross/boards:True ${OFFHOOK_SOURCE}/cross/partitions:True"

do_install[noexec] = "1"

do_deploy() {
    install -d "${DEPLOYDIR}"
    install -m 0644 boot.scr "${DEPLOYDIR}"
}
addtask deploy after do_compile before do_build
