//! A template is written as it was read, and each of its URLs is one line of its origin.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v6kit_model::input::Template;

fuzz_target!(|text: &str| {
    let Ok(template) = text.parse::<Template>() else {
        return;
    };
    assert!(template.count() > 0, "{text:?}");
    assert_eq!(template.to_string().parse().as_ref(), Ok(&template), "{text:?}");
    for position in [0, template.count() / 2, template.count() - 1] {
        let mut url = String::new();
        template.write(position, &mut url);
        assert!(!url.contains(char::is_control) && !url.contains(' '), "{text:?}: {url:?}");
        let origin = v6kit_model::url::split(&url)
            .ok()
            .and_then(|(origin, _)| v6kit_model::url::Origin::parse(origin).ok());
        if let Some(expected) = template.origin() {
            assert_eq!(origin.as_ref(), Some(expected), "{text:?}: {url:?}");
        }
    }
});
