# What builds for the phone's processor: a Rust that has its standard library, a C cross compiler, and the target's own
# ALSA library. Sourced by cross/build, after lib.sh. Fetches what is missing into the cache; the second time needs no
# network, and nothing needs root but the host's own packages.
#
# Rust is rustup's where the target was added (`rustup target add`). Elsewhere Debian's rustc and its standard library for
# the target are unpacked, not installed, into the cache: that needs no chroot, takes half a minute instead of the five of
# a build root, and leaves the host's Rust alone.

# cross_target aarch64|armv7: the names everybody else has for it.
cross_target() {
  case $1 in
    aarch64) deb=arm64 triple=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu loader=ld-linux-aarch64.so.1 ;;
    # libopus has NEON intrinsics, which Debian's baseline for armhf leaves out.
    armv7) deb=armhf triple=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf loader=ld-linux-armhf.so.3
      cflags="-march=armv7-a -mfpu=neon -mfloat-abi=hard" ;;
    *) die "unknown processor '$1': aarch64 (64-bit Raspberry Pi OS, the product) or armv7 (32-bit)" ;;
  esac
}

# Debian's release whose rustc is new enough, and the one that has the target's library for it.
rust_suite() { [ "$deb" = armhf ] && echo forky || echo trixie-backports; }
rust_base() { [ "$deb" = armhf ] && echo forky || echo trixie; }

# apt_state DIR MAIN-ARCH EXTRA-ARCH SUITE...: apt with a state of its own; the host's is only asked for its mirror.
apt_state() {
  local state=$1 main=$2 extra=$3 key=/usr/share/keyrings/debian-archive-keyring.gpg mirror suite
  shift 3
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || unavailable "this machine's apt knows no Debian mirror, and rustc has no standard library for $triple:
run 'rustup target add $triple', or set DEBIAN_MIRROR"
  mkdir -p "$state"/{lists/partial,cache/archives/partial,packages}
  : >"$state/status"
  : >"$state/preferences"
  for suite in "$@"; do
    echo "deb [arch=$main${extra:+,$extra} signed-by=$key] $mirror $suite main"
  done >"$state/sources.list"
  apt=(apt-get -qq -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache"
    -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferences="$state/preferences" -o Dir::Etc::preferencesparts=/dev/null
    -o APT::Architecture="$main" -o APT::Architectures::="$main" ${extra:+-o APT::Architectures::="$extra"}
    -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Install-Recommends=false
    -o APT::Sandbox::User=root -o Debug::NoLocking=1)
  "${apt[@]}" update || unavailable "Debian's package lists cannot be fetched; is the network there?"
}

# Names of the packages that installing these would bring.
apt_names() { "${apt[@]}" --print-uris install "$@" | awk '{print $2}' | sed 's/_.*//' | sort -u; }

# unpack FROM TO: the packages' files, and a list of what they were.
unpack() {
  local package
  mkdir -p "$2"
  for package in "$1"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$2" --keep-directory-symlink \
      --exclude='./usr/share/doc*' --exclude='./usr/share/man*' --exclude='./usr/share/locale*' --exclude='./etc/*'
  done
  (cd "$1" && sha256sum -- *.deb) >"$2/MANIFEST.sha256"
}

