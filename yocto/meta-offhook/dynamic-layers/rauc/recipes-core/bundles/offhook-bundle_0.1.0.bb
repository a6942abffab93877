# nooelint: oelint.var.mandatoryvar.SRC_URI
SUMMARY = "Signed update for phones"
DESCRIPTION = "The root file system of offhook-image, for 'offhook update FILE' on a phone of the same board."
SECTION = "images"
LICENSE = "MIT"

inherit bundle offhook_tables

# As the Debian image's bundles are (cross/bundle): phones may go from one to the other.
RAUC_BUNDLE_COMPATIBLE = "offhook-${OFFHOOK_BOARD}"
RAUC_BUNDLE_VERSION = "${PV}"
RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_SLOTS = "rootfs"
RAUC_SLOT_rootfs = "offhook-image"
RAUC_SLOT_rootfs[fstype] = "ext4"
RAUC_SLOT_rootfs[rename] = "root.ext4"
BUNDLE_ARGS += '--mksquashfs-args="-comp zstd -Xcompression-level 10"'

# The maker's own: paths of PEM files. OFFHOOK_KEYRING holds the certificate, or its issuer's.
OFFHOOK_UPDATE_KEY ?= ""
OFFHOOK_UPDATE_CERT ?= ""
RAUC_KEY_FILE = "${OFFHOOK_UPDATE_KEY}"
RAUC_CERT_FILE = "${OFFHOOK_UPDATE_CERT}"

# Said at once, not after hours.
# nooelint: oelint.task.noanonpython
python () {
    for variable in ("OFFHOOK_UPDATE_KEY", "OFFHOOK_UPDATE_CERT"):
        path = d.getVar(variable)
        if not path:
            raise bb.parse.SkipRecipe("an update is signed: set %s to a file (PEM)" % variable)
        bb.parse.mark_dependency(d, path)
        if not os.path.isfile(path):
            raise bb.parse.SkipRecipe("%s is %s, which is no file" % (variable, path))
}
