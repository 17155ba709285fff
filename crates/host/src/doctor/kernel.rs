//! The oldest kernel that each feature needs.

use serde::Serialize;

use super::finding::Finding;
use crate::facts::version;

/// Something that older kernels do not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelFeature {
    /// What needs it.
    pub feature: &'static str,
    /// The oldest kernel that has it, as in `5.10`. Distributions may have brought it to older ones.
    pub since: &'static str,
    /// Whether the running kernel is that old or later.
    pub present: bool,
}

/// What needs which kernel: net.ipv6.ip_nonlocal_bind, pidfd_open(2), the wildcard of nft's socket expression,
/// "userxattr" of overlayfs, SO_NETNS_COOKIE of socket(7), dev.tty.legacy_tiocsti.
const FEATURES: [(&str, (u32, u32), &str); 6] = [
    ("sending from every address", (4, 3), "4.3"),
    ("undoing at once when a command ends", (5, 3), "5.3"),
    ("inbound protection", (5, 10), "5.10"),
    ("changes of /etc in the lab", (5, 11), "5.11"),
    ("telling network namespaces apart for good", (5, 14), "5.14"),
    ("--as USER on a terminal", (6, 2), "6.2"),
];

/// The features against a release as uname(2) has it.
pub(super) fn features(release: &str) -> Vec<KernelFeature> {
    let running = version(release);
    let known = FEATURES.iter().map(|(feature, since, text)| KernelFeature {
        feature,
        since: text,
        present: running.is_none_or(|running| running >= *since),
    });
    known.collect()
}

/// One line about them.
pub(super) fn finding(features: &[KernelFeature]) -> Finding {
    let text = |feature: &KernelFeature| format!("{} {}", feature.feature, feature.since);
    let list = |features: &mut dyn Iterator<Item = &KernelFeature>| {
        features.map(text).collect::<Vec<_>>().join(", ")
    };
    let lacking = list(&mut features.iter().filter(|feature| !feature.present));
    if lacking.is_empty() {
        let all = list(&mut features.iter());
        return Finding::ok("features", format!("this kernel has what is used: {all}"));
    }
    Finding::warning(
        "features",
        format!("by its version, this kernel lacks what a later one has: {lacking}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::FindingState;

    #[test]
    fn an_older_kernel_lacks_what_a_later_one_brought() {
        let lacking = |release: &str| -> Vec<&str> {
            let features = features(release).into_iter();
            features
                .filter(|feature| !feature.present)
                .map(|feature| feature.since)
                .collect()
        };
        assert_eq!(lacking("6.18.5"), [""; 0]);
        assert_eq!(lacking("6.1.0-13-amd64"), ["6.2"]);
        assert_eq!(lacking("5.10.0-28-cloud"), ["5.11", "5.14", "6.2"]);
        assert_eq!(lacking("4.2-rc1").len(), FEATURES.len());
        // Unknown is not old.
        assert_eq!(lacking("unknown"), [""; 0]);
        let found = finding(&features("5.15.0"));
        assert_eq!(found.state, FindingState::Warning);
        assert!(
            found.detail.ends_with("--as USER on a terminal 6.2"),
            "{}",
            found.detail
        );
        assert_eq!(finding(&features("6.6.0")).state, FindingState::Ok);
    }
}
