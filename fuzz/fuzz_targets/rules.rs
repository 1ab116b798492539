//! Any text as saved rules: never a panic, and what is printed reads as the same.
#![no_main]

use lab::observe::rules::Ruleset;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let rules = Ruleset::parse(text);
    let printed = rules.print();
    assert_eq!(Ruleset::parse(&printed).print(), printed);
});
