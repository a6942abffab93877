FILESEXTRAPATHS:prepend:desk-phone := "${THISDIR}/files:"

# The second has what the emulated front panel stands on.
SRC_URI:append:desk-phone:qemuarm64 = " file://offhook.cfg file://offhook-qemu.cfg"
