//! What an answer is: decoded, led elsewhere, refused, or the data.

pub(crate) mod challenge;
pub(crate) mod decode;
pub(crate) mod expect;
pub(crate) mod redirect;
mod unfolded;
mod verdict;

pub(crate) use verdict::judge;
