require offhook-image.bb

SUMMARY:append = " of those who work on it: with a debugger and the phone's tests"
DESCRIPTION:append = " bitbake -c populate_sdk makes an SDK with Rust for the phone's processor."

IMAGE_INSTALL:append = " alsa-utils gdbserver offhook-ptest ptest-runner strace"

# An SDK has the headers of what the image holds; Rust and what builds libopus come on top.
TOOLCHAIN_HOST_TASK:append = " nativesdk-cmake nativesdk-pkgconf packagegroup-rust-cross-canadian-${MACHINE}"
TOOLCHAIN_TARGET_TASK:append = " alsa-lib-dev libstd-rs"
