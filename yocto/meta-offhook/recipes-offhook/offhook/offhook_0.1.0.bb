SUMMARY = "Desk-phone firmware: a Genesys Cloud WebRTC station"
DESCRIPTION = "Turns a Raspberry Pi with a handset, a keypad and a sound codec into a Genesys Cloud station."
SECTION = "net"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE-MIT;md5=4dd48bf90894778250409d3100c40272 \
    file://LICENSE-APACHE;md5=22a53954e4e0ec258dfce4391e905dac \
"

# The opus crate builds the libopus it holds, with CMake.
DEPENDS = "alsa-lib cmake-native"

# Cargo reads the manifests of the whole workspace, whichever part of it is built.
OFFHOOK_FILES = "\
    Cargo.toml Cargo.lock LICENSE-MIT LICENSE-APACHE firmware hal board \
    tests/Cargo.toml tests/src tests/cloudsim tests/audio tests/softphone \
    cross/rootfs \
"
inherit offhook_source offhook_tables
require ${BPN}-crates.inc
require recipes-offhook/offhook-rootfs.inc

inherit cargo cargo-update-recipe-crates pkgconfig ptest-cargo systemd useradd

# The simulator of the cloud is a member of the workspace, and not for a phone.
CARGO_BUILD_FLAGS:append = " -p offhook"
# Stripped by the packaging, which keeps what it takes off for the debugger.
export CARGO_PROFILE_RELEASE_STRIP = "none"
export CARGO_PROFILE_RELEASE_DEBUG = "line-tables-only"

# Of the tests, those that start the program or read the source tree stay at home.
RUST_TEST_ARGS = "--skip softphone::tests --skip fuzz::tests --skip all_states_are_drawn"
offhook_ptest_select[doc] = "Leaves out tests that a phone cannot run."
offhook_ptest_select() {
    sed -i '/\/device-[0-9a-f]*$/d' "${CARGO_TEST_BINARIES_FILES}"
}
do_compile_ptest_cargo[postfuncs] += "offhook_ptest_select"

do_install:append() {
    (cd "${S}/cross/rootfs" && tar -c ${OFFHOOK_ROOTFS}) | tar -x --no-same-owner -C "${D}"
}

# The phone's user is who sysusers.d says; openembedded-core makes users together with the image.
def offhook_sysusers(d):
    import shlex
    groups, users, member = [], [], {}
    for line in offhook_text(d, "cross/rootfs/usr/lib/sysusers.d/offhook.conf").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] == "g":
            groups.append("-r " + words[1])
        elif words[0] == "u":
            users.append(words[1:])
        elif words[0] == "m":
            member.setdefault(words[1], []).append(words[2])
    params = ["-r -U -c '%s' -d %s -M -s %s %s %s" % (comment, home, shell,
              "-G " + ",".join(member[name]) if name in member else "", name)
              for name, _, comment, home, shell in users]
    return "; ".join(groups), "; ".join(params)

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "${@offhook_sysusers(d)[0]}"
USERADD_PARAM:${PN} = "${@offhook_sysusers(d)[1]}"

FILES:${PN} += "${nonarch_libdir}"
SYSTEMD_SERVICE:${PN} = "offhook.service offhook-judge.timer offhook-restart.path"

# Trust anchors, and the time zones that the display's clock and the call list go by.
RDEPENDS:${PN} += "ca-certificates tzdata"
