//! The documentation: what it shows is what happens, and every link leads somewhere.
//!
//! A block of commands with their output says in a comment before it how it is checked:
//!
//! - `<!-- checked: here -->` runs it where the test runs;
//! - `<!-- checked: lab -->`, `<!-- checked: lab on-link -->` runs it on the host side of a lab of that topology;
//!   `; after: NAME` runs one of [`shown::PREPARATIONS`] first;
//! - `<!-- checked: job -->`, `<!-- checked: config -->` reads a TOML file as a job or as wishes of setup;
//! - `<!-- checked: by TEST -->` names a test that does it.
//!
//! Blocks of `sh` are commands without output: crates/v6kit/src/documented.rs parses them.

mod examples;
mod links;
mod names;
mod pages;
mod picture;
mod shown;
