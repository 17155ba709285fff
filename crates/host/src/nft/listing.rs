//! Our table as nft lists it, in a form that can be kept and compared.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use v6kit_net::Prefix;

use super::rules::{NO_TCP, OPEN, OWNER};
use crate::owner::Owner;
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
        let is_rule = |object: &&Json| object.get("rule").is_some_and(|rule| rule["chain"] != OWNER);
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

/// For whom our table was made; `None` where it does not say, as those of earlier versions.
pub(crate) fn owner(table: &Value) -> Option<Owner> {
    let listing = serde_json::from_str::<Listing>(table.as_text()?).ok()?;
    let rules = listing.objects.iter().map(|object| &object["rule"]);
    let marks = rules.filter(|rule| rule["chain"] == OWNER);
    Owner::parse(marks.filter_map(|rule| rule["comment"].as_str()))
}

/// The prefix whose rules drop new TCP connections to all of `prefix`: itself, or a wider one; `None` where it is
/// open. What is said of a part holds before what is said of the whole.
pub(crate) fn closing_prefix(table: &Value, prefix: Prefix) -> Option<Prefix> {
    let listing = table
        .as_text()
        .and_then(|text| serde_json::from_str::<Listing>(text).ok());
    let objects = listing.into_iter().flat_map(|listing| listing.objects);
    let (closing, said) = objects
        .filter_map(|object| {
            let (said_of, said) = object["rule"]["comment"].as_str()?.split_once(": ")?;
            Some((said_of.parse::<Prefix>().ok()?, said.to_owned()))
        })
        .filter(|(said_of, said)| {
            [NO_TCP, OPEN].contains(&said.as_str())
                && said_of.length() <= prefix.length()
                && said_of.contains(prefix.network())
        })
        .max_by_key(|(said_of, _)| said_of.length())?;
    (said == NO_TCP).then_some(closing)
}

/// The objects of one table in what nft lists; `None` where there is no such table.
pub(super) fn listed(document: &Json, family: &str, table: &str) -> Option<Listing> {
    let mut listing = Listing {
        version: String::new(),
        objects: Vec::new(),
    };
    let objects = document["nftables"].as_array().into_iter().flatten();
    for (kind, body) in objects.filter_map(|object| object.as_object()?.iter().next()) {
        if kind == "metainfo" {
            listing.version = text(&body["version"]);
        } else if is_of(kind, body, family, table) {
            listing.objects.push(without_handle(kind, body));
        }
    }
    (!listing.objects.is_empty()).then_some(listing)
}

/// The name of the table that an object is, or belongs to.
pub(super) fn table_of<'a>(kind: &str, body: &'a Json) -> &'a Json {
    &body[if kind == "table" { "name" } else { "table" }]
}

/// Whether an object is that table, or belongs to it.
pub(super) fn is_of(kind: &str, body: &Json, family: &str, table: &str) -> bool {
    body["family"] == family && table_of(kind, body) == table
}

fn without_handle(kind: &str, body: &Json) -> Json {
    let mut body = body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("handle");
    }
    serde_json::json!({ kind: body })
}

pub(super) fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
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
    fn a_prefix_is_closed_by_its_own_rule_or_that_of_a_wider_one() {
        let found = ruleset(
            r#"{"table":{"family":"inet","name":"v6kit","handle":1}},
            {"rule":{"family":"inet","table":"v6kit","chain":"inbound","handle":9,"comment":"2001:db8:1::/64: no new TCP connections","expr":[{"drop":null}]}},
            {"rule":{"family":"inet","table":"v6kit","chain":"inbound","handle":10,"comment":"2001:db8:1:0:6::/80: open","expr":[{"accept":null}]}}"#,
        );
        let closing = |prefix: &str| closing_prefix(&found.table, prefix.parse().unwrap());
        let whole = "2001:db8:1::/64".parse().unwrap();
        assert_eq!(closing("2001:db8:1::/64"), Some(whole));
        assert_eq!(closing("2001:db8:1:0:5::/80"), Some(whole));
        assert_eq!(closing("2001:db8:1:0:6::/80"), None);
        assert_eq!(closing("2001:db8::/48"), None);
        assert_eq!(closing("2001:db8:2::/64"), None);
        assert_eq!(closing_prefix(&Value::ABSENT, whole), None);
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
