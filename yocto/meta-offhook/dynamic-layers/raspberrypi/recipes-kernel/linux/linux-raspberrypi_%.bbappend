FILESEXTRAPATHS:prepend:desk-phone := "${THISDIR}/../../../../recipes-kernel/linux/files:"

SRC_URI:append:desk-phone = " file://offhook.cfg"
