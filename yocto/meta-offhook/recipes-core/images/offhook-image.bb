SUMMARY = "The phone's card"
DESCRIPTION = "Two read-only roots, updated by turns, and a state partition; nobody logs in without a provisioned key."
SECTION = "images"
LICENSE = "MIT"

inherit core-image

require offhook-card.inc

IMAGE_FEATURES += "read-only-rootfs"
IMAGE_INSTALL = "\
    packagegroup-core-boot kernel-image packagegroup-offhook-modules \
    offhook offhook-system rauc rauc-service \
"
IMAGE_INSTALL:append:qemuarm64 = " gpio-keymatrix offhook-rig"
