# What BitBake says of the whole: sourced by yocto/check, after lib.sh.

# check_variables: each line of yocto/variables holds.
check_variables() {
  local recipe variable how words word said of="" count=0
  while read -r recipe variable how words; do
    [ "$recipe" = "$of" ] || bitbake_clean "environment-$recipe" -e "$recipe"
    of=$recipe
    said=" $(value "environment-$recipe" "$variable") "
    case $how in
      is) [ "$(echo $said)" = "$words" ] || die "$recipe: $variable is '$(echo $said)', not '$words'" ;;
      has | lacks)
        for word in $words; do
          if [[ $said = *" $word "* ]]; then
            [ "$how" = has ] || die "$recipe: $variable has '$word'"
          else
            [ "$how" = lacks ] || die "$recipe: $variable lacks '$word': $said"
          fi
        done
        ;;
      *) die "yocto/variables knows no '$how'" ;;
    esac
    count=$((count + 1))
  done < <(sed 's/#.*//; /^ *$/d' "$root/yocto/variables")
  echo "$count are as yocto/variables says"
}

# base-files takes the phone's table of file systems.
check_fstab() {
  local folder folders
  bitbake_clean environment-base-files -e base-files
  IFS=: read -ra folders <<<"$(value environment-base-files FILESPATH)"
  for folder in "${folders[@]}"; do
    [ -e "$folder/fstab" ] || continue
    [ "$folder" -ef "$root/cross/rootfs/etc" ] || die "base-files takes $folder/fstab, not that of cross/rootfs"
    return 0
  done
  die "base-files finds no fstab"
}

need_quick_bitbake
# Files for keys: nothing is signed in a dry run.
keys=$layers/build-offhook-keys
mkdir -p "$keys"
touch "$keys"/{keyring,key,cert}.pem
build_folder build-offhook-check offhook "$layers"/{openembedded-core/meta,meta-raspberrypi,meta-rauc} "$layer" <<CONF
OFFHOOK_KEYRING = "$keys/keyring.pem"
OFFHOOK_UPDATE_KEY = "$keys/key.pem"
OFFHOOK_UPDATE_CERT = "$keys/cert.pem"
CONF
# The calls for one machine share a server, which has read everything once.
export BB_SERVER_TIMEOUT=60
for machine in $machines; do
  export MACHINE=$machine
  targets=(offhook-image offhook-bundle)
  [ "$machine" != qemuarm64 ] || targets=(offhook-image)
  say "$machine: all recipes, and every task of ${targets[*]}"
  bitbake_clean "$machine.log" -n "${targets[@]}"
  grep -E '^Parsing of|^NOTE: Tasks Summary' "$build/$machine.log"
  say "$machine: what the image and the SDK for those who work on it need"
  bitbake_clean "$machine-dev.log" -g offhook-image-dev offhook-image-dev:do_populate_sdk
  grep -c ' -> ' task-depends.dot | sed 's/$/ dependencies of tasks/'
  say "$machine: variables"
  check_variables
  check_fstab
  bitbake -m >/dev/null 2>&1 || true
done
unset MACHINE BB_SERVER_TIMEOUT
[ $with_layer = yes ] || exit 0

# In a system of somebody else's, the layer changes nothing that nobody asked for.
say "yocto-check-layer"
build_folder build-offhook-layer "" "$layers"/{openembedded-core/meta,meta-raspberrypi,meta-rauc} <<'CONF'
MACHINE = "qemuarm64"
CONF
yocto-check-layer "$layer" >"$build/log" 2>&1 || true
grep -E ' \.\.\. |^INFO: (Ran|OK|FAILED)' "$build/log" || true
# It also succeeds where it tested nothing.
grep -q 'meta-offhook \.\.\. PASS' "$build/log" || die "yocto-check-layer finds fault: $build/log"
