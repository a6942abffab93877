# What BitBake installs on a phone, held against what cross/image puts on its card: sourced by yocto/check, after lib.sh.
#
# BitBake runs the recipes' own tasks, but what needs compilers of Yocto's own: in cargo's place stands a program that
# writes down how it was called, has the real cargo see that no crate is missing, and puts cross/build's program where
# cargo would have put it. Without pseudo, the files belong to who runs this.
umask 022
here=$root/cross
. "$here/disk.sh"
program=${OFFHOOK_PROGRAM:-$root/target/cross/aarch64-unknown-linux-gnu/release/offhook}
[ -e "$program" ] || die "there is no program for the phone at $program: run cross/build aarch64 --release"
cargo=$(rustup which cargo 2>/dev/null || command -v cargo) || die "cargo is needed"
need_packages "the comparison with cross/image" device-tree-compiler u-boot-tools fdisk openssl binutils-aarch64-linux-gnu

# crates FOLDER: those of Cargo.lock, out of cargo's cache.
crates() {
  local found name version
  mkdir -p "$1"
  while read -r name version; do
    found=$(echo "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$name-$version.crate" | cut -d' ' -f1)
    [ -e "$found" ] || die "the crate $name $version is not in cargo's cache: run cargo fetch"
    ln -sf "$found" "$1/"
  done < <(sed -n 's,.*crate://crates.io/\([^/]*\)/\([^ ]*\) .*,\1 \2,p' "$layer/recipes-offhook/offhook/offhook-crates.inc")
}

# stand_in FILE: the program in cargo's place.
stand_in() {
  cat >"$1" <<CARGO
#!/bin/bash -e
target=\$(sed -n 's/^target-dir = "\(.*\)"/\1/p' "\$CARGO_HOME/config.toml")
for argument; do
  case \$last in --target) triple=\$argument ;; esac
  case \$argument in --manifest-path=*) manifest=\$argument ;; esac
  last=\$argument
done
mkdir -p "\$target/\$triple/release/deps"
case " \$* " in
  *" --tests "*)
    for name in offhook-0123 device-4567; do
      cp "$program" "\$target/\$triple/release/deps/\$name"
      echo '{"manifest_path":"'"\$(dirname "\${manifest#*=}")"'/firmware/Cargo.toml","target":{"test":true},' \
        '"executable":"'"\$target/\$triple/release/deps/\$name"'"}'
    done
    ;;
  *)
    echo "\$*" >"\$target/called"
    env | grep '^CARGO_PROFILE\|^RUSTFLAGS' | sort >>"\$target/called"
    RUSTC="$(dirname "$cargo")/rustc" "$cargo" metadata --frozen --format-version 1 "\$manifest" >"\$target/metadata.json"
    cp "$program" "\$target/\$triple/release/offhook"
    ;;
esac
CARGO
  chmod +x "$1"
}

