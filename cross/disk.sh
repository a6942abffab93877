# The parts of a card image: root file system, boot partition, disk. Sourced by cross/image, which sets board, tree (the
# unpacked root), kernel (its version), out and program.

# board_data BOARD: what cross/boards says of it.
board_data() {
  local line
  line=$(grep "^$1 " "$here/boards") || die "there is no board '$1'; the boards are in cross/boards"
  read -r _ disk uboot card_mib arguments <<<"$line"
}

# Ends with what to do instead, if no card of Debian's packages is made for the board.
need_card() {
  [ "$uboot" != - ] || die "no card of Debian's is made for '$1': cross/boards says why; yocto/ makes one"
}

# partition LABEL: sets number (from 1), start and size (MiB) and type.
partition() {
  local label mib kind rest at=4 n=0
  while read -r label mib kind rest; do
    n=$((n + 1))
    if [ "$label" = "$1" ]; then number=$n start=$at size=$mib type=$kind; return; fi
    at=$((at + mib))
  done < <(sed 's/#.*//; /^ *$/d' "$here/partitions")
  die "cross/partitions has no '$1'"
}

# Keys that sign and check updates: those of OFFHOOK_UPDATE_KEYS (key.pem, cert.pem, and keyring.pem for the phone), or
# ones made here for development, which stay in the cache.
need_update_keys() {
  keys=${OFFHOOK_UPDATE_KEYS:-$cache/update-keys}
  if [ -n "${OFFHOOK_UPDATE_KEYS:-}" ]; then
    [ -e "$keys/keyring.pem" ] || die "$keys has no keyring.pem"
    return
  fi
  [ -e "$keys/keyring.pem" ] && return
  say "Making keys for development updates in $keys"
  mkdir -p -m 700 "$keys"
  openssl req -quiet -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 7300 \
    -subj "/CN=Offhook development updates" -keyout "$keys/key.pem" -out "$keys/cert.pem" 2>/dev/null ||
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 \
      -subj "/CN=Offhook development updates" -keyout "$keys/key.pem" -out "$keys/cert.pem" 2>/dev/null
  cp "$keys/cert.pem" "$keys/keyring.pem"
}

# Leaves the kernel modules of cross/modules and what they need.
keep_modules() {
  local all=$tree/usr/lib/modules/$kernel kept
  kept=$(mktemp)
  module_files $(modules_all) | sed "s,^$tree,," | sed 's,^/lib/,/usr/lib/,' | sort -u >"$kept"
  (cd "$tree" && find "usr/lib/modules/$kernel/kernel" -type f | sed 's,^,/,' | grep -vxFf "$kept" | sed 's,^/,,' |
    xargs -r rm -f)
  find "$all/kernel" -type d -empty -delete
  depmod -b "$tree" "$kernel"
  rm -f "$kept"
}