# A rustc with the target's standard library, in RUSTC if it is not the host's.
need_cross_rust() {
  local wanted found
  if compgen -G "$(rustc --print target-libdir --target "$triple" 2>/dev/null)/libstd-*.rlib" >/dev/null; then
    say "Rust for $triple: $(rustc --version), as rustup installed it"
    return
  fi
  local place=$cache/rust-$deb
  if [ ! -x "$place/bin/rustc" ]; then
    say "Fetching Debian's Rust for $triple (about 150 MB, once)"
    local state wanted_packages
    state=$(mktemp -d)
    apt_state "$state" amd64 "$deb" $(printf '%s\n' "$(rust_base)" "$(rust_suite)" | sort -u)
    # Both parts of Rust from the newer release, for any architecture: apart they conflict.
    printf '%s\n' "Package: rustc:any libstd-rust-dev:any" "Pin: release n=$(rust_suite)" "Pin-Priority: 900" \
      >"$state/preferences"
    wanted_packages=$(apt_names rustc "libstd-rust-dev:$deb" | grep -xE \
      'rustc|libstd-rust-.*|libllvm[0-9.]+|libc6|libgcc-s1|libstdc\+\+6|zlib1g|libzstd1|libffi8|libedit2|libtinfo6|libbsd0|libmd0|libxml2(-[0-9]+)?|libicu[0-9]+|liblzma5|libz3-4') ||
      unavailable "Debian has no Rust for $deb today: for 32-bit ARM use a machine with rustup ('rustup target add $triple')"
    (cd "$state/packages" && "${apt[@]}" download $(printf '%s:amd64\n' $wanted_packages) \
      $(printf '%s\n' $wanted_packages | grep '^libstd-rust' | sed "s/\$/:$deb/")) ||
      unavailable "Debian's Rust could not be fetched; is the network there?"
    rm -rf "$place.new"
    mkdir -p "$place.new"/{usr/lib,usr/lib64,bin}
    ln -s usr/lib "$place.new/lib"
    ln -s usr/lib64 "$place.new/lib64"
    unpack "$state/packages" "$place.new"
    # It runs with its own C library, whatever the host's is.
    cat >"$place.new/bin/rustc" <<'WRAPPER'
#!/bin/sh
place=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$place/usr/lib64/ld-linux-x86-64.so.2" --library-path "$place/usr/lib/x86_64-linux-gnu" "$place/usr/bin/rustc" "$@"
WRAPPER
    chmod +x "$place.new/bin/rustc"
    "$place.new/bin/rustc" --version >/dev/null || die "the fetched Rust does not start on this machine"
    rm -rf "$place" "$state"
    mv "$place.new" "$place"
  fi
  export RUSTC=$place/bin/rustc
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
  found=$("$RUSTC" --version | cut -d' ' -f2)
  [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n1)" = "$wanted" ] ||
    die "Debian's Rust is $found, $wanted or later is needed: remove $place and try again"
  say "Rust for $triple: $found, Debian's"
}

# The target's ALSA library, from the host's own Debian release: the phone's C library may be newer, not older.
need_sysroot() {
  sysroot=$cache/sysroot-$deb
  [ -e "$sysroot/MANIFEST.sha256" ] && return
  local release state
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
  say "Fetching the ALSA library for $deb (once)"
  state=$(mktemp -d)
  apt_state "$state" "$deb" "" "$release"
  (cd "$state/packages" && "${apt[@]}" download $(apt_names libasound2-dev | grep -E '^libasound2')) ||
    unavailable "the ALSA library for $deb could not be fetched; is the network there?"
  rm -rf "$sysroot.new" "$sysroot"
  unpack "$state/packages" "$sysroot.new"
  mv "$sysroot.new" "$sysroot"
  rm -rf "$state"
}

# What cargo, cc, cmake and pkg-config want to know.
cross_environment() {
  local lower=${triple//-/_} upper
  upper=${lower^^}
  export "CARGO_TARGET_${upper}_LINKER=$gnu-gcc" "CC_$lower=$gnu-gcc" "CXX_$lower=$gnu-g++" "AR_$lower=$gnu-ar"
  export PKG_CONFIG_ALLOW_CROSS=1
  export "PKG_CONFIG_LIBDIR_$lower=$sysroot/usr/lib/$gnu/pkgconfig" "PKG_CONFIG_SYSROOT_DIR_$lower=$sysroot"
  # No path of this machine in the program: two builds of one commit are the same, wherever they were made. That of the
  # checkout is told for our own crates only, or another checkout would have all others' built again.
  local home=${CARGO_HOME:-$HOME/.cargo} map
  for map in "$home=/cargo" "$target=/target"; do
    rustflags+="${rustflags:+ }--remap-path-prefix=$map"
    cflags+="${cflags:+ }-ffile-prefix-map=$map"
  done
  export RUSTC_WORKSPACE_WRAPPER=$root/cross/rustc
  export "CARGO_TARGET_${upper}_RUSTFLAGS=$rustflags" "CFLAGS_$lower=$cflags" "CXXFLAGS_$lower=$cflags"
  # Any date will do that stays: that of the commit would have half of the crates built anew with each.
  export SOURCE_DATE_EPOCH=0
}
