# What cost, report, endurance and neteq/compare share: the audio pipeline alone, optimised, and the judges of sounds. Sourced by them, not run.

. "$(dirname "${BASH_SOURCE[0]}")/../../cross/lib.sh"

target=${CARGO_TARGET_DIR:-$root/target}

# Builds the pipeline's tests (tests/audio/alone); the way to the program is in $program.
build_alone() {
  need_build_tools
  need_packages "the voices of the tests" alsa-utils
  say "Building the audio pipeline alone"
  local alone=$root/tests/audio/alone
  # The versions are the workspace's own.
  [ "$alone/Cargo.lock" -nt "$root/Cargo.lock" ] || cp "$root/Cargo.lock" "$alone/Cargo.lock"
  local build=(cargo test --manifest-path "$alone/Cargo.toml" --quiet --release --lib --no-run --target-dir "$target")
  "${build[@]}"
  program=$("${build[@]}" --message-format json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
  [ -x "$program" ] || die "cargo does not say where it has put the program"
}

# Has ViSQOL and PESQ judge sounds: tests/audio/quality with these arguments.
judge() {
  local tools=${XDG_CACHE_HOME:-$HOME/.cache}/offhook/quality
  need_packages "converting rates for the judges" sox
  if ! "$tools/bin/python" -c "import pesq, visqol" 2>/dev/null; then
    say "Installing ViSQOL and PESQ into $tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet numpy==2.* pesq==0.0.4 'visqol-python[lattice]==3.8.0'
  fi
  say "Judging"
  "$tools/bin/python" "$root/tests/audio/quality" "$@"
}
