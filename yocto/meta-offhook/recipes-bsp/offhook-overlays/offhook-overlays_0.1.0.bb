SUMMARY = "Device-tree overlays of Offhook's boards"
DESCRIPTION = "The codec HAT, the displays, and the reference phone's keypad as the kernel's own."
SECTION = "bsp"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE-MIT;md5=4dd48bf90894778250409d3100c40272 \
    file://LICENSE-APACHE;md5=22a53954e4e0ec258dfce4391e905dac \
"

OFFHOOK_FILES = "LICENSE-MIT LICENSE-APACHE board/overlays"
inherit offhook_source devicetree

# The class takes it for the machine's only device tree.
PROVIDES = "${PN}"

S = "${UNPACKDIR}/${BP}"
DT_FILES_PATH = "${S}/board/overlays"
# They include nothing of the kernel's.
KERNEL_INCLUDE = ""

COMPATIBLE_MACHINE = "^rpi$"
