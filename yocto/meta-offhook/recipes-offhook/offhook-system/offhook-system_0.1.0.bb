SUMMARY = "Settings of the system around the phone"
DESCRIPTION = "Network, time, journal, provisioning, updates: the same files as in the Debian image."
SECTION = "base"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE-MIT;md5=4dd48bf90894778250409d3100c40272 \
    file://LICENSE-APACHE;md5=22a53954e4e0ec258dfce4391e905dac \
"
INHIBIT_DEFAULT_DEPS = "1"

OFFHOOK_FILES = "LICENSE-MIT LICENSE-APACHE cross/rootfs"
inherit offhook_source offhook_tables systemd
require recipes-offhook/offhook-rootfs.inc

# The certificates (PEM) of who may sign updates: the path of a file. It is the maker's own, so there is no default.
OFFHOOK_KEYRING ?= ""

# Said at once, not after hours.
# nooelint: oelint.task.noanonpython
python () {
    keyring = d.getVar("OFFHOOK_KEYRING")
    if not keyring:
        raise bb.parse.SkipRecipe("nobody could sign updates for this phone: "
                                  "set OFFHOOK_KEYRING to the certificates (PEM) of who may")
    bb.parse.mark_dependency(d, keyring)
    if not os.path.isfile(keyring):
        raise bb.parse.SkipRecipe("OFFHOOK_KEYRING is %s, which is no file" % keyring)
}

PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    cp -R --no-preserve=ownership "${S}/cross/rootfs/." "${D}/"
    # The rest is installed by the recipe offhook, and by base-files.
    for path in ${OFFHOOK_ROOTFS} etc/fstab; do
        rm -rf "${D}/$path"
    done
    sed 's/@BOARD@/${OFFHOOK_BOARD}/' "${D}${sysconfdir}/rauc/system.conf.in" > "${D}${sysconfdir}/rauc/system.conf"
    rm "${D}${sysconfdir}/rauc/system.conf.in"
    install -m 0644 "${OFFHOOK_KEYRING}" "${D}${sysconfdir}/rauc/keyring.pem"
    # Where partitions are mounted.
    install -d "${D}/state" "${D}/boot/firmware" "${D}${sysconfdir}/offhook"
}
do_install[file-checksums] += "${OFFHOOK_KEYRING}:True"

FILES:${PN} += "/boot /state ${nonarch_libdir}"
SYSTEMD_SERVICE:${PN} = "offhook-provision.service offhook-ssh.service"

# Unlike BusyBox's, coreutils' sync takes files.
RDEPENDS:${PN} = "coreutils dropbear e2fsprogs-e2fsck e2fsprogs-mke2fs libubootenv-bin"
RPROVIDES:${PN} = "u-boot-default-env virtual-rauc-conf"