# What only served to install packages.
strip_packages() {
  cp "${base%.tar}.list" "$out/packages"
  rm -rf "$out/device-trees"
  mkdir "$out/device-trees"
  cp "$tree/usr/lib/linux-image-$kernel"/broadcom/bcm2{711,837}-rpi*.dtb "$out/device-trees/"
  rm -rf "$tree"/var/cache/* "$tree"/var/log/* "$tree"/usr/share/bash-completion "$tree"/usr/share/zsh \
    "$tree"/boot/System.map-* "$tree"/boot/config-* "$tree"/usr/lib/linux-image-* "$tree"/usr/share/polkit-1 \
    "$tree"/usr/lib/aarch64-linux-gnu/gconv "$tree"/usr/share/i18n "$tree"/usr/share/initramfs-tools
  mv "$tree/boot/vmlinuz-$kernel" "$tree/boot/vmlinuz"
}

# The phone, and the files of cross/rootfs.
add_phone() {
  cp -R --no-preserve=ownership "$here/rootfs/." "$tree/"
  sed "s/@BOARD@/$board/" "$tree/etc/rauc/system.conf.in" >"$tree/etc/rauc/system.conf"
  rm "$tree/etc/rauc/system.conf.in"
  cp "$keys/keyring.pem" "$tree/etc/rauc/keyring.pem"
  aarch64-linux-gnu-strip -o "$tree/usr/bin/offhook" "$program" 2>/dev/null ||
    install -m 755 "$program" "$tree/usr/bin/offhook"
  chmod 755 "$tree/usr/bin/offhook"
  echo offhook >"$tree/etc/hostname"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$tree/etc/hosts"
  : >"$tree/etc/machine-id"
  ln -sf ../run/systemd/resolve/stub-resolv.conf "$tree/etc/resolv.conf"
  mkdir -p "$tree"/{state,boot/firmware,etc/offhook}
  # What systemd-tmpfiles would make, and cannot: the root is read-only.
  mkdir -p "$tree"/{srv,etc/default,etc/credstore,etc/credstore.encrypted}
  chmod 700 "$tree"/etc/credstore{,.encrypted}
  ln -sf ../proc/self/mounts "$tree/etc/mtab"
  ln -sf ../locale.conf "$tree/etc/default/locale"
  ln -sf default/keyboard "$tree/etc/vconsole.conf"
  git -C "$root" log -1 --format='IMAGE_VERSION=%h%nIMAGE_ID=offhook' >>"$tree/etc/os-release.offhook" 2>/dev/null || true
}

# Users, which services start, no password, and the earliest time the phone believes.
finish_root() {
  # Accounts that are locked for good ("u!") are news to an older host's systemd; nobody logs in to any here.
  sed -i 's/^u! /u /' "$tree"/usr/lib/sysusers.d/*.conf
  systemd-sysusers --root="$tree"
  grep -q '^systemd-network:' "$tree/etc/passwd" || die "the users of systemd's services were not made"
  systemctl --root="$tree" --quiet preset-all 2>/dev/null || die "systemd's presets could not be applied"
  # Nothing of this has work on a phone: its users, caches and catalogues are the image's own, nobody logs in at a
  # console, and no TPM measures the start. Each would stand in the way of the first ring.
  systemctl --root="$tree" --quiet mask ldconfig.service systemd-hwdb-update.service systemd-update-done.service \
    systemd-journal-catalog-update.service systemd-sysusers.service systemd-firstboot.service systemd-logind.service \
    systemd-machine-id-commit.service systemd-user-sessions.service systemd-binfmt.service getty.target \
    systemd-ask-password-console.path systemd-ask-password-wall.path systemd-tpm2-setup.service \
    systemd-tpm2-setup-early.service systemd-hibernate-clear.service proc-sys-fs-binfmt_misc.automount \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount
  touch -d "@$(git -C "$root" log -1 --format=%ct)" "$tree/usr/lib/clock-epoch"
  rm -f "$tree"/etc/{passwd,group,shadow,gshadow}-
}

# make_root_image FILE: the slot, as large as its partition. U-Boot reads it, so without checksums of metadata.
make_root_image() {
  partition root-a
  rm -f "$1"
  truncate -s "${size}M" "$1"
  mke2fs -q -t ext4 -L offhook-root -O ^has_journal,^metadata_csum,^orphan_file -m 0 -d "$tree" "$1"
}

# make_boot_partition FILE: U-Boot, its script, and on a Pi what starts U-Boot.
make_boot_partition() {
  local work
  need_uboot
  work=$(mktemp -d)
  make_boot_script "$work/boot.cmd"
  mkimage -q -A arm64 -T script -C none -n offhook -d "$work/boot.cmd" "$work/boot.scr" >/dev/null
  partition boot
  rm -f "$1"
  truncate -s "${size}M" "$1"
  mkfs.vfat -F 32 -n BOOT "$1" >/dev/null
  mcopy -i "$1" "$work/boot.scr" ::/boot.scr
  if [ "$disk" = mmc ]; then
    add_pi_firmware "$1" "$work"
    # QEMU starts these itself.
    cp "$uboot_file" "$out/device-trees/bcm2837-rpi-3-b.dtb" "$out/"
  else
    cp "$uboot_file" "$out/u-boot.bin"
  fi
  rm -rf "$work"
}

# make_boot_script FILE: U-Boot's script, with what this board fills in.
make_boot_script() {
  partition env
  local one two
  one=$(printf %x $((start * 2048)))
  two=$(printf %x $(((start + 4) * 2048)))
  case $disk in
    virtio) scratch=4f000000 ;;
    mmc) scratch=07000000 ;;
  esac
  partition root-a; local part_a=$number
  partition root-b; local part_b=$number
  sed -e "s/@ONE@/$one/; s/@TWO@/$two/; s/@SCRATCH@/$scratch/; s/@SCRATCH4@/$(printf %x $((0x$scratch + 4)))/" \
    -e "s/@DISK@/$disk/; s/@PART_A@/$(printf %x "$part_a")/; s/@PART_B@/$(printf %x "$part_b")/" \
    -e "s|@ARGUMENTS@|$arguments|" \
    "$here/boot/boot.cmd" >"$1"
  ! grep -q '@[A-Z_0-9]*@' "$1" || die "cross/boot/boot.cmd has a place that nothing fills in"
}

# make_disk FILE: partition table, boot partition, slot A, and an environment that starts it.
make_disk() {
  local label mib kind rest at=4
  rm -f "$1"
  truncate -s "${card_mib}M" "$1"
  {
    echo "label: gpt"
    while read -r label mib kind rest; do
      echo "start=${at}MiB, size=${mib}MiB, type=$kind, name=$label"
      at=$((at + mib))
    done < <(sed 's/#.*//; /^ *$/d' "$here/partitions")
  } | sfdisk -q "$1"
  # The first Pis' ROM knows only the old kind of partition table: the boot partition stands there too (type 0c),
  # behind the entry that says the disk is a GPT one.
  partition boot
  {
    printf '\0\xfe\xff\xff\x0c\xfe\xff\xff'
    le32 $((start * 2048))
    le32 $((size * 2048))
  } | dd of="$1" bs=1 seek=462 conv=notrunc status=none
  dd if="$out/boot.vfat" of="$1" bs=1M seek="$start" conv=notrunc,sparse status=none
  partition root-a
  dd if="$out/root.ext4" of="$1" bs=1M seek="$start" conv=notrunc,sparse status=none
}

