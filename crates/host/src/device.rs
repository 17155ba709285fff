//! What became of the device that a prefix was set up on.

use v6kit_net::{Prefix, shell_word};

use crate::netlink::Link;

/// The device of a setup as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Device {
    /// It is there.
    Present,
    /// It has another name.
    Renamed(String),
    /// It is gone; or it came back as a new device of another name.
    Gone,
}

impl Device {
    /// Looks for the device of that name, and for one that was it by the index that setup saw.
    pub(crate) fn find(name: &str, index: Option<u32>, links: &[Link]) -> Self {
        if links.iter().any(|link| link.name == name) {
            return Self::Present;
        }
        match links.iter().find(|link| Some(link.index) == index) {
            Some(link) => Self::Renamed(link.name.clone()),
            None => Self::Gone,
        }
    }

    /// What is wrong with it.
    pub(crate) fn remark(&self, name: &str, prefix: Prefix) -> Option<String> {
        match self {
            Self::Present => None,
            Self::Renamed(now) => Some(format!(
                "{name} is called {now} now: `sudo v6kit setup --prefix {prefix} --dev {}`",
                shell_word(now)
            )),
            Self::Gone => Some(format!(
                "there is no device {name} any more, which {prefix} was set up on: run setup again with the one that it arrives on"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_device_is_known_by_its_index() {
        let link = |index, name: &str| Link {
            index,
            name: name.to_owned(),
            is_up: true,
            is_loopback: false,
            mtu: Some(1500),
            port_of: None,
            is_in_vrf: false,
            kind: crate::netlink::LinkKind::Other,
        };
        let links = [link(2, "ens18"), link(3, "eth1")];
        assert_eq!(Device::find("eth1", Some(2), &links), Device::Present);
        assert_eq!(
            Device::find("eth0", Some(2), &links),
            Device::Renamed("ens18".to_owned())
        );
        assert_eq!(Device::find("eth0", None, &links), Device::Gone);
        assert_eq!(Device::find("eth0", Some(9), &links), Device::Gone);
    }
}
