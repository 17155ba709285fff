//! robots.txt: read whatever it holds, and the same with what means nothing around it.
#![no_main]
#![allow(dead_code, reason = "the file is taken in as it is")]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/site/robots_rules.rs"]
mod robots_rules;

use robots_rules::RobotsRules;

fuzz_target!(|bytes: &[u8]| {
    let (target, text) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let target = [b"/", target].concat();
    let rules = RobotsRules::parse(text, "v6kit");
    let verdict = (rules.allows(&target), rules.delay());
    let around = [b"# none\r\n\n", text, b"\n\n# none\nSitemap: https://h.test/\n"].concat();
    let again = RobotsRules::parse(&around, "v6kit");
    assert_eq!((again.allows(&target), again.delay()), verdict);
    let nothing = RobotsRules::parse(b"", "v6kit");
    assert!(nothing.allows(&target));
});
