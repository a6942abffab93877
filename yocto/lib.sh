# BitBake without network, over checkouts of the layers of kas/offhook.yml. Sourced by yocto/check after cross/lib.sh;
# layers is the folder they are in.

layer=$root/yocto/meta-offhook

need_bitbake() {
  [ "$(id -u)" != 0 ] || die "BitBake does not run as root"
  export LC_ALL=en_US.UTF-8
  export BB_ENV_PASSTHROUGH_ADDITIONS="MACHINE BB_NUMBER_THREADS BB_NUMBER_PARSE_THREADS"
  export PATH=$layers/openembedded-core/scripts:$layers/bitbake/bin:$PATH
}

# In a dry run BitBake starts a process for each task, which reads the recipe once more before it does nothing: twenty
# minutes a machine for what was read just before. A copy of it leaves that out.
need_quick_bitbake() {
  local copy=$layers/build-offhook-bitbake
  mkdir -p "$copy"
  cp -R "$layers"/bitbake/{bin,lib} "$copy/"
  sed -i 's/^        def child():$/&\n            if dry_run: return 0/' "$copy/bin/bitbake-worker"
  grep -q 'if dry_run: return 0' "$copy/bin/bitbake-worker" || die "bitbake-worker has no 'def child()' any more"
  export PATH=$copy/bin:$PATH
}

# build_folder NAME DISTRO LAYER...: a build folder, which keeps what BitBake parsed for the next time. The settings
# that come from standard input are added to its own.
build_folder() {
  build=$layers/$1
  local distro=$2
  shift 2
  mkdir -p "$build/conf"
  printf 'BBPATH = "${TOPDIR}"\nBBFILES = ""\nBBLAYERS = "%s"\n' "$*" >"$build/conf/bblayers.conf"
  {
    [ -z "$distro" ] || printf 'DISTRO = "%s"\n' "$distro"
    cat <<'CONF'
CONF_VERSION = "2"
BB_NO_NETWORK = "1"
CONNECTIVITY_CHECK_URIS = ""
# As yocto-check-layer wants it: what was parsed for one serves the other.
BB_SIGNATURE_HANDLER = "OEBasicHash"
# A C library for the host's tools, which would be fetched.
INHERIT_DISTRO:remove = "uninative"
CONF
    cat
  } >"$build/conf/local.conf"
  export BUILDDIR=$build BBPATH=$build
  cd "$build"
}

# bitbake_clean LOG ARGUMENT...: no error and no warning.
bitbake_clean() {
  local log=$build/$1
  shift
  bitbake "$@" >"$log" 2>&1 || { grep -E '^(ERROR|WARNING)' "$log"; die "bitbake $* failed: $log"; }
  if grep -E '^(ERROR|WARNING):' "$log"; then die "bitbake $* warns: $log"; fi
}

# value LOG VARIABLE: of what `bitbake -e` said.
value() { sed -n "s|^\(export \)\{0,1\}$2=\"\(.*\)\"$|\2|p" "$build/$1" | tail -n 1; }