# run RECIPE TASK: the recipe's own tasks up to this one; without those of others.
run() {
  local log=$build/$machine-${1##*/}.log
  bitbake -b "$1" -c "$2" >"$log" 2>&1 || { grep -E '^(ERROR|WARNING)' "$log"; die "bitbake -b $1 -c $2 failed: $log"; }
  if grep -E '^(ERROR|WARNING):' "$log" | grep -v 'Buildfile specified'; then die "bitbake -b $1 -c $2 warns: $log"; fi
}

# listing FOLDER: what is in it, one a line.
listing() {
  (cd "$1" && {
    find . -type f -exec sh -c 'for f; do echo "${f#./} file $(stat -c %a "$f") $(sha256sum <"$f" | cut -c1-16)"; done' - {} +
    find . -type l -printf '%P link to %l\n'
    find . -type d -empty -printf '%P folder %m\n'
  } | sort)
}

# same WHAT FILE FILE: or what differs.
same() { diff -u --label "cross: $1" --label "yocto: $1" "$2" "$3" || die "$machine: $1: not as cross/image makes it"; }

# What add_phone of cross/image does for Debian, and other recipes than the phone's do here.
theirs="
etc/credstore            systemd
etc/credstore.encrypted  systemd
etc/default/locale       base-files
etc/fstab                base-files, with the phone's file: yocto/check --bitbake looks at it
etc/hostname             base-files, with the distro's name
etc/hosts                base-files
etc/machine-id           systemd
etc/mtab                 base-files
etc/os-release.offhook   os-release
etc/resolv.conf          systemd
etc/vconsole.conf        systemd
srv                      systemd
"

# The phone's files on the card.
compare_trees() {
  local tree=$work/cross recipe path
  mkdir -p "$tree"/{usr/bin,etc} "$work/yocto"
  add_phone
  for recipe in offhook-system offhook; do
    (cd "$tmp"/work/*/$recipe/*/image && find . ! -type d) >"$work/$recipe.list"
    cp -a "$tmp"/work/*/$recipe/*/image/. "$work/yocto/"
  done
  path=$(sort "$work"/{offhook-system,offhook}.list | uniq -d)
  [ -z "$path" ] || die "both recipes install $path"
  # Packaging does it later.
  aarch64-linux-gnu-strip "$work/yocto/usr/bin/offhook"
  while read -r path _; do [ -z "$path" ] || rm -r "${tree:?}/$path"; done <<<"$theirs"
  # Only these were in it.
  rmdir "$tree/etc/default"
  listing "$tree" >"$work/cross.list"
  listing "$work/yocto" >"$work/yocto.list"
  same "the phone's files" "$work/cross.list" "$work/yocto.list"
  say "$machine: $(wc -l <"$work/yocto.list") files, links and folders are cross/image's"
}

compare_boot() {
  make_boot_script "$work/boot.cmd"
  same "U-Boot's script" "$work/boot.cmd" "$(echo "$tmp"/work/*/offhook-boot-script/*/sources/*/boot.cmd)"
  say "$machine: U-Boot's script is cross/image's"
}

# Overlays are held against each other as text: the room for later changes, which dtc leaves in them, differs.
compare_overlays() {
  local made overlay
  made=$(echo "$tmp"/work/*/offhook-overlays/*/image/boot/devicetree)
  make_overlays "$work/overlays"
  same "the list of overlays" <(ls "$work/overlays") <(ls "$made")
  for overlay in "$work"/overlays/*; do
    same "${overlay##*/}" <(dtc -q -I dtb -O dts "$overlay") <(dtc -q -I dtb -O dts "$made/${overlay##*/}")
  done
  make_pi_config >"$work/config.txt"
  same "config.txt's overlays" <(grep ^dtoverlay= "$work/config.txt") \
    <(value "$machine-image" RPI_EXTRA_CONFIG | sed 's/\\n/\n/g' | grep ^dtoverlay=)
  local name variable
  while read -r name variable; do
    same "config.txt's $name" <(sed -n "s/^$name=//p" "$work/config.txt") <(value "$machine-image" "$variable")
  done <<<"enable_uart ENABLE_UART
gpu_mem GPU_MEM
disable_splash DISABLE_SPLASH"
  say "$machine: $(ls "$made" | wc -l) overlays and config.txt's settings are cross/image's"
}

# Name, start and size in MiB, and type of each partition: of the disk that cross/image makes, and of WIC's lines.
compare_partitions() {
  truncate -s 1M "$work/boot.vfat" "$work/root.ext4"
  out=$work make_disk "$work/disk"
  sed -n '/^OFFHOOK_WKS="/,/"$/p' "$build/$machine-image" |
    sed -n 's/.*--part-name \([^ ]*\) --part-type \([^ ]*\) --offset \([0-9]*\)M --fixed-size \([0-9]*\)M.*/\1 \3 \4 \2/p' >"$work/wic"
  same "the partitions" <(sfdisk --json "$work/disk" | python3 -c '
import json, sys
for p in json.load(sys.stdin)["partitiontable"]["partitions"]:
    print(p["name"], p["start"] // 2048, p["size"] // 2048, p["type"])') "$work/wic"
  rm "$work"/{disk,boot.vfat,root.ext4}
  say "$machine: $(wc -l <"$work/wic") partitions are cross/image's"
}

# compare_calls: cargo is asked for the same program.
compare_calls() {
  local called=$(echo "$tmp"/work/*/offhook/*/build/target/called) word
  for word in --frozen --release "-p offhook" CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only; do
    grep -q -e "$word" "$called" || die "$machine: cargo is called without $word: $(cat "$called")"
  done
  [ "$(wc -w <"${called%/target/called}/test_binaries_list")" = 1 ] || die "$machine: the tests to install are not the phone's"
  say "$machine: $(sed -n '1s, --manifest-path=[^ ]*,,p' "$called" | sed 's/^/cargo /')"
}

say "The crates"
build_folder build-offhook-install offhook "$layers"/{openembedded-core/meta,meta-raspberrypi,meta-rauc} "$layer" </dev/null
crates "$build/crates"
stand_in "$build/cargo"
printf '#!/bin/sh\n[ "$1" = -S ] || exec "$@"\n' >"$build/pseudo"
chmod +x "$build/pseudo"
keys=$build/keys
mkdir -p "$keys"
[ -e "$keys/keyring.pem" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 \
  -subj "/CN=A keyring to install" -keyout "$keys/key.pem" -out "$keys/keyring.pem" 2>/dev/null
for machine in $machines; do
  export MACHINE=$machine
  board=$(sed -n "s/^OFFHOOK_BOARDS\[$machine\] = \"\(.*\)\"/\1/p" "$layer/classes-recipe/offhook_tables.bbclass")
  board_data "$board"
  tmp=$build/tmp-$machine
  rm -rf "$tmp"
  build_folder build-offhook-install offhook "$layers"/{openembedded-core/meta,meta-raspberrypi,meta-rauc} "$layer" <<CONF
TMPDIR = "$tmp"
DL_DIR = "$build/crates"
OFFHOOK_KEYRING = "$keys/keyring.pem"
CARGO:pn-offhook = "$build/cargo"
HOSTTOOLS += "dtc mkimage"
FAKEROOTCMD = "$build/pseudo"
FAKEROOTBASEENV = ""
FAKEROOTENV = ""
FAKEROOTNOENV = ""
CONF
  work=$build/compared-$machine
  rm -rf "$work"
  mkdir -p "$work"
  say "$machine: BitBake installs the phone"
  run "$(echo "$layer"/recipes-offhook/offhook-system/*.bb)" install
  run "$(echo "$layer"/recipes-offhook/offhook/*.bb)" install
  run "$(echo "$layer"/recipes-bsp/offhook-boot-script/*.bb)" compile
  bitbake -b "$layer/recipes-core/images/offhook-image.bb" -e >"$build/$machine-image" 2>&1
  if [ "$disk" = mmc ]; then
    run "$(echo "$layer"/recipes-bsp/offhook-overlays/*.bb)" install
    compare_overlays
  fi
  compare_calls
  compare_trees
  compare_boot
  compare_partitions
done
say "Done by other recipes, where cross/image does it itself:"
sed '/^$/d; s/^/  /' <<<"$theirs"
