# The kernel module with the emulated front panel, and what the QEMU test needs in the guest. Sourced by cross/image.

# Builds gpio-keymatrix.ko for the image's kernel, with Debian's headers; kept in the cache.
need_module() {
  local sources
  sources=$(cat "$here"/qemu-gpio/{gpio-keymatrix.c,Makefile,build.sh} | sha256sum | cut -c1-12)
  module=$cache/image/gpio-keymatrix-$kernel-$sources.ko
  [ -e "$module" ] && return
  need_packages "building the kernel module" gcc-aarch64-linux-gnu make
  say "Building the emulated front panel for Linux $kernel"
  local state place=$cache/image/headers-$kernel tool
  if [ ! -e "$place/MANIFEST.sha256" ]; then
    state=$(mktemp -d)
    deb=arm64
    apt_state "$state" amd64 arm64 "$suite" "$suite-updates"
    local version=${kernel%-arm64}
    (cd "$state/packages" && "${apt[@]}" download "linux-headers-$kernel:arm64" "linux-headers-$version-common:all" \
      "linux-kbuild-$version:amd64" libc6:amd64 libelf1t64:amd64 zlib1g:amd64 libzstd1:amd64) ||
      unavailable "the kernel's headers could not be fetched; is the network there?"
    rm -rf "$place.new"
    mkdir -p "$place.new"/usr/lib{,64}
    ln -s usr/lib "$place.new/lib"
    ln -s usr/lib64 "$place.new/lib64"
    unpack "$state/packages" "$place.new"
    rm -rf "$place" "$state"
    mv "$place.new" "$place"
    # Debian's headers know where they would be installed, and their tools another C library.
    sed -i "s,/usr/src/,$place/usr/src/,g" "$place/usr/src/linux-headers-$kernel/Makefile"
    local scripts=$place/usr/lib/linux-kbuild-$version/scripts real
    for real in basic/fixdep mod/modpost.real-lsb-64; do
      tool=$scripts/${real%.real*}
      mv "$scripts/$real" "$tool.bin"
      printf '#!/bin/sh\nexec %s/usr/lib64/ld-linux-x86-64.so.2 --library-path %s/usr/lib/x86_64-linux-gnu %s.bin "$@"\n' \
        "$place" "$place" "$tool" >"$tool"
      chmod +x "$tool"
    done
  fi
  local work
  work=$(mktemp -d)
  cp "$here"/qemu-gpio/{gpio-keymatrix.c,Makefile} "$work"
  # The headers were made for a newer compiler, and for tools that a module of ours does not need.
  make -s -C "$place/usr/src/linux-headers-$kernel" M="$work" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
    CC=aarch64-linux-gnu-gcc CONFIG_DEBUG_INFO_BTF= CONFIG_DEBUG_INFO_BTF_MODULES= \
    CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT= modules >&2 || die "the kernel module could not be built"
  cp "$work/gpio-keymatrix.ko" "$module"
  rm -rf "$work"
}

# Puts the module and the rig's services into the tree.
add_rig() {
  cp -R --no-preserve=ownership "$here/qemu-gpio/rootfs/." "$tree/"
  if [ "$board" = qemu-virt ]; then
    need_module
    install -m 644 -D "$module" "$tree/usr/lib/modules/$kernel/updates/gpio-keymatrix.ko"
    depmod -b "$tree" "$kernel"
  else
    # The keypad, and who works the machine from outside, are of the other one. What this one does is said on its console.
    rm "$tree"/usr/lib/systemd/system/offhook-rig-*
    cp -R --no-preserve=ownership "$here/qemu-gpio/raspi3b/." "$tree/"
  fi
}
