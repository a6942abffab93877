# What cross/demo and cross/test share: sees what this machine lacks, and gets it.
# Sourced, not run. Shows what it does; does nothing that is done already, so a second run needs no network.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf '\nStopped: %s\n' "$*" >&2; exit 1; }
# For what others have and we could not get: a status of its own (EX_UNAVAILABLE of sysexits.h).
unavailable() { printf '\nStopped: %s\n' "$*" >&2; exit 69; }

# Where the repository is.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Node's packages and stamps are kept outside the sources.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/offhook
mkdir -p "$cache"

# need_packages "what for" package...: Debian packages, asked of apt only where there is apt.
need_packages() {
  local what=$1 missing=() package
  shift
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "This is not a Debian-like system: for $what please have installed (Debian's names): $*"
    return 0
  fi
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  say "Installing for $what: ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "please install as root: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  "${sudo[@]}" apt-get update || die "the package lists cannot be fetched; is the network there?"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}" ||
    die "apt-get could not install ${missing[*]}"
}

# Debian's mirror, as this machine's apt knows it; empty where it knows none.
debian_mirror() {
  echo "${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(ORIGIN)|$(SITE)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$1 == "Debian" && $2 !~ /security/ { print $2; exit }')}"
}

# A Rust new enough for the workspace.
need_rust() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
  [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
  command -v cargo >/dev/null || die "Rust $wanted or later is needed: install it with rustup (https://rustup.rs)"
  found=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n1)" = "$wanted" ] ||
    die "Rust $wanted or later is needed, this is $found: run 'rustup update stable'"
}

# What the phone and the simulator are built from.
need_build_tools() {
  need_packages "building" gcc g++ make cmake pkg-config libasound2-dev
  need_rust
}

# need_cargo_tool NAME VERSION: a program of crates.io, built once; unoptimised, as building it is what takes the time.
need_cargo_tool() {
  command -v "$1" >/dev/null && return 0
  say "Building $1 (some minutes, once)"
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --locked "$1" --version "$2" || die "$1 could not be built"
}

# overlays_of BOARD: the device-tree overlays of a Raspberry Pi's config.txt, a line each. The board's file says which
# display and which codec are on the header, and whether that is on a chip of its own, as a Raspberry Pi 5's is.
overlays_of() {
  local file=$root/board/boards/$1.toml chip=""
  ! grep -q '^chip = "pinctrl-rp1"' "$file" || chip=-rpi5
  ! grep -q '^bus_device = "/dev/i2c-' "$file" || echo offhook-i2c-display
  ! grep -q '^bus_device = "/dev/spidev' "$file" || echo offhook-spi-display$chip
  ! grep -q '^sound = "wm8960"' "$file" || echo offhook-wm8960$chip
}
