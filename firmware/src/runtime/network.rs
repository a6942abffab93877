//! What this machine's network is like, as far as that is seen without sending anything.

use std::net::UdpSocket;
use std::path::Path;

/// There is a way out of this machine. Nothing is sent: the kernel only looks for a route (RFC 5737 and 3849 keep the
/// addresses free).
pub(super) fn has_network() -> bool {
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .iter()
        .any(|(from, to)| UdpSocket::bind(from).is_ok_and(|socket| socket.connect(to).is_ok()))
}

/// There is Ethernet, and no cable in any of it.
pub(super) fn is_unplugged() -> bool {
    is_unplugged_of(Path::new("/sys/class/net"))
}

/// `interfaces`: as of sysfs-class-net (Linux, Documentation/ABI/testing). One that nobody has switched on has no
/// carrier that could be read: that is not the cable's fault.
fn is_unplugged_of(interfaces: &Path) -> bool {
    /// ARPHRD_ETHER of Linux's if_arp.h.
    const ETHERNET: &str = "1";
    let read = |path: &Path| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    let Ok(entries) = std::fs::read_dir(interfaces) else {
        return false;
    };
    let cables: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("device").exists() && !path.join("phy80211").exists())
        .filter(|path| read(&path.join("type")).is_ok_and(|kind| kind == ETHERNET))
        .map(|path| read(&path.join("carrier")).is_ok_and(|carrier| carrier == "0"))
        .collect();
    !cables.is_empty() && cables.iter().all(|is_out| *is_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, type, carrier, whether there is hardware, whether it is Wi-Fi.
    type Interface = (&'static str, &'static str, Option<&'static str>, bool, bool);

    #[test]
    fn only_a_cable_that_is_out_is_no_network() {
        const LO: Interface = ("lo", "772", Some("1"), false, false);
        const OUT: Interface = ("end0", "1", Some("0"), true, false);
        const IN: Interface = ("eth1", "1", Some("1"), true, false);
        const OFF: Interface = ("eth2", "1", None, true, false);
        const WIFI: Interface = ("wlan0", "1", Some("0"), true, true);
        const TUNNEL: Interface = ("tap0", "1", Some("0"), false, false);
        let table: [(&[Interface], bool); 8] = [
            (&[LO, OUT], true),
            (&[LO, OUT, WIFI, TUNNEL], true),
            (&[LO, IN], false),
            (&[LO, OUT, IN], false),
            // The new system has not switched it on, or has no driver for it.
            (&[LO, OFF], false),
            (&[LO], false),
            (&[LO, WIFI], false),
            (&[], false),
        ];
        for (interfaces, expected) in table {
            let dir = tempfile::tempdir().expect("a folder");
            for (name, kind, carrier, is_real, is_wifi) in interfaces {
                let path = dir.path().join(name);
                std::fs::create_dir(&path).expect("a folder");
                std::fs::write(path.join("type"), format!("{kind}\n")).expect("written");
                if let Some(carrier) = carrier {
                    std::fs::write(path.join("carrier"), format!("{carrier}\n")).expect("written");
                }
                for (file, is_there) in [("device", is_real), ("phy80211", is_wifi)] {
                    if *is_there {
                        std::fs::write(path.join(file), "").expect("written");
                    }
                }
            }
            assert_eq!(is_unplugged_of(dir.path()), expected, "{interfaces:?}");
        }
        assert!(!is_unplugged_of(Path::new("/nowhere")));
    }
}
