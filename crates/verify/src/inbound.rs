//! Who can call in on the addresses of the prefix.

use v6kit_net::{Code, Exposure, InboundFilter, Prefix};

use crate::report::Check;

const ID: &str = "inbound";

/// How many services are named before the rest is counted.
const NAMED: usize = 6;

/// `command` is what was asked, as arguments of v6kit.
pub(crate) fn check(prefix: Prefix, exposure: &Exposure, command: &str) -> Check {
    let services = &exposure.services;
    match &exposure.filter {
        InboundFilter::Present => Check::ok(ID, format!("new connections to {prefix} are dropped")),
        _ if services.is_empty() => Check::ok(ID, "no service listens on every address"),
        InboundFilter::Missing => Check::warning(
            ID,
            format!("nothing keeps callers from what listens on every address of {prefix}: {}", listed(services)),
        )
        .hint(
            Code::Inbound,
            format!("`sudo v6kit setup --prefix {prefix} --inbound drop` keeps callers out, or bind the services to one address"),
        ),
        InboundFilter::Unknown { why } => Check::skipped(
            ID,
            format!("whether callers are kept out of {} cannot be seen: {why}", listed(services)),
        )
        .hint(Code::NotPermitted, format!("`sudo v6kit {command}` sees it")),
    }
}

fn listed(services: &[String]) -> String {
    match services.split_at_checked(NAMED) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        _ => services.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome;

    fn outcome(services: usize, filter: InboundFilter) -> Check {
        let services = (0..services).map(|n| format!("tcp {n}")).collect();
        check(
            "2001:db8::/64".parse().unwrap(),
            &Exposure { services, filter },
            "verify",
        )
    }

    #[test]
    fn services_without_a_filter_are_a_warning() {
        let open = outcome(8, InboundFilter::Missing);
        assert_eq!(open.outcome, Outcome::Warning);
        assert!(
            open.detail
                .ends_with("tcp 0, tcp 1, tcp 2, tcp 3, tcp 4, tcp 5 and 2 more"),
            "{open:?}"
        );
        assert_eq!(outcome(0, InboundFilter::Missing).outcome, Outcome::Ok);
        assert_eq!(outcome(8, InboundFilter::Present).outcome, Outcome::Ok);
        let unknown = InboundFilter::Unknown {
            why: "it needs CAP_NET_ADMIN".to_owned(),
        };
        assert_eq!(outcome(1, unknown).outcome, Outcome::Skipped);
    }
}
