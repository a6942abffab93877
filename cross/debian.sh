# The phone's Debian: packages of the current stable release for the phone's processor, unpacked into an archive that is
# kept in the cache. Sourced by cross/image, after lib.sh and toolchain.sh.
#
# They are unpacked and set up here instead of by their own scripts: those would have to run on an emulated processor,
# which takes a quarter of an hour and a kernel with binfmt_misc, and a system that nobody administers needs little of
# what they do.

# Debian's release in the image.
suite=trixie

# The packages of BOARD.
packages_of() { sed -n "s/ *#.*//; s/^$1: *//; /^[a-z][^:]*$/p" "$here/packages"; }

# Names of the modules: all, or those of the initramfs.
modules_all() { sed 's/#.*//; s/^boot //; /^ *$/d' "$here/modules"; }
modules_boot() { sed -n 's/^boot //p' "$here/modules"; }

# module_files MODULE...: their files, and those of what they need; none of what is built into the kernel.
module_files() {
  local module
  for module in "$@"; do
    modprobe -d "$tree" -S "$kernel" --show-depends "$module" 2>/dev/null ||
      die "kernel $kernel has no '$module': mend cross/modules"
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p'
}

# What only administers packages, or is asked for by scripts that do not run.
unwanted='adduser|apt|bsdextrautils|cpio|debconf|debconf-2.0|debianutils|dpkg|dracut-install|gawk|gettext-base|initramfs-tools(-core|-bin)?|init-system-helpers|klibc-utils|libdebconfclient0|libklibc|linux-base|mawk|perl-base|sensible-utils|sysvinit-utils|tar|ucf'

# need_base BOARD: sets base, an archive of the unpacked packages, with their list beside it (.list: package, version, KiB).
need_base() {
  local wanted state package
  wanted=$(packages_of "$1")
  base=$cache/image/$suite-$( (echo "$wanted"; cat "$here/debian.sh") | sha256sum | cut -c1-12).tar
  [ -e "$base" ] && return
  say "Fetching Debian's packages for $1 (once)"
  mkdir -p "$cache/image"
  state=$(mktemp -d)
  deb=arm64
  apt_state "$state" arm64 "" "$suite" "$suite-updates"
  (cd "$state/packages" && "${apt[@]}" download $(apt_names $wanted | grep -vxE "$unwanted")) ||
    unavailable "Debian's packages could not be fetched; is the network there?"
  mkdir "$state/tree"
  for package in "$state"/packages/base-files_*.deb "$state"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$state/tree" --keep-directory-symlink --exclude='./usr/share/doc/*' \
      --exclude='./usr/share/man/*' --exclude='./usr/share/info/*' --exclude='./usr/share/locale/*' \
      --exclude='./usr/share/lintian/*' --exclude='./usr/share/bug/*' --exclude='./usr/lib/udev/hwdb.d/*'
  done
  for package in "$state"/packages/*.deb; do
    dpkg-deb --show --showformat '${Package} ${Version} ${Installed-Size}\n' "$package"
  done | sort >"${base%.tar}.list"
  tar -c -C "$state/tree" -f "$base.new" .
  mv "$base.new" "$base"
  rm -rf "$state"
}

# What the packages' scripts would have done that a phone needs.
set_up_packages() {
  local name
  cp "$tree/usr/share/base-passwd/passwd.master" "$tree/etc/passwd"
  cp "$tree/usr/share/base-passwd/group.master" "$tree/etc/group"
  # Nobody has a password.
  sed 's/^\([^:]*\):.*/\1:*:20000:0:99999:7:::/' "$tree/etc/passwd" >"$tree/etc/shadow"
  sed -i 's/^\([^:]*\):[^:]*:/\1:x:/; s,^\(root:.*\):[^:]*$,\1:/bin/sh,' "$tree/etc/passwd"
  sed 's/^\([^:]*\):.*/\1:*::/' "$tree/etc/group" >"$tree/etc/gshadow"
  chmod 640 "$tree/etc/shadow" "$tree/etc/gshadow"
  printf '%s: files\n' passwd group shadow gshadow protocols services >"$tree/etc/nsswitch.conf"
  echo 'hosts: files dns' >>"$tree/etc/nsswitch.conf"
  mkdir -p "$tree/etc/ssl/certs"
  cat "$tree"/usr/share/ca-certificates/mozilla/*.crt >"$tree/etc/ssl/certs/ca-certificates.crt"
  ln -sf /usr/share/zoneinfo/Etc/UTC "$tree/etc/localtime"
  for name in bin sbin lib; do [ -e "$tree/$name" ] || ln -s "usr/$name" "$tree/$name"; done
  [ -e "$tree/usr/bin/sh" ] || ln -s dash "$tree/usr/bin/sh"
  mkdir -p "$tree"/{dev,proc,sys,run,tmp,var/tmp,root,mnt,boot}
  chmod 1777 "$tree/tmp"
  chmod 700 "$tree/root"
}

# make_initramfs FILE: finds the root, mounts it, and starts its system; if it cannot, the next attempt is U-Boot's.
make_initramfs() {
  local work file
  work=$(mktemp -d)
  mkdir -p "$work"/{bin,dev,proc,sys,run,root,lib/modules/"$kernel"}
  cp "$tree/usr/bin/busybox" "$work/bin/busybox"
  cp "$here/boot/init" "$work/init"
  chmod 755 "$work/init"
  modules_boot >"$work/modules"
  cp "$tree/usr/lib/modules/$kernel"/modules.{order,builtin,builtin.modinfo} "$work/lib/modules/$kernel/"
  module_files $(modules_boot) | sort -u | while read -r file; do
    case $file in
      *.xz) xz -dc "$file" >"$work/lib/modules/$kernel/$(basename "$file" .xz)" ;;
      *) cp "$file" "$work/lib/modules/$kernel/" ;;
    esac
  done
  depmod -b "$work" "$kernel"
  (cd "$work" && find . | sort | cpio -o -H newc -R 0:0 --reproducible --quiet) | zstd -q -10 >"$1"
  rm -rf "$work"
}
