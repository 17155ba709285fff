//! Our table as nft lists it, in a form that can be kept and compared.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use v6kit_net::Prefix;

use super::rules::tcp_comment;
use crate::value::Value;

/// Our table out of a listing, without the numbers that change when it is made anew.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Listing {
    /// Of nft: the same table is listed differently by another one.
    pub(super) version: String,
    pub(super) objects: Vec<Json>,
}

/// Whether two listings are the same table.
pub(crate) fn is_same_listing(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (
        serde_json::from_str::<Listing>(one),
        serde_json::from_str::<Listing>(other),
    ) else {
        return one == other;
    };
    if one.version == other.version {
        return one == other;
    }
    // nft was upgraded in between: what every version lists alike must do.
    one.outline() == other.outline()
}

/// A listing in a few words.
pub(crate) fn describe_listing(listing: &str) -> String {
    let rules = serde_json::from_str::<Listing>(listing).map_or(0, |listing| {
        let is_rule = |object: &&Json| object.get("rule").is_some();
        listing.objects.iter().filter(is_rule).count()
    });
    format!("table inet v6kit with {rules} rules")
}

impl Listing {
    /// The kind, chain, name and comment of each object.
    fn outline(&self) -> Vec<Vec<&Json>> {
        self.objects
            .iter()
            .filter_map(Json::as_object)
            .flatten()
            .map(|(_, body)| ["chain", "name", "comment"].map(|key| &body[key]).to_vec())
            .collect()
    }
}

/// Whether the listing of our table has the rule that drops new TCP connections to `prefix`.
pub(crate) fn drops_inbound(table: &Value, prefix: Prefix) -> bool {
    let listing = table
        .as_text()
        .and_then(|text| serde_json::from_str::<Listing>(text).ok());
    let objects = listing.into_iter().flat_map(|listing| listing.objects);
    let comment = tcp_comment(prefix);
    objects
        .into_iter()
        .any(|object| object["rule"]["comment"] == comment)
}

#[cfg(test)]
mod tests {
    use super::super::Ruleset;
    use super::*;

    fn ruleset(objects: &str) -> Ruleset {
        let text = format!("{{\"nftables\":[{{\"metainfo\":{{\"version\":\"1.0.6\"}}}},{objects}]}}");
        Ruleset::parse(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn a_prefix_is_closed_when_its_own_rule_is_listed() {
        let found = ruleset(
            r#"{"table":{"family":"inet","name":"v6kit","handle":1}},
            {"rule":{"family":"inet","table":"v6kit","chain":"inbound","handle":9,"comment":"2001:db8:1::/64: no new TCP connections","expr":[{"drop":null}]}}"#,
        );
        assert!(drops_inbound(&found.table, "2001:db8:1::/64".parse().unwrap()));
        assert!(!drops_inbound(&found.table, "2001:db8:2::/64".parse().unwrap()));
        assert!(!drops_inbound(&Value::ABSENT, "2001:db8:1::/64".parse().unwrap()));
    }

    #[test]
    fn our_table_is_compared_without_handles_and_across_versions_by_its_outline() {
        let listed = |handle: u32, version: &str, expr: &str| {
            let text = format!(
                r#"{{"nftables":[{{"metainfo":{{"version":"{version}"}}}},{{"table":{{"family":"inet","name":"v6kit","handle":{handle}}}}},
                {{"rule":{{"family":"inet","table":"v6kit","chain":"inbound","handle":9,"comment":"c","expr":[{expr}]}}}}]}}"#
            );
            Ruleset::parse(&serde_json::from_str(&text).unwrap()).table
        };
        let same =
            |one: &Value, other: &Value| is_same_listing(one.as_text().unwrap(), other.as_text().unwrap());
        let drop = r#"{"drop":null}"#;
        let accept = r#"{"accept":null}"#;
        assert!(same(&listed(1, "1.0.6", drop), &listed(2, "1.0.6", drop)));
        assert!(!same(&listed(1, "1.0.6", drop), &listed(1, "1.0.6", accept)));
        assert!(same(&listed(1, "1.0.6", drop), &listed(1, "1.1.1", accept)));
    }
}
