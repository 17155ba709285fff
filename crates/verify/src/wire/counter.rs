//! The kernel's count of neighbour solicitations per device.

use std::io;

use crate::routes::Device;

const NAME: &str = "Icmp6InNeighborSolicits";

/// What was counted since the start.
#[derive(Debug)]
pub(super) struct Counter {
    device: Device,
    start: u64,
}

impl Counter {
    pub(super) fn start(device: &Device) -> io::Result<Self> {
        Ok(Self {
            device: device.clone(),
            start: solicitations(device)?,
        })
    }

    pub(super) fn so_far(&self) -> io::Result<u64> {
        Ok(solicitations(&self.device)?.saturating_sub(self.start))
    }
}

/// How many neighbour solicitations the device has delivered to this host since it exists: those to
/// addresses and groups of the host, readable by everybody.
pub(crate) fn solicitations(device: &Device) -> io::Result<u64> {
    // This thread's view: it may sit in another network namespace than the process.
    let path = format!("/proc/thread-self/net/dev_snmp6/{}", device.name);
    let text = std::fs::read_to_string(path)?;
    value(&text).ok_or_else(|| io::Error::other(format!("the kernel does not count {NAME}")))
}

fn value(text: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .find(|(name, _)| *name == NAME)
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_by_its_name() {
        let text = "ifIndex                         \t2\nIcmp6InNeighborSolicits         \t17\nIcmp6InNeighborAdvertisements   \t3\n";
        assert_eq!(value(text), Some(17));
        assert_eq!(value("ifIndex \t2\n"), None);
    }
}
