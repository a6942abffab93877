# U-Boot's script: which of the two roots starts. cross/image fills in @...@.
#
# BOOT_ORDER and BOOT_x_LEFT are RAUC's: each start takes one attempt from a slot, and who is healthy gives them back
# (`rauc status mark-good`). They stand twice on the partition "env", in the format of U-Boot's own redundant
# environment (CRC of the data, a counter, data), which fw_setenv writes too. Debian's U-Boot has a single copy on a FAT
# file system, which a power cut can take away; this script therefore does it with plain reads and writes of blocks.

# The disk that this script is on: a Pi 4's SD card is the second one, behind the interface of its Wi-Fi.
if test -z "${devnum}"; then setenv devnum 0; fi
@DISK@ dev ${devnum}
setenv one 0x@ONE@
setenv two 0x@TWO@
setenv blocks 0x20
setenv a 0x@SCRATCH@
setexpr b ${a} + 0x10000
setexpr o ${a} + 0x20000
# In front of these, 94 MiB behind the kernel: U-Boot's own address is just behind the kernel of today. A Raspberry Pi's
# device tree is above, QEMU's at 0x08000000.
setexpr ramdisk_addr_r ${a} - 0x1000000
setenv counter
setenv next ${one}

# A copy is valid if its CRC is right. U-Boot's command checks the format without the counter: with the CRC moved up by
# one byte, over the counter, it is that one.
setenv ok_one; setenv ok_two
@DISK@ read ${a} ${one} ${blocks}
setexpr.b count_one *0x@SCRATCH4@
setexpr p ${a} + 1
cp.b ${a} ${p} 4
if env import -c ${p} 0x3fff OFFHOOK_COPY; then setenv ok_one 1; fi
@DISK@ read ${b} ${two} ${blocks}
setexpr q ${b} + 4
setexpr.b count_two *${q}
setexpr q ${b} + 1
cp.b ${b} ${q} 4
if env import -c ${q} 0x3fff OFFHOOK_COPY; then setenv ok_two 1; fi

# The newer one: the one whose counter is one further, which wraps around at 255.
setenv newer
if test -n "${ok_one}"; then setenv newer one; fi
if test -n "${ok_two}"; then
  if test -n "${ok_one}"; then
    setexpr.b ahead ${count_two} - ${count_one}
    setexpr ahead ${ahead} "&" 0xff
    if itest ${ahead} -ne 0; then if itest ${ahead} -lt 0x80; then setenv newer two; fi; fi
  else
    setenv newer two
  fi
fi
setenv BOOT_ORDER "A"; setenv BOOT_A_LEFT 3; setenv BOOT_B_LEFT 3
setenv count 0
if test "${newer}" = one; then
  env import -c ${p} 0x3fff BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
  setenv next ${two}; setenv count ${count_one}
fi
if test "${newer}" = two; then
  env import -c ${q} 0x3fff BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
  setenv next ${one}; setenv count ${count_two}
fi

setenv slot
for s in ${BOOT_ORDER}; do
  if test -n "${slot}"; then true
  elif test "${s}" = A; then
    if itest ${BOOT_A_LEFT} -gt 0; then setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1; setenv slot A; setenv part @PART_A@; setenv label root-a; fi
  elif test "${s}" = B; then
    if itest ${BOOT_B_LEFT} -gt 0; then setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1; setenv slot B; setenv part @PART_B@; setenv label root-b; fi
  fi
done
# None left: try all of them once more, rather than stand still.
if test -z "${slot}"; then setenv BOOT_A_LEFT 3; setenv BOOT_B_LEFT 3; fi

setexpr count ${count} + 1
setexpr count ${count} "&" 0xff
setexpr r ${o} + 1
env export -c -s 0x3fff ${r} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
cp.b ${r} ${o} 4
setexpr r ${o} + 4
mw.b ${r} ${count} 1
@DISK@ write ${o} ${next} ${blocks}
echo "offhook: order ${BOOT_ORDER}, A ${BOOT_A_LEFT}, B ${BOOT_B_LEFT}, slot ${slot}"
if test -z "${slot}"; then reset; fi

setenv bootargs "root=PARTLABEL=${label} ro rootfstype=ext4 rootwait quiet panic=5 systemd.getty_auto=no rauc.slot=${slot} fsck.repair=yes @ARGUMENTS@"
# The serial number names the phone; and twice it is a machine's number.
if test -n "${serial#}"; then
  setenv bootargs "${bootargs} systemd.hostname=offhook-${serial#} systemd.machine_id=${serial#}${serial#}"
fi
if load @DISK@ ${devnum}:${part} ${kernel_addr_r} /boot/vmlinuz; then
  if load @DISK@ ${devnum}:${part} ${ramdisk_addr_r} /boot/initrd.img; then
    # The device tree is where QEMU put it; the Pi's firmware passes on the one with its overlays.
    booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}
  fi
fi
# It did not start: the attempt is used up.
reset
