# The distro's file systems: the card's partitions, and /var in memory.
FILESEXTRAPATHS:prepend:desk-phone := "${OFFHOOK_SOURCE}/cross/rootfs/etc:"