le32() { printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"; }

# need_uboot: sets uboot_file, and for a Pi firmware, a folder with its boot files.
need_uboot() {
  local package=${uboot%%:*} place=$cache/image/boot
  uboot_file=$place/usr/lib/u-boot/${uboot##*:}/u-boot.bin
  firmware=$place/usr/lib/raspi-firmware
  [ -e "$place/MANIFEST.sha256" ] && return
  say "Fetching U-Boot and the Pi's boot firmware (once)"
  local state
  state=$(mktemp -d)
  deb=arm64
  apt_state "$state" arm64 "" "$suite"
  sed -i 's/ main$/ main non-free-firmware/' "$state/sources.list"
  "${apt[@]}" update || unavailable "Debian's package lists cannot be fetched; is the network there?"
  (cd "$state/packages" && "${apt[@]}" download u-boot-qemu:all u-boot-rpi:arm64 raspi-firmware:all ||
    "${apt[@]}" download u-boot-qemu u-boot-rpi raspi-firmware) ||
    unavailable "U-Boot could not be fetched; is the network there?"
  rm -rf "$place.new" "$place"
  unpack "$state/packages" "$place.new"
  mv "$place.new" "$place"
  rm -rf "$state"
}

# add_pi_firmware IMAGE WORK: what a Pi loads before U-Boot, the device trees of the kernel, and the boards' overlays.
add_pi_firmware() {
  local trees=$out/device-trees tree overlay
  make_overlays "$2/overlays"
  make_pi_config >"$2/config.txt"
  # The Pi's firmware says nothing of one that does not apply. Debian's kernel has no tree of a Raspberry Pi 5's header.
  for overlay in "$2"/overlays/*.dtbo; do
    [[ $overlay != *-rpi5.dtbo ]] || continue
    for tree in "$trees"/*.dtb; do
      fdtoverlay -i "$tree" -o "$2/applied.dtb" "$overlay" ||
        die "the overlay $(basename "$overlay") does not fit $(basename "$tree")"
    done
  done
  mcopy -i "$1" "$uboot_file" ::/u-boot.bin
  mcopy -i "$1" "$2/config.txt" ::/config.txt
  # With as little memory as config.txt leaves it (gpu_mem=16) a Pi starts the cut-down firmware, of which the names end
  # in "cd"; a Pi 4 looks for the other one too.
  mcopy -i "$1" "$firmware"/bootcode.bin "$firmware"/{start,start_cd,start4,start4cd}.elf \
    "$firmware"/{fixup,fixup_cd,fixup4,fixup4cd}.dat ::/
  mcopy -i "$1" "$trees"/bcm2*rpi*.dtb ::/
  mcopy -s -i "$1" "$2/overlays" ::/
}

# make_overlays FOLDER: all boards' overlays, compiled.
make_overlays() {
  local overlay
  mkdir -p "$1"
  for overlay in "$root"/board/overlays/*.dts; do
    dtc -q -@ -I dts -O dtb -o "$1/$(basename "$overlay" .dts).dtbo" "$overlay"
  done
}

# What a Pi's firmware shall do.
make_pi_config() {
  cat "$here/boot/config.txt"
  overlays_of "$board" | sed 's/^/dtoverlay=/'
}
